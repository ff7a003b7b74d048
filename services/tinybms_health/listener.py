"""Collects what the processes say about themselves on the bus."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from tinybms_health.view import Heard
from tinybms_messages.codec import Message
from tinybms_messages.header import Header
from tinybms_messages.latest import LatestLive
from tinybms_messages.live import LiveData
from tinybms_messages.status import BufferStatus, CanStatus, GatewayEvent, Heartbeat, MqttStatus
from tinybms_messages.topics import (
    BUFFER_STATUS,
    CAN_STATUS,
    GATEWAY_EVENT,
    HEARTBEAT,
    LIVE_DATA,
    MQTT_STATUS,
)
from tinybms_runtime.bus import Bus

EVENTS_KEPT: Final = 100

Body = TypeVar("Body", bound=msgspec.Struct)


class Listener:
    """Holds the newest message of each kind, of this run of the machine only.

    `own_name`: events of this process are not taken from the bus but from `add_event`; `on_own`
    hears that the bus has delivered one.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        kernel_boot_id: str,
        own_name: str = "",
        on_own: Callable[[GatewayEvent], None] = lambda _: None,
    ) -> None:
        self._on_live: Callable[[], None] = lambda: None
        self._on_event: Callable[[str, GatewayEvent], None] = lambda _source, _event: None
        self._own_name = own_name
        self._on_own = on_own
        self._kernel_boot_id = kernel_boot_id
        self.live = LatestLive(kernel_boot_id=kernel_boot_id)
        self._heartbeats: dict[str, tuple[Header, Heartbeat]] = {}
        self._can: tuple[Header, CanStatus] | None = None
        self._mqtt: tuple[Header, MqttStatus] | None = None
        self._buffer: tuple[Header, BufferStatus] | None = None
        self._events: deque[tuple[str, GatewayEvent]] = deque(maxlen=EVENTS_KEPT)
        for topic in (
            LIVE_DATA,
            HEARTBEAT,
            CAN_STATUS,
            MQTT_STATUS,
            BUFFER_STATUS,
            GATEWAY_EVENT,
        ):
            bus.subscribe(topic, self._take)

    def tell(
        self, *, on_live: Callable[[], None], on_event: Callable[[str, GatewayEvent], None]
    ) -> None:
        """Call `on_live` when a newer LIVE_DATA is held, `on_event` with source and event."""
        self._on_live = on_live
        self._on_event = on_event

    def heard(self) -> Heard:
        """What is known now."""
        return Heard(
            live=self.live,
            heartbeats=dict(self._heartbeats),
            can=self._can,
            mqtt=self._mqtt,
            buffer=self._buffer,
            events=tuple(self._events),
        )

    def heartbeat(self, name: str) -> tuple[Header, Heartbeat] | None:
        """The newest heartbeat of a process."""
        return self._heartbeats.get(name)

    def add_event(self, event: GatewayEvent) -> None:
        """Note an event of this process itself."""
        self._note(self._own_name, event)

    def _take(self, message: Message[msgspec.Struct]) -> None:
        header = message.header
        if header.kernel_boot_id != self._kernel_boot_id:
            return
        match message.body:
            case LiveData() as live:
                if self.live.offer(header, live):
                    self._on_live()
            case Heartbeat() as beat:
                self._heartbeats[header.source] = (header, beat)
            case CanStatus() as can:
                self._can = (header, can)
            case MqttStatus() as mqtt:
                self._mqtt = (header, mqtt)
            case BufferStatus() as buffer:
                self._buffer = (header, buffer)
            case GatewayEvent() as event if header.source == self._own_name:
                self._on_own(event)
            case GatewayEvent() as event:
                self._note(header.source, event)

    def _note(self, source: str, event: GatewayEvent) -> None:
        self._events.append((source, event))
        self._on_event(source, event)
