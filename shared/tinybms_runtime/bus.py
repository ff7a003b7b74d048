"""A process's two sockets to the broker: publish without blocking, receive without falling behind.

Delivery rules: of a cached topic only the newest message that waits is handed over, of other topics
all of them in order. What is not newer than the message held (another boot's backlog, a cache's
repeat) is dropped. Missing numbers are counted by topic and source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import zmq

from tinybms_messages.codec import BadMessage, Message, decode_body, decode_header, encode
from tinybms_messages.header import Header
from tinybms_messages.topics import EVERY_PROCESS, Topic
from tinybms_runtime.clock import Clock
from tinybms_runtime.loop import Loop, Timer
from tinybms_runtime.paths import Paths
from tinybms_runtime.processes import NAMES

Handler = Callable[[Message[msgspec.Struct]], None]

HIGH_WATER_MARK: Final = 200
"""Messages that wait in a socket: some seconds of traffic, so that a stall loses old ones only."""
RECONNECT_MS: Final = 20
_DRAIN_AT_MOST: Final = 1000
"""Messages taken in one turn, so that a flood can't keep the loop from its timers."""


class Bus:
    """Publishes as `source` and hands received messages to handlers."""

    def __init__(self, *, paths: Paths, source: str, boot: str, clock: Clock, loop: Loop) -> None:
        self.boot = boot
        self._device = paths.device
        self._source = source
        self._clock = clock
        self._loop = loop
        self._sequence: dict[bytes, int] = {}
        self._handlers: dict[bytes, Handler] = {}
        self._held: dict[bytes, Header] = {}
        self.gaps: dict[str, int] = {}
        self.rejected = 0
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        """Of all sockets of the process; `close` ends those of others too."""
        self._publisher = self._socket(zmq.PUB, paths.bus_in)
        self._subscriber = self._socket(zmq.SUB, paths.bus_out)
        self._look: Timer | None = None
        loop.watch(self._subscriber, self._drain)

    def publish(self, topic: Topic, body: msgspec.Struct) -> Header:
        """Send `body`; never waits, and loses the message when the broker is away."""
        address = topic.address(self._device, self._source)
        header = Header(
            source=self._source,
            boot=self.boot,
            seq=self._sequence.get(address, 0) + 1,
            wall_ns=self._clock.wall_ns(),
            boottime_ns=self._clock.boottime_ns(),
            kernel_boot_id=self._clock.kernel_boot_id,
            time_ok=self._clock.time_ok(),
        )
        frames = encode(topic, self._device, header, body)
        self._sequence[address] = header.seq
        self._publisher.send_multipart(frames, zmq.NOBLOCK)
        return header

    def next_seq(self, topic: Topic) -> int:
        """The number that the next message of `topic` will carry."""
        return self._sequence.get(topic.address(self._device, self._source), 0) + 1

    def subscribe(self, topic: Topic, handler: Handler, *, sources: Sequence[str] = NAMES) -> None:
        """Hand messages of `topic` to `handler`; of a topic that each process has, of `sources`."""
        if topic.publisher != EVERY_PROCESS:
            sources = (topic.publisher,)
        for source in sources:
            address = topic.address(self._device, source)
            self._handlers[address] = handler
            self._subscriber.setsockopt(zmq.SUBSCRIBE, address)

    def look_each(self, period_s: float | None) -> None:
        """Look for messages only each `period_s`; None: take each as it comes, as at the start.

        Waking for a message costs more than reading it, and of a cached topic only the newest is
        decoded: for a process in which nobody waits for a single message.
        """
        self._stop_looking()
        if period_s is None:
            self._loop.watch(self._subscriber, self._drain)
        else:
            early_s = period_s / 4
            self._look = self._loop.every(period_s, self._drain, first_s=period_s, early_s=early_s)

    def look(self) -> None:
        """Hand over what has come by now."""
        self._drain()
        if self._look is None:
            self._loop.look_at(self._subscriber)

    def close(self) -> None:
        """Close both sockets at once; what was not yet sent is lost."""
        self._stop_looking()
        self.context.destroy(linger=0)

    def _socket(self, kind: int, endpoint: str) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self.context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        socket.setsockopt(zmq.RCVHWM, HIGH_WATER_MARK)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        socket.connect(endpoint)
        return socket

    def _stop_looking(self) -> None:
        self._loop.unwatch(self._subscriber)
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _drain(self) -> None:
        newest: dict[bytes, tuple[Topic, Header, bytes]] = {}
        for _ in range(_DRAIN_AT_MOST):
            try:
                frames = self._subscriber.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            accepted = self._accept(frames)
            if accepted is None:
                continue
            topic, header, body = accepted
            if topic.cached:
                newest[frames[0]] = accepted
            else:
                self._deliver(frames[0], topic, header, body)
        for address, (topic, header, body) in newest.items():
            self._deliver(address, topic, header, body)

    def _accept(self, frames: list[bytes]) -> tuple[Topic, Header, bytes] | None:
        """The message if it is well formed and newer than the one held; counts what is missing."""
        try:
            topic, header = decode_header(frames)
        except BadMessage:
            self.rejected += 1
            return None
        address = frames[0]
        held = self._held.get(address)
        if not header.is_newer_than(held):
            return None
        if held is not None and held.boot == header.boot and header.seq > held.seq + 1:
            name = f"{topic.name} {header.source}"
            self.gaps[name] = self.gaps.get(name, 0) + header.seq - held.seq - 1
        self._held[address] = header
        return topic, header, frames[2]

    def _deliver(self, address: bytes, topic: Topic, header: Header, packed: bytes) -> None:
        handler = self._handlers.get(address)
        if handler is None:
            return
        try:
            body = decode_body(topic, packed)
        except BadMessage:
            self.rejected += 1
            return
        handler(Message(topic=topic, header=header, body=body))
