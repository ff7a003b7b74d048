"""The mqtt_out process: bus messages in, one MQTT session out."""

from __future__ import annotations

from importlib import metadata
from typing import Final, cast

import msgspec

from tinybms_charge.parameters import charge_parameters
from tinybms_messages.codec import Message
from tinybms_messages.live import LiveData
from tinybms_messages.registers import BmsSettings, RegisterValues
from tinybms_messages.status import BufferStatus, CanStatus, MqttStatus
from tinybms_messages.topics import (
    BMS_SETTINGS,
    BUFFER_STATUS,
    CAN_STATUS,
    HEARTBEAT,
    LIVE_DATA,
    MQTT_REGISTER_VALUE,
    MQTT_STATUS,
)
from tinybms_mqtt_out import statuses
from tinybms_mqtt_out.advice import start_warnings
from tinybms_mqtt_out.announcing import Announcing
from tinybms_mqtt_out.critical_out import CriticalOut
from tinybms_mqtt_out.discovery import Discovery
from tinybms_mqtt_out.events import Received
from tinybms_mqtt_out.feed import Feed
from tinybms_mqtt_out.health_watch import WATCHED, HealthWatch
from tinybms_mqtt_out.manifest import manifest
from tinybms_mqtt_out.owner_out import OwnerOut
from tinybms_mqtt_out.publication import Publication
from tinybms_mqtt_out.rivals import RivalWatch
from tinybms_mqtt_out.root import root_topic
from tinybms_mqtt_out.uplink import Uplink
from tinybms_mqtt_out.values import Values, qos_of
from tinybms_mqtt_out.venus import PERIOD_S, venus_message, venus_wanted
from tinybms_runtime.loop import Timer
from tinybms_runtime.runner import Service, ServiceContext

TICK_S: Final = 0.25
SECOND_S: Final = 1.0
REGISTERS_LATE_S: Final = 0.05
"""How long a cycle's measured values wait for its register values."""

AnyMessage = Message[msgspec.Struct]


def build(context: ServiceContext) -> Service:
    """The service that the configuration asks for."""
    return MqttOut(context) if context.config.mqtt.enabled else Disabled(context)


