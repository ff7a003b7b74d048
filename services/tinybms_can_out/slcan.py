"""Serial CAN adapters that speak slcan (Lawicel): python-can's driver, made safe for a long life.

The driver as it is waits two seconds at each open, blocks for ever when the adapter takes no data,
and lets bytes that are no slcan poison what follows. Here every write has one short time limit, one
descriptor is locked against a second opener, and after a stall everything old is thrown away.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
from collections import deque
from typing import Final

import can
import serial
from can.interfaces.slcan import slcanBus

from tinybms_can_out.adapter import (
    RAW_ERRORS,
    AdapterGone,
    FrameNotSent,
    Received,
    message_of,
    receive_all,
)
from tinybms_can_out.core import CanFrame
from tinybms_config.model import Can

WRITE_TIMEOUT_S: Final = 0.05
"""One constant for all writes: a change of it would make pyserial set up the port anew."""

MOST_UNANSWERED: Final = 20
"""Frames without an answer, about a second of traffic, after which an adapter that has answered
before is stalled. USB adapters answer within 16 ms."""

REFUSING_AFTER: Final = 20
"""Refusals in a row, about a second of traffic: no other node acknowledges, or the bus is off."""

PROBE_EVERY: Final = 20
"""Frames held back between two questions to a silent device: about a second."""

_READ_SIZE: Final = 4096
_LONGEST_LINE: Final = 64
_FRAME_LINE: Final = re.compile(r"(?:[tT][0-9A-Fa-f]+|[rR][0-9A-Fa-f]+)", flags=re.ASCII)
_HEAD: Final = {"t": 5, "T": 10, "r": 5, "R": 10}
_ACKNOWLEDGED: Final = frozenset({"", "z", "Z"})
_REFUSED: Final = "\a"
_VERSION: Final = "V"
_FRAME: Final = "t"


class SlcanBus(slcanBus):
    """python-can's slcan bus with bounded writes, a lock and a reader of its own."""

    def __init__(self, *, channel: str, bitrate: int) -> None:
        self.acknowledged = 0
        self.refused = 0
        self.refused_in_row = 0
        self.malformed = 0
        self.commands = 0
        self._prepared = False
        self._lines: deque[str] = deque()
        opened = False
        try:
            super().__init__(channel, bitrate=bitrate, sleep_after_open=0)
            opened = True
        finally:
            if not opened:
                self.shutdown()

    def drop_unsent(self) -> None:
        """Throw away what the device has not taken, and end a line that this may have torn."""
        self.serialPortOrig.reset_output_buffer()
        self._write("")

    def ask(self) -> None:
        """Ask for the version: any answer shows that the device is alive."""
        self._write(_VERSION)

    def writable(self) -> bool:
        """Whether a write would be taken now."""
        return bool(select.select([], [self.serialPortOrig], [], 0)[1])

    def shutdown(self) -> None:
        """Close the adapter's channel if it listens, and the port in any case."""
        can.BusABC.shutdown(self)
        port = getattr(self, "serialPortOrig", None)
        if port is None:
            return
        if self._prepared:
            with contextlib.suppress(*RAW_ERRORS):
                self.drop_unsent()
                self.close()
        with contextlib.suppress(*RAW_ERRORS):
            port.close()

    def _write(self, string: str) -> None:
        # Not flushed: that would wait until the device has taken all, however long that is.
        port = self.serialPortOrig
        if not self._prepared:
            _lock(port.fileno())
            port.write_timeout = WRITE_TIMEOUT_S
            self._prepared = True
            port.reset_output_buffer()
        if not string.startswith(_FRAME):
            self.commands += 1
        port.write(string.encode("ascii") + self.LINE_TERMINATOR)

    def _read(self, timeout: float | None) -> str | None:
        """Give the next line that holds a frame; None when none waits. `timeout` is not used."""
        del timeout
        if not self._lines:
            self._fill()
        return self._lines.popleft() if self._lines else None

    def _fill(self) -> None:
        descriptor = self.serialPortOrig.fileno()
        chunk = os.read(descriptor, _READ_SIZE)
        if not chunk:
            # A serial port gives no bytes both when none wait and when it is gone.
            if _hung_up(descriptor):
                raise serial.SerialException("the device hung up")
            return
        self._buffer += chunk.replace(self._ERROR, self._ERROR + self._OK)
        *lines, rest = bytes(self._buffer).split(self._OK)
        self._buffer[:] = rest if len(rest) <= _LONGEST_LINE else b""
        for line in lines:
            self._sort(line.decode("latin-1"))

    def _sort(self, line: str) -> None:
        if line in _ACKNOWLEDGED or line.startswith(_VERSION):
            self.acknowledged += 1
            self.refused_in_row = 0
        elif line.endswith(_REFUSED):
            self.refused += 1
            self.refused_in_row += 1
        elif is_frame(line):
            self._lines.append(line)
        else:
            self.malformed += 1


