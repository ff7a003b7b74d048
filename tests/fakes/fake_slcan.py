"""The far end of slcan: a pty that reads lines, answers as an adapter does, and can fail."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFrame:
    """A frame that the adapter got, with the monotonic time of its last byte."""

    at_s: float
    id: int
    data: bytes


class FakeSlcan:
    """Links `path` to a pty. `paused` stops reading, as a hung device does."""

    def __init__(self, path: Path, *, answers: bool = True, answers_frames: bool = True) -> None:
        self._path = path
        self._answers = answers
        self._answers_frames = answers_frames
        self._lock = threading.Lock()
        self._master: int | None = None
        self._slave: int | None = None
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._frames: list[SeenFrame] = []
        self._commands: list[str] = []
        self.broken_lines: list[str] = []
        self.paused = threading.Event()
        self.refusing = threading.Event()

    def __enter__(self) -> Self:
        self.plug_in()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.unplug()

    def plug_in(self) -> None:
        """Make the device appear under the path."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        temporary = self._path.with_name(self._path.name + ".new")
        temporary.symlink_to(os.ttyname(self._slave))
        temporary.replace(self._path)
        # Held open, so that the pty outlives each program that opens and closes it.
        self._ended.clear()
        self._thread = threading.Thread(target=self._read, args=(self._master,), daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Hang up and make the path vanish."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._path.unlink(missing_ok=True)
        for descriptor in (self._slave, self._master):
            if descriptor is not None:
                os.close(descriptor)
        self._master = self._slave = None

    @property
    def frames(self) -> list[SeenFrame]:
        """What came so far."""
        with self._lock:
            return list(self._frames)

    @property
    def commands(self) -> list[str]:
        """Lines that are no frames."""
        with self._lock:
            return list(self._commands)

    def forget(self) -> None:
        """Forget the frames that came."""
        with self._lock:
            self._frames.clear()

    def send(self, frame_id: int, data: bytes) -> None:
        """Let a frame come from the bus."""
        self.send_raw(f"t{frame_id:03X}{len(data)}{data.hex().upper()}\r".encode())

    def send_raw(self, data: bytes) -> None:
        """Let any bytes come from the device; those that do not fit are lost, as on a wire."""
        if self._master is not None and select.select([], [self._master], [], 0)[1]:
            os.write(self._master, data)

    def _read(self, master: int) -> None:
        rest = b""
        while not self._ended.is_set():
            if self.paused.is_set():
                time.sleep(0.005)
                continue
            if not select.select([master], [], [], 0.02)[0]:
                continue
            try:
                rest += os.read(master, 4096)
            except OSError:
                time.sleep(0.005)
                continue
            *lines, rest = rest.split(b"\r")
            for line in lines:
                self._line(line.decode("latin-1"))

    def _line(self, line: str) -> None:
        frame = _frame_of(line)
        with self._lock:
            if frame is not None:
                self._frames.append(frame)
            elif line.startswith("t"):
                self.broken_lines.append(line)
            else:
                self._commands.append(line)
        if not self._answers:
            return
        if frame is None:
            self.send_raw(b"\a" if line.startswith("t") else b"\r")
        elif self._answers_frames:
            self.send_raw(b"\a" if self.refusing.is_set() else b"z\r")


def _frame_of(line: str) -> SeenFrame | None:
    if not line.startswith("t") or len(line) < 5:
        return None
    with contextlib.suppress(ValueError):
        frame_id, length, data = int(line[1:4], 16), int(line[4]), bytes.fromhex(line[5:])
        if len(data) == length:
            return SeenFrame(at_s=time.monotonic(), id=frame_id, data=data)
    return None


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Return as soon as `condition` holds; AssertionError after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.01)