class Disabled:
    """MQTT is switched off: idle, but there and saying so."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    def start(self) -> None:
        """Say each second that MQTT is disabled."""
        self._context.loop.every(SECOND_S, self._say)

    def stop(self) -> None:
        """Nothing to put in order."""

    def state(self) -> tuple[str, str]:
        """See tinybms_runtime.runner.Service."""
        return "disabled", "mqtt.enabled = false"

    def _say(self) -> None:
        self._context.bus.publish(MQTT_STATUS, MqttStatus(state="disabled"))


class MqttOut:
    """Publishes what the bus says."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        config = context.config
        self._root = root_topic(config.mqtt.root_topic, config.gateway.device)
        self._uplink = Uplink(
            context,
            will=statuses.connected(self._root, alive=False),
            on_announce=self._announce,
            on_full_set=self._full_set,
            on_received=self._on_received,
            on_lost=self._on_lost,
            on_answered=lambda record, taken: self._critical.answered(record, taken=taken),
        )
        self._feed = Feed(
            values=Values(config.mqtt, self._root),
            parameters=charge_parameters(config),
            kernel_boot_id=context.clock.kernel_boot_id,
            offer=self._uplink.offer,
        )
        self._critical = CriticalOut(context, self._feed.values, self._uplink)
        version = metadata.version("tinybms-gateway")
        self._document = statuses.StatusDocument(self._root, version=version)
        self._announcing = (
            Announcing(context, Discovery(config, self._root, version=version))
            if config.mqtt.discovery
            else None
        )
        self._owner = OwnerOut(context, self._uplink, self._root) if config.mqtt.commands else None
        self._can: CanStatus | None = None
        self._can_boottime_ns = 0
        self._buffer: BufferStatus | None = None
        self._late: Timer | None = None
        self._said: dict[str, bytes] = {}
        self._announced_cells = 0
        self._health = HealthWatch(context.clock.boottime_ns() / 1e9)
        self._rivals = RivalWatch(statuses.manifest_topic(self._root))

    def start(self) -> None:
        """Subscribe to the bus, plan the timers, begin to connect."""
        for sentence in start_warnings(self._context.config.mqtt):
            self._context.log.warning(sentence)
        bus, loop = self._context.bus, self._context.loop
        bus.subscribe(LIVE_DATA, self._on_live)
        bus.subscribe(MQTT_REGISTER_VALUE, self._on_registers)
        bus.subscribe(BMS_SETTINGS, self._on_settings)
        bus.subscribe(CAN_STATUS, self._on_can_status)
        bus.subscribe(BUFFER_STATUS, self._on_buffer_status)
        bus.subscribe(HEARTBEAT, self._on_heartbeat, sources=WATCHED)
        period_s = self._context.config.can.keepalive_period_ms / 1000
        loop.every(period_s, self._heartbeat, first_s=period_s, early_s=period_s / 5)
        loop.every(TICK_S, self._tick, first_s=TICK_S, early_s=TICK_S / 2)
        loop.every(SECOND_S, self._each_second, early_s=SECOND_S / 5)
        if venus_wanted(self._context.config):
            loop.every(PERIOD_S, self._tell_venus, early_s=PERIOD_S / 5)
        self._critical.start()
        self._uplink.start()

    def stop(self) -> None:
        """Publish `false` on status/connected and await it, for at most two seconds."""
        if self._owner is not None:
            self._owner.stop()
        self._uplink.stop()
        self._context.bus.publish(MQTT_STATUS, self._uplink.status())
        self._critical.stop()

    def state(self) -> tuple[str, str]:
        """See tinybms_runtime.runner.Service."""
        status = self._uplink.status()
        return status.state, "" if status.connected else status.last_error

    def _on_live(self, message: AnyMessage) -> None:
        self._feed.live(message.header, cast("LiveData", message.body), self._now_ns())
        if self._feed.awaits_registers and self._late is None:
            self._late = self._context.loop.after(REGISTERS_LATE_S, self._registers_are_late)
        self._tell_of_cells()
        self._tell_of_data()

    def _on_registers(self, message: AnyMessage) -> None:
        self._feed.registers(message.header, cast("RegisterValues", message.body), self._now_ns())
        if self._late is not None and not self._feed.awaits_registers:
            self._late.cancel()
            self._late = None

    def _registers_are_late(self) -> None:
        self._late = None
        self._feed.registers_are_late(self._now_ns())

    def _on_settings(self, message: AnyMessage) -> None:
        self._feed.settings(message.header, cast("BmsSettings", message.body), self._now_ns())

    def _on_can_status(self, message: AnyMessage) -> None:
        self._can = cast("CanStatus", message.body)
        self._can_boottime_ns = message.header.boottime_ns
        self._tell_of_keepalive()

    def _on_buffer_status(self, message: AnyMessage) -> None:
        self._buffer = cast("BufferStatus", message.body)
        self._critical.buffer_says(self._buffer)

    def _tick(self) -> None:
        self._uplink.tick()
        self._feed.tick(self._now_ns())
        self._tell_of_data()
        self._announce_battery()

    def _on_heartbeat(self, message: AnyMessage) -> None:
        self._health.heard(message.header.source, message.header.boottime_ns / 1e9)

    def _watch_health(self) -> None:
        word = self._health.step(self._now_ns() / 1e9)
        if word is not None:
            self._context.event(word.code, word.text, word.severity)

    def _each_second(self) -> None:
        self._watch_health()
        self._uplink.keep_alive()
        self._tell_of_keepalive()
        status = self._uplink.status()
        self._context.bus.publish(MQTT_STATUS, status)
        if status.connected:
            self._tell_status(status)

    def _heartbeat(self) -> None:
        self._uplink.offer(statuses.connected(self._root, alive=True, repeat=True))

    def _announce(self) -> None:
        """Birth first, then everything that is retained: the broker may have lost it."""
        self._uplink.offer(statuses.connected(self._root, alive=True))
        self._said.clear()
        self._uplink.subscribe((self._rivals.topic,))
        if self._owner is not None:
            self._uplink.subscribe((self._owner.filter,))
        if self._announcing is not None:
            self._uplink.subscribe(self._announcing.connected())
            self._announce_battery()
        self._document.force()
        self._offer_manifest()
        self._tell_of_data()
        self._tell_of_keepalive()
        self._tell_status(self._uplink.status())

    def _announce_battery(self) -> None:
        """Send the discovery messages that are due."""
        announcing = self._announcing
        if announcing is None:
            return
        newest = self._feed.newest
        if newest is not None:
            announcing.battery_is(newest.identity, self._feed.values.cell_count)
        step = announcing.tick() if self._uplink.online else None
        if step is None:
            return
        for publication in step.publications:
            self._uplink.offer(publication)
        if step.full_set:
            self._said.clear()
            self._tell_of_data()
            self._tell_of_keepalive()
            self._full_set()

    def _on_received(self, message: Received) -> None:
        if self._rivals.is_news(message):
            text = (
                f"another gateway publishes below {self._root}: give each its own "
                "mqtt.root_topic, for example with {device} in it"
            )
            self._context.event("mqtt_root_shared", text, "warning")
        if self._owner is not None:
            self._owner.received(message)
        if self._announcing is not None:
            self._announcing.received(message)

    def _on_lost(self) -> None:
        self._critical.disconnected()
        if self._announcing is not None:
            self._announcing.disconnected()

    def _tell_venus(self) -> None:
        snapshot = self._feed.fresh_snapshot(self._now_ns()) if self._uplink.online else None
        if snapshot is None:
            return
        cycles = self._feed.values.register_value("full_charge_count")
        message = venus_message(self._root, snapshot, cycles=cycles)
        if message is not None:
            self._uplink.offer(message)

    def _full_set(self) -> None:
        self._feed.full_set(self._now_ns())

    def _offer_manifest(self) -> None:
        config = self._context.config.mqtt
        self._announced_cells = self._feed.values.cell_count
        payload = manifest(
            self._feed.values.topics, root=self._root, qos_of=lambda topic: qos_of(topic, config)
        )
        self._rivals.said(payload)
        self._uplink.offer(statuses.manifest_message(self._root, payload))

    def _tell_of_cells(self) -> None:
        if self._announced_cells != self._feed.values.cell_count and self._uplink.online:
            self._offer_manifest()

    def _tell_of_data(self) -> None:
        state = self._feed.aged(self._now_ns()).data_state
        self._retain(statuses.data(self._root, state))

    def _tell_of_keepalive(self) -> None:
        self._retain(statuses.victron_keepalive(self._root, ok=self._keepalive_ok()))

    def _tell_status(self, status: MqttStatus) -> None:
        now_ns = self._now_ns()
        document = self._document.due(
            status,
            self._seen(),
            keepalive_ok=self._keepalive_ok(),
            data_state=self._feed.aged(now_ns).data_state,
            now_s=now_ns / 1e9,
        )
        if document is not None:
            self._uplink.offer(document)

    def _retain(self, publication: Publication) -> None:
        """Offer a retained word unless this connection has already carried it."""
        if self._uplink.online and self._said.get(publication.topic) != publication.payload:
            self._said[publication.topic] = publication.payload
            self._uplink.offer(publication)

    def _keepalive_ok(self) -> bool | None:
        enabled = self._context.config.can.enabled
        return statuses.victron_keepalive_ok(self._seen(), can_enabled=enabled)

    def _seen(self) -> statuses.Seen:
        can_age_s = (self._now_ns() - self._can_boottime_ns) / 1e9
        return statuses.Seen(
            live=self._feed.newest,
            can=self._can,
            can_age_s=can_age_s if self._can is not None else None,
            buffer=self._buffer,
        )

    def _now_ns(self) -> int:
        return self._context.clock.boottime_ns()
