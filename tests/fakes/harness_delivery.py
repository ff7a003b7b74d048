"""The gateway's way of critical records from battery to subscriber, with everything killable."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from fake_slcan import FakeSlcan
from harness_gateway import BusProbe, GatewayFolder
from harness_mosquitto import Mosquitto
from harness_net import LOOPBACK, free_port
from harness_proxy import Way
from harness_sim import SimBms, wait_until
from tinybms_acquisition.critical import ALARM_SUFFIXES, DEAD_BANDS
from tinybms_acquisition.ringfile import CriticalRing
from tinybms_messages.critical import EVENT_SUFFIX, Critical
from tinybms_messages.requests import MAX_RECORDS
from tinybms_messages.status import BufferStatus, MqttStatus
from tinybms_messages.topics import BUFFER_STATUS, CRITICAL, MQTT_STATUS

ROOT = "victron/tinybms"
PROCESSES = ("broker", "acquisition", "can_out", "mqtt_out", "buffer", "health")
LOAD_PERIOD_S = 0.12
SETTLE_S = 90.0
CRITICAL_SUFFIXES = {EVENT_SUFFIX, *DEAD_BANDS, *ALARM_SUFFIXES.values()}
Key = tuple[str, int, str]
"""boot, LIVE_DATA seq, suffix."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One message of a critical value as the witness got it."""

    suffix: str
    body: dict[str, Any]

    @property
    def replayed(self) -> bool:
        return bool(self.body.get("replayed"))

    @property
    def key(self) -> Key:
        return self.body["boot"], self.body["seq"], self.suffix


