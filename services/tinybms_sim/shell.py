"""The loop of a simulator: descriptors, one deadline, a control socket, a clean end on a signal.

A plain `select`, because its timeout counts microseconds: the pollers of the services round to
whole milliseconds, which is a dozen bytes at 115200 baud.
"""

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol

from tinybms_sim.pty_line import PtyLine

_CONTROL_BYTES = 65_536
_LONGEST_WAIT_S = 1.0


def boottime_s() -> float:
    """CLOCK_BOOTTIME in seconds, the clock that the gateway's messages carry."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class ControlSocket:
    """A unix datagram socket at a path; each datagram is one command, its answer goes back."""

    def __init__(self, path: Path, serve: Callable[[str], str]) -> None:
        self._path = path
        self._serve = serve
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))

    def fileno(self) -> int:
        """Descriptor to wait on."""
        return self._socket.fileno()

    def on_ready(self) -> None:
        """Serve one command."""
        try:
            data, sender = self._socket.recvfrom(_CONTROL_BYTES)
        except BlockingIOError:
            return
        answer = self._serve(data.decode("utf-8", "replace").strip())
        if sender:
            try:
                self._socket.sendto(answer.encode(), sender)
            except OSError:
                return  # the asker is gone; nobody else wants the answer

    def close(self) -> None:
        """Take the socket and its path away."""
        self._socket.close()
        self._path.unlink(missing_ok=True)


@contextmanager
def stop_signal() -> Iterator[int]:
    """A descriptor that becomes readable on SIGTERM or SIGINT.

    Afterwards both are ignored: the process is about to end, and a second signal must not turn its
    clean exit code into a kill.
    """
    read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    try:
        yield read_end
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        os.close(read_end)
        os.close(write_end)


class Process(Protocol):
    """What a simulator gives to `serve`."""

    def start(self) -> None:
        """Plug in."""

    def sources(self) -> dict[int, Callable[[], None]]:
        """Descriptors to wait on and what to do when one is readable."""

    def deadline_s(self) -> float:
        """When `on_time` is due next, by `boottime_s`."""

    def on_time(self) -> None:
        """What is due."""

    def command(self, text: str) -> str:
        """The answer to one control command."""


def serve(process: Process, pty: PtyLine, control: Path | None, name: str) -> None:
    """Run a simulator until SIGTERM or SIGINT; its link and control path are gone afterwards.

    Raises LinkError when the link, OSError when the control socket can't be made.
    """
    with stop_signal() as stop, ExitStack() as stack:
        stack.callback(pty.close)
        process.start()
        controls = {}
        if control is not None:
            socket = stack.enter_context(closing(ControlSocket(control, process.command)))
            controls = {socket.fileno(): socket.on_ready}
        print(f"{name} on {pty.link}", file=sys.stderr, flush=True)
        while _step(process, controls, stop):
            pass


def _step(process: Process, controls: dict[int, Callable[[], None]], stop: int) -> bool:
    """One round of waiting and serving; False once a signal came."""
    watched = process.sources() | controls
    wait_s = min(max(process.deadline_s() - boottime_s(), 0.0), _LONGEST_WAIT_S)
    ready, _, _ = select.select([stop, *watched], [], [], wait_s)
    if stop in ready:
        return False
    for descriptor in ready:
        watched[descriptor]()
    if boottime_s() >= process.deadline_s():
        process.on_time()
    return True
