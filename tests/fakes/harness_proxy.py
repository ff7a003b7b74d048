"""A TCP way to the MQTT broker that a test can close, hold, slow down and break."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from types import TracebackType
from typing import Self

from harness_net import LOOPBACK

CHUNK_BYTES = 65_536
TURN_S = 0.02
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Mode(Enum):
    """What the way does with what it is given."""

    OPEN = auto()
    HELD = auto()
    """Connections stand and nothing passes, as behind a frozen switch."""
    SWALLOWING = auto()
    """Everything is taken and nothing arrives; such connections never recover."""
    SHUT = auto()
    """Nobody gets in; who was in gets a reset."""


class _Pipe:
    """One direction of a connection."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source = source
        self.target = target
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.ended = False


class Way:
    """Forwards connections to `port`; its own port is `self.port`."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server((LOOPBACK, 0))
        self._server.setblocking(False)
        self.port: int = self._server.getsockname()[1]
        self._mode = Mode.SHUT
        self._delay_s = 0.0
        self._pairs: list[tuple[_Pipe, _Pipe]] = []
        self._commands: deque[tuple[Callable[[], None], threading.Event]] = deque()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="way", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join(5)
        self._reset_all()
        self._server.close()

    def open(self, *, delay_s: float = 0.0) -> None:
        """Let everything through, `delay_s` late; connections that lost bytes are reset."""

        def do() -> None:
            if self._mode is Mode.SWALLOWING:
                self._reset_all()
            self._mode, self._delay_s = Mode.OPEN, delay_s

        self._do(do)

    def hold(self) -> None:
        """Let nothing pass; connections stand."""
        self._do(lambda: self._set(Mode.HELD))

    def swallow(self) -> None:
        """Take everything and deliver nothing."""
        self._do(lambda: self._set(Mode.SWALLOWING))

    def shut(self) -> None:
        """Reset every connection and let nobody in."""

        def do() -> None:
            self._reset_all()
            self._mode = Mode.SHUT

        self._do(do)

    def reset(self) -> None:
        """Reset every connection; new ones are let in as before."""
        self._do(self._reset_all)

    def half_close(self) -> None:
        """End the direction to the broker of every connection."""

        def do() -> None:
            for to_broker, _ in self._pairs:
                to_broker.ended = True
                with contextlib.suppress(OSError):
                    to_broker.target.shutdown(socket.SHUT_WR)

        self._do(do)

    def _set(self, mode: Mode) -> None:
        self._mode = mode

    def _do(self, command: Callable[[], None]) -> None:
        """Run `command` in the way's thread and wait for it."""
        done = threading.Event()
        self._commands.append((command, done))
        assert done.wait(5), "the way does not answer"

    def _run(self) -> None:
        while not self._ended.is_set():
            while self._commands:
                command, done = self._commands.popleft()
                command()
                done.set()
            self._turn()

    def _turn(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._server, selectors.EVENT_READ)
            if self._mode is not Mode.HELD:
                for pair in self._pairs:
                    for pipe in pair:
                        if not pipe.ended:
                            selector.register(pipe.source, selectors.EVENT_READ, (pipe, pair))
            ready = selector.select(TURN_S)
        for key, _ in ready:
            if key.data is None:
                self._accept()
            else:
                self._receive(*key.data)
        for pair in list(self._pairs):
            for pipe in pair:
                self._pass_on(pipe, pair)

    def _accept(self) -> None:
        client, _ = self._server.accept()
        if self._mode is Mode.SHUT:
            _reset(client)
            return
        try:
            broker = socket.create_connection((LOOPBACK, self._target), timeout=1.0)
        except OSError:
            _reset(client)
            return
        self._pairs.append((_Pipe(client, broker), _Pipe(broker, client)))

    def _receive(self, pipe: _Pipe, pair: tuple[_Pipe, _Pipe]) -> None:
        if pair not in self._pairs:
            return
        try:
            chunk = pipe.source.recv(CHUNK_BYTES)
        except OSError:
            self._drop(pair)
            return
        if self._mode is not Mode.SWALLOWING:
            pipe.waiting.append((time.monotonic() + self._delay_s, chunk))
        pipe.ended |= not chunk

    def _pass_on(self, pipe: _Pipe, pair: tuple[_Pipe, _Pipe]) -> None:
        while self._mode is Mode.OPEN and pipe.waiting and pair in self._pairs:
            due_s, chunk = pipe.waiting[0]
            if due_s > time.monotonic():
                return
            pipe.waiting.popleft()
            try:
                if chunk:
                    pipe.target.settimeout(2.0)
                    pipe.target.sendall(chunk)
                else:
                    self._drop(pair)
            except OSError:
                self._drop(pair)

    def _drop(self, pair: tuple[_Pipe, _Pipe]) -> None:
        if pair in self._pairs:
            self._pairs.remove(pair)
            for pipe in pair:
                pipe.source.close()

    def _reset_all(self) -> None:
        for pair in self._pairs:
            for pipe in pair:
                _reset(pipe.source)
        self._pairs.clear()


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    connection.close()
