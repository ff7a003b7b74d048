"""The broker's two sockets and its cache of last values; no other logic lives here."""

from __future__ import annotations

from typing import Final

import zmq

from tinybms_messages.topics import MAX_BODY_BYTES, topic_of
from tinybms_runtime.bus import HIGH_WATER_MARK
from tinybms_runtime.loop import Loop
from tinybms_runtime.paths import Paths

_SUBSCRIBE: Final = 1
_FORWARD_AT_MOST: Final = 1000
"""Messages moved in one turn, so that a flood can't keep the loop from its heartbeat."""
_CACHE_AT_MOST: Final = 256
"""Topics kept: some for each process; more can only come from a defect."""
_FRAME_BYTES: Final = MAX_BODY_BYTES + 4096


class Relay:
    """Forwards what publishers send to subscribers, and to newcomers the last value of a topic.

    With XPUB_MANUAL_LAST_VALUE the message sent right after a subscription was accepted reaches the
    newcomer alone, so that a cached message is not repeated to everybody.
    """

    def __init__(self, *, paths: Paths, loop: Loop) -> None:
        self._loop = loop
        self._context = zmq.Context()
        self._cache: dict[bytes, list[bytes]] = {}
        self.forwarded = 0
        self.rejected = 0
        self._inlet = self._socket(zmq.XSUB)
        self._outlet = self._socket(zmq.XPUB)
        self._outlet.setsockopt(zmq.XPUB_MANUAL_LAST_VALUE, 1)
        self._inlet.bind(paths.bus_in)
        self._outlet.bind(paths.bus_out)
        self._inlet.send(bytes([_SUBSCRIBE]))
        loop.watch(self._inlet, self._forward)
        loop.watch(self._outlet, self._admit)

    @property
    def cached_topics(self) -> int:
        """Topics whose last value is kept."""
        return len(self._cache)

    def close(self) -> None:
        """Close both sockets."""
        self._loop.unwatch(self._inlet)
        self._loop.unwatch(self._outlet)
        self._context.destroy(linger=0)

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        socket.setsockopt(zmq.RCVHWM, HIGH_WATER_MARK)
        socket.setsockopt(zmq.MAXMSGSIZE, _FRAME_BYTES)
        return socket

    def _forward(self) -> None:
        for _ in range(_FORWARD_AT_MOST):
            try:
                frames = self._inlet.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            if len(frames) != 3:
                self.rejected += 1
                continue
            self._remember(frames)
            self._outlet.send_multipart(frames, zmq.NOBLOCK)
            self.forwarded += 1
        self._loop.look_at(self._outlet)

    def _remember(self, frames: list[bytes]) -> None:
        topic = topic_of(frames[0])
        if topic is None or not topic.cached:
            return
        if frames[0] in self._cache or len(self._cache) < _CACHE_AT_MOST:
            self._cache[frames[0]] = frames

    def _admit(self) -> None:
        """Carry out subscriptions and give each newcomer the last value of its topic."""
        for _ in range(_FORWARD_AT_MOST):
            try:
                request = self._outlet.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if not request:
                continue
            address = request[1:]
            if request[0] != _SUBSCRIBE:
                self._outlet.setsockopt(zmq.UNSUBSCRIBE, address)
                continue
            self._outlet.setsockopt(zmq.SUBSCRIBE, address)
            cached = self._cache.get(address)
            if cached is not None:
                self._outlet.send_multipart(cached, zmq.NOBLOCK)