def is_frame(line: str) -> bool:
    """Whether `line` is a whole slcan frame; a time stamp of four digits may follow the data."""
    if not _FRAME_LINE.fullmatch(line):
        return False
    head = _HEAD[line[0]]
    if len(line) < head or not line[head - 1].isdigit() or int(line[head - 1]) > 8:
        return False
    digits = 2 * int(line[head - 1]) if line[0] in "tT" else 0
    return len(line) - head in (digits, digits + 4)


class SlcanAdapter:
    """An slcan adapter as an Adapter; knows over re-opens whether the device answers at all."""

    def __init__(self, config: Can) -> None:
        self._config = config
        self._bus: SlcanBus | None = None
        self._answers = False
        self._unanswered = 0
        self._silent = ""
        self._held_back = 0
        self._seen_refused = 0

    def open(self) -> None:
        """See Adapter."""
        config = self._config
        try:
            self._bus = SlcanBus(channel=config.channel, bitrate=config.bitrate)
        except RAW_ERRORS as error:
            reason = error.__cause__ or error
            raise AdapterGone(f"slcan {config.channel}: {reason}") from error
        self._unanswered = 0
        # A device that is known to answer must answer its opening before it gets frames.
        self._silent = "the adapter has not answered since it was opened" if self._answers else ""
        self._held_back = 0
        # python-can opens the channel twice: the second time is answered by a refusal.
        self._seen_refused = 1

    def close(self) -> None:
        """See Adapter."""
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.shutdown()

    def fileno(self) -> int | None:
        """See Adapter. The device answers each frame: waking for every answer costs too much."""
        return None

    def send(self, frame: CanFrame) -> None:
        """See Adapter. A stalled device gets no frame until it answers: none grows old there."""
        bus = self._bus
        if bus is None:
            raise AdapterGone("not open")
        try:
            self._require_answers(bus)
            bus.send(message_of(frame), timeout=WRITE_TIMEOUT_S)
            self._unanswered += 1
            if self._answers and self._unanswered > MOST_UNANSWERED:
                self._stall(bus)
                raise FrameNotSent(f"the adapter left {self._unanswered} frames unanswered")
        except serial.SerialTimeoutException as error:
            self._stall(bus)
            raise FrameNotSent("the adapter takes no data") from error
        except RAW_ERRORS as error:
            raise AdapterGone(f"slcan {self._config.channel}: {error}") from error

    def receive(self) -> list[Received]:
        """See Adapter."""
        bus = self._bus
        if bus is None:
            return []
        before = bus.acknowledged + bus.refused
        found = receive_all(bus)
        answers = bus.acknowledged + bus.refused
        if answers > before:
            # Some devices answer commands but not frames; their silence means nothing.
            self._answers = self._answers or answers > bus.commands
            self._unanswered = 0
            self._silent = ""
        return found

    def take_refused(self) -> int:
        """See Adapter: the device answers with BEL when its own queue is full or the bus is off."""
        if self._bus is None or self._bus.refused <= self._seen_refused:
            return 0
        fresh = self._bus.refused - self._seen_refused
        self._seen_refused = self._bus.refused
        return fresh

    def refusing(self) -> bool:
        """See Adapter."""
        return self._bus is not None and self._bus.refused_in_row >= REFUSING_AFTER

    def _require_answers(self, bus: SlcanBus) -> None:
        """Raise FrameNotSent while the device is silent; ask it now and then if it still is."""
        if not self._silent:
            return
        if not self._answers and bus.writable():
            self._silent = ""
            return
        self._held_back += 1
        if self._held_back % PROBE_EVERY == 0 and bus.writable():
            bus.ask()
        raise FrameNotSent(self._silent)

    def _stall(self, bus: SlcanBus) -> None:
        self._silent = "the adapter does not answer"
        self._held_back = 0
        with contextlib.suppress(serial.SerialTimeoutException):
            bus.drop_unsent()
            bus.ask()


def _hung_up(descriptor: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, 0)
    return bool(poller.poll(0))


def _lock(descriptor: int) -> None:
    """Take the port for ourselves; OSError says that another program has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(
            error.errno, "in use by another program (it holds the port's lock)"
        ) from error
