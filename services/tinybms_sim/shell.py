"""The loop of a simulator: descriptors, one deadline, a control socket, a clean end on a signal.

A plain `select`, because its timeout counts microseconds: the pollers of the services round to
whole milliseconds, which is a dozen bytes at 115200 baud.
"""

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

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
    """A descriptor that becomes readable on SIGTERM or SIGINT."""
    read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    previous_fd = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    previous = {s: signal.signal(s, lambda *_: None) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield read_end
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(previous_fd)
        os.close(read_end)
        os.close(write_end)


def run(
    sources: Callable[[], dict[int, Callable[[], None]]],
    deadline_s: Callable[[], float],
    on_time: Callable[[], None],
) -> None:
    """Serve sources (descriptor to action), call on_time at each deadline, until a signal."""
    with stop_signal() as stop:
        while True:
            watched = sources()
            wait_s = min(max(deadline_s() - boottime_s(), 0.0), _LONGEST_WAIT_S)
            ready, _, _ = select.select([stop, *watched], [], [], wait_s)
            if stop in ready:
                return
            for descriptor in ready:
                if descriptor in watched:
                    watched[descriptor]()
            if boottime_s() >= deadline_s():
                on_time()
