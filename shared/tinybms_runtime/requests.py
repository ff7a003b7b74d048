"""Questions with an answer between two processes: ROUTER and DEALER beside the bus.

A missing or hanging answerer is normal: the asker's time runs out, it takes a fresh socket (what
was queued in the old one is gone) and asks again when it likes. Nothing here blocks.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

import zmq

from tinybms_messages.requests import (
    BadRequestFrame,
    Reply,
    ReplyBody,
    Request,
    RequestBody,
    Result,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)
from tinybms_runtime.clock import Clock
from tinybms_runtime.loop import Loop, Timer

HIGH_WATER_MARK: Final = 50
RECONNECT_MS: Final = 20
_DRAIN_AT_MOST: Final = 50
"""Requests answered in one turn of the loop, so that a flood can't keep it from its timers."""

Answer = Callable[[RequestBody], ReplyBody]
"""Makes the answer; raises RequestRefused when there is none."""


class RequestRefused(Exception):
    """The request can't be answered; the text says why and what to do."""


class RequestServer:
    """Answers requests at `endpoint`; who waits no longer gets none."""

    def __init__(
        self,
        *,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        clock: Clock,
        loop: Loop,
        answer: Answer,
    ) -> None:
        self._clock = clock
        self._loop = loop
        self._answer = answer
        self.rejected = 0
        """Frames that were no request, and requests that came after their deadline."""
        self._socket: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
        _configure(self._socket)
        self._socket.bind(endpoint)
        loop.watch(self._socket, self._drain)

    def close(self) -> None:
        """Answer no more."""
        self._loop.unwatch(self._socket)
        self._socket.close(linger=0)

    def _drain(self) -> None:
        for _ in range(_DRAIN_AT_MOST):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._take(frames)

    def _take(self, frames: list[bytes]) -> None:
        try:
            request = decode_request(b"".join(frames[1:2]))
        except BadRequestFrame:
            self.rejected += 1
            return
        if len(frames) != 2 or not self._somebody_waits(request):
            self.rejected += 1
            return
        try:
            reply = Reply(id=request.id, result=Result.OK, body=self._answer(request.body))
        except RequestRefused as refusal:
            reply = Reply(id=request.id, result=Result.REFUSED, text=str(refusal))
        try:
            self._socket.send_multipart([frames[0], encode_reply(reply)], zmq.NOBLOCK)
        except zmq.Again:
            self.rejected += 1

    def _somebody_waits(self, request: Request) -> bool:
        if request.kernel_boot_id != self._clock.kernel_boot_id:
            return False
        return self._clock.boottime_ns() <= request.deadline_ns


class RequestClient:
    """Asks at `endpoint`, one request at a time."""

    def __init__(
        self,
        *,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        clock: Clock,
        loop: Loop,
    ) -> None:
        self._context = context
        self._endpoint = endpoint
        self._clock = clock
        self._loop = loop
        self._waiting: _Waiting | None = None
        self.timeouts = 0
        self._socket = self._connect()

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._waiting is not None

    def ask(
        self,
        body: RequestBody,
        *,
        timeout_s: float,
        on_reply: Callable[[Reply], None],
        on_silence: Callable[[], None],
    ) -> None:
        """Send `body`; exactly one of the two is called later, never from inside this call.

        Raises RuntimeError while an answer is awaited.
        """
        if self._waiting is not None:
            raise RuntimeError("an answer is awaited; look at `busy` first")
        request = Request(
            id=secrets.token_hex(8),
            deadline_ns=self._clock.boottime_ns() + round(timeout_s * 1e9),
            kernel_boot_id=self._clock.kernel_boot_id,
            body=body,
        )
        frame = encode_request(request)
        timer = self._loop.after(timeout_s, self._time_is_up)
        self._waiting = _Waiting(request.id, timer, on_reply, on_silence)
        try:
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            # Nobody is there and the queue is full: the timer will say so.
            return
        self._loop.look_at(self._socket)

    def close(self) -> None:
        """Forget an awaited answer and ask no more."""
        if self._waiting is not None:
            self._waiting.timer.cancel()
            self._waiting = None
        self._disconnect()

    def _connect(self) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        _configure(socket)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        socket.connect(self._endpoint)
        self._loop.watch(socket, self._drain)
        return socket

    def _disconnect(self) -> None:
        self._loop.unwatch(self._socket)
        self._socket.close(linger=0)

    def _drain(self) -> None:
        socket = self._socket
        while not socket.closed:
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._take(frames)

    def _take(self, frames: list[bytes]) -> None:
        waiting = self._waiting
        try:
            reply = decode_reply(frames[-1])
        except BadRequestFrame:
            return
        if waiting is None or reply.id != waiting.request_id:
            return
        waiting.timer.cancel()
        self._waiting = None
        waiting.on_reply(reply)

    def _time_is_up(self) -> None:
        waiting = self._waiting
        if waiting is None:
            return
        self.timeouts += 1
        self._waiting = None
        self._disconnect()
        self._socket = self._connect()
        waiting.on_silence()


class _Waiting:
    __slots__ = ("on_reply", "on_silence", "request_id", "timer")

    def __init__(
        self,
        request_id: str,
        timer: Timer,
        on_reply: Callable[[Reply], None],
        on_silence: Callable[[], None],
    ) -> None:
        self.request_id = request_id
        self.timer = timer
        self.on_reply = on_reply
        self.on_silence = on_silence


def _configure(socket: zmq.Socket[bytes]) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
    socket.setsockopt(zmq.RCVHWM, HIGH_WATER_MARK)