class Witness:
    """An independent subscriber at the MQTT broker itself, not behind the way."""

    def __init__(self, port: int) -> None:
        self.heard: list[Heard] = []
        self._subscribed = threading.Event()
        self._marks: set[bytes] = set()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{ROOT}/#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_disconnect = lambda *_: self._subscribed.clear()
        self._client.on_message = self._keep
        self._client.reconnect_delay_set(1, 1)
        self._client.connect_async(LOOPBACK, port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait_until_subscribed(self) -> None:
        assert self._subscribed.wait(15), "the witness can't subscribe"

    def wait_until_all_is_heard(self) -> None:
        """What the MQTT broker has acknowledged so far is here when this returns."""
        mark = random.randbytes(8).hex().encode()
        self._client.publish(f"{ROOT}/mark", mark, qos=1)
        wait_until(lambda: mark in self._marks, 15, "the witness's own message")

    def _keep(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        topic = message.topic.removeprefix(f"{ROOT}/")
        if topic == "mark":
            self._marks.add(bytes(message.payload))
            return
        suffix = topic.removeprefix("replay/")
        if suffix not in CRITICAL_SUFFIXES:
            return
        heard = Heard(suffix, json.loads(message.payload))
        assert heard.replayed == topic.startswith("replay/"), topic
        self.heard.append(heard)


@dataclass
class Delivery:
    """Everything that runs, and the load on it."""

    sim: SimBms
    can: FakeSlcan
    gateway: GatewayFolder
    probe: BusProbe
    mosquitto: Mosquitto
    way: Way
    witness: Witness
    random: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    _soc_pct: float = 60.0
    _load: int = 0
    _loaded_s: float = 0.0

    def live(self, seconds: float) -> None:
        """Let time pass under load."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            if time.monotonic() - self._loaded_s >= LOAD_PERIOD_S:
                self._loaded_s = time.monotonic()
                self._move_battery()
            self.probe.wait_for(lambda: False, 0.03)

    def kill(self, name: str) -> None:
        """End a process or the MQTT broker by SIGKILL.

        The MQTT broker may forget what it acknowledged, so the witness hears that first.
        """
        self.kills[name] += 1
        if name == "mosquitto":
            self.way.shut()
            self.witness.wait_until_all_is_heard()
            self.mosquitto.kill()
        else:
            self.gateway.kill(name)

    def revive(self, name: str) -> None:
        """Start it again; the way opens when the witness has subscribed."""
        if name == "mosquitto":
            self.mosquitto.start()
            self.witness.wait_until_subscribed()
            self.way.open()
        else:
            self.gateway.start(name)

    def break_way(self) -> None:
        """Do one of the bad things to the way, for a while."""
        self.kills["way"] += 1
        trouble: Callable[[], None] = self.random.choice(
            [
                self.way.reset,
                self.way.half_close,
                self.way.shut,
                self.way.hold,
                self.way.swallow,
                lambda: self.way.open(delay_s=self.random.uniform(0.05, 0.5)),
            ]
        )
        trouble()
        self.live(self.random.uniform(0.1, 1.5))
        self.way.open()

    def one_kill(self) -> None:
        """Kill something, or two things at once; bring them back after a moment."""
        victims = self.random.sample(
            (*PROCESSES, "mosquitto", "way"), self.random.choice((1, 1, 2))
        )
        for name in victims:
            if name != "way":
                self.kill(name)
                self.live(self.random.uniform(0.0, 0.2))
        if "way" in victims and "mosquitto" not in victims:
            self.break_way()
        self.live(self.random.uniform(0.05, 0.8))
        for name in victims:
            if name != "way":
                self.revive(name)
        self.live(self.random.uniform(0.3, 1.2))

    def settle(self) -> None:
        """End the load, open the way and wait until nothing is owed any more."""
        self.way.open()
        self.gateway.kill("mqtt_out")  # its delay between tries may have grown to a minute
        self.gateway.start("mqtt_out")
        # Longer than buffer takes for a look at the ring; CCL, ramping up, still makes records.
        self.wait_until_nothing_is_owed(quiet_s=7, waiting=10)
        since_s = time.monotonic()
        wait_until(lambda: self.can.frames[-1].at_s > since_s, 15, "a CAN frame after all kills")
        assert self.gateway.stop("acquisition") == 0
        self.wait_until_nothing_is_owed(quiet_s=4)
        self.witness.wait_until_all_is_heard()

    def wait_until_nothing_is_owed(self, *, quiet_s: int, waiting: int = 0) -> None:
        """Wait until buffer has said so for `quiet_s`, with at most so many just made."""
        since = len(self.probe.bodies(BUFFER_STATUS))

        def done() -> bool:
            mqtt_out: MqttStatus | None = getattr(self.probe.last(MQTT_STATUS), "body", None)
            said: list[BufferStatus] = self.probe.bodies(BUFFER_STATUS)[since:]
            quiet = [status.rows == 0 and status.waiting <= waiting for status in said[-quiet_s:]]
            return (
                len(quiet) == quiet_s and all(quiet) and mqtt_out is not None and mqtt_out.connected
            )

        assert self.probe.wait_for(done, SETTLE_S), (
            self.probe.last(BUFFER_STATUS),
            self.probe.last(MQTT_STATUS),
        )

    def published(self) -> list[Critical]:
        """Every record that acquisition has made, as its ring tells it."""
        ring = CriticalRing(self.gateway.paths.run_file("critical-ring"))
        try:
            return [
                record
                for entry in ring.inventory()
                for first in range(entry.first, entry.last + 1, MAX_RECORDS)
                for record in ring.caught_up(entry.boot, [(first, first + MAX_RECORDS - 1)]).records
            ]
        finally:
            ring.close()

    def _move_battery(self) -> None:
        self._load += 1
        self._soc_pct = 40.0 + (self._soc_pct - 39.85) % 20.0
        raw = round(self._soc_pct * 1e6)
        self.sim.set_words({46: raw & 0xFFFF, 47: raw >> 16})
        if self._load % 40 == 0:
            self.sim.scenario("over_voltage" if self._load % 80 else "normal")


@contextlib.contextmanager
def delivery(folder: Path, mosquitto: Mosquitto, seed: int) -> Iterator[Delivery]:
    """Everything running and connected, the battery known."""
    with contextlib.ExitStack() as exits:
        sim = exits.enter_context(SimBms(folder / "sim", registers={46: 0x8700, 47: 0x0393}))
        can = exits.enter_context(FakeSlcan(folder / "can"))
        way = exits.enter_context(Way(mosquitto.port))
        gateway = exits.enter_context(
            GatewayFolder(
                folder,
                {
                    "acquisition": {"port": str(sim.link)},
                    "can": {"interface": "slcan", "channel": str(folder / "can")},
                    "health": {"listen": f"{LOOPBACK}:{free_port()}"},
                    "mqtt": {"host": LOOPBACK, "port": way.port, "root_topic": ROOT},
                    "buffer": {"replay_rate": 300},
                },
            )
        )
        probe = exits.enter_context(BusProbe(gateway.paths))
        probe.listen(BUFFER_STATUS, MQTT_STATUS, CRITICAL)
        witness = Witness(mosquitto.port)
        exits.callback(witness.close)
        witness.wait_until_subscribed()
        way.open()
        for name in PROCESSES:
            gateway.start(name)
        stack = Delivery(sim, can, gateway, probe, mosquitto, way, witness, random.Random(seed))
        assert probe.wait_for(
            lambda: bool(witness.heard and probe.bodies(CRITICAL) and can.frames), 20
        ), "no value reaches the witness, or no frame the CAN adapter"
        yield stack


def problems(published: list[Critical], heard: list[Heard]) -> list[str]:
    """What is lost, changed, out of order, or twice without a mark; empty when all is well."""
    return [
        *_lost_or_changed(published, heard),
        *_unmarked_twice(heard),
        *_out_of_order(heard),
        *(f"a gap: {one.body}" for one in heard if str(one.body["value"]).startswith("records_")),
    ]


def _content(record: Critical) -> tuple[object, ...]:
    return (record.value, record.raw, record.wall_ns // 1_000_000, record.text or None)


def _lost_or_changed(published: list[Critical], heard: list[Heard]) -> Iterator[str]:
    arrived: dict[Key, list[tuple[object, ...]]] = {}
    for one in heard:
        body = one.body
        content = (body["value"], body["raw"], body["timestamp_ms"], body.get("text") or None)
        arrived.setdefault(one.key, []).append(content)
    for record in published:
        found = arrived.get((record.boot, record.live_seq, record.suffix))
        if not found:
            yield f"lost: {record}"
        elif not all(_same(_content(record), content) for content in found):
            yield f"changed: {record} arrived as {found}"


def _same(made: tuple[object, ...], found: tuple[object, ...]) -> bool:
    value, other = made[0], found[0]
    if isinstance(value, float) and isinstance(other, (int, float)):
        return abs(value - other) < 1e-3 and made[1:] == found[1:]
    return made == found


def _unmarked_twice(heard: list[Heard]) -> Iterator[str]:
    """An event is said live once at most; a value may be repeated, but as it was."""
    live: dict[Key, dict[str, Any]] = {}
    for one in heard:
        if one.replayed:
            continue
        if one.key in live and (one.suffix == "event" or live[one.key] != one.body):
            yield f"twice without a mark: {live[one.key]} and {one.body}"
        live[one.key] = one.body


def _out_of_order(heard: list[Heard]) -> Iterator[str]:
    """Live values of a topic never go back; replays of a class come in order at first."""
    last: dict[tuple[object, ...], int] = {}
    seen: set[tuple[bool, Key]] = set()
    for one in heard:
        if (one.replayed, one.key) in seen:
            continue
        seen.add((one.replayed, one.key))
        boot, seq, suffix = one.key
        known_class = "alarm" if suffix.startswith("alarm_") else suffix == "event"
        stream = (True, boot, known_class) if one.replayed else (False, boot, suffix)
        if seq < last.get(stream, 0):
            yield f"out of order: {one} after {last[stream]}"
        last[stream] = max(seq, last.get(stream, 0))
