"""The serial port itself, and where to look for it when its path has changed.

pyserial opens and sets up the port; reading and writing go straight to the descriptor, since
pyserial's own write spins when the buffer of a dead adapter is full.
"""

from __future__ import annotations

import contextlib
import errno
import os
import termios
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import serial
from serial.tools import list_ports

from tinybms_protocol.timing import BAUD_RATE

READ_BYTES: Final = 4096
EMPTY_READS: Final = 3
_HINTS: Final = {
    errno.ENOENT: " (acquisition.port): is the adapter plugged in?",
    errno.EACCES: ": the gateway's user must be in the group of the port, often dialout",
    errno.EAGAIN: ": another program uses the port",
    errno.EBUSY: ": another program uses the port",
    errno.ENOTTY: ": this is no serial port",
}
_FAILURES: Final = (serial.SerialException, OSError, termios.error, ValueError)


class PortError(Exception):
    """The port can't be opened or is gone; the text says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsbPort:
    """A serial port behind USB."""

    device: str
    serial_number: str | None


class SerialPort:
    """An open port, ours alone. Every method but `close` raises PortError when it is gone."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.real_path = os.path.realpath(path)
        self._empty_reads = 0
        self._announced_at = 0
        try:
            self._serial = serial.Serial(
                path, BAUD_RATE, timeout=0, write_timeout=1.0, exclusive=True
            )
        except _FAILURES as error:
            raise PortError(_said(path, error)) from error
        with contextlib.suppress(*_FAILURES, NotImplementedError):
            # Adapters without this setting (and ptys) have no delay to take away.
            self._serial.set_low_latency_mode(True)
        try:
            self.announce_at(1)
        except PortError:
            self.close()
            raise

    def fileno(self) -> int:
        """Descriptor to wait on."""
        try:
            return self._serial.fileno()
        except _FAILURES as error:
            raise PortError(_said(self.path, error)) from error

    def read(self) -> bytes:
        """What has come, which may be nothing; never waits."""
        data = b""
        try:
            # Linux gives no more than 64 bytes at once when it was told to announce many.
            while len(data) < self._announced_at:
                piece = os.read(self.fileno(), READ_BYTES)
                data += piece
                if not piece:
                    break
        except BlockingIOError:
            return data
        except _FAILURES as error:
            raise PortError(_said(self.path, error)) from error
        # An unplugged adapter is always readable and never gives anything.
        self._empty_reads = 0 if data else self._empty_reads + 1
        if self._empty_reads >= EMPTY_READS:
            raise PortError(f"{self.path}: unplugged")
        return data

    def announce_at(self, count: int) -> None:
        """Announce the descriptor as readable only when `count` bytes have come (255 at most).

        An end of the port is announced in any case. That is what Linux makes of VMIN in `select`;
        where it is ignored, each byte is announced.
        """
        wanted = min(count, 255)
        if wanted == self._announced_at:
            return
        try:
            settings = termios.tcgetattr(self.fileno())
            settings[6][termios.VMIN] = wanted
            settings[6][termios.VTIME] = 0
            termios.tcsetattr(self.fileno(), termios.TCSANOW, settings)
        except _FAILURES as error:
            raise PortError(_said(self.path, error)) from error
        self._announced_at = wanted

    def write(self, data: bytes) -> None:
        """Write all of `data`, which is short; a port that can't take it is stuck."""
        try:
            written = os.write(self.fileno(), data)
        except _FAILURES as error:
            raise PortError(_said(self.path, error)) from error
        if written != len(data):
            raise PortError(f"{self.path}: takes no more bytes")

    @property
    def moved(self) -> bool:
        """Whether the path leads elsewhere by now (the adapter came back as another device)."""
        return os.path.realpath(self.path) != self.real_path

    def close(self) -> None:
        """Close it; never fails."""
        with contextlib.suppress(*_FAILURES):
            self._serial.close()


def usb_ports() -> list[UsbPort]:
    """The serial ports behind USB that are there now."""
    return [
        UsbPort(device=port.device, serial_number=port.serial_number)
        for port in list_ports.comports()
        if port.vid is not None
    ]


def candidates(
    configured: str,
    usb_serial: str | None,
    *,
    search_all: bool,
    taken: Iterable[str] = (),
    exists: Callable[[str], bool] = os.path.exists,
    list_usb: Callable[[], list[UsbPort]] = usb_ports,
) -> list[str]:
    """Paths to try, best first: the configured one, else those of the USB serial number.

    `search_all`: any adapter will do, for the battery's own serial number decides; those in `taken`
    belong to others.
    """
    if exists(configured) or (usb_serial is None and not search_all):
        return [configured]
    others = {os.path.realpath(path) for path in taken}
    found = [port for port in list_usb() if os.path.realpath(port.device) not in others]
    if usb_serial is not None:
        found = [port for port in found if port.serial_number == usb_serial]
    return [port.device for port in found] or [configured]


def _said(path: str, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error.__context__, termios.error):
        # pyserial puts this one into its own exception as text only.
        number = error.__context__.args[0]
    if number is None:
        reason = str(error)
        return reason if path in reason else f"{path}: {reason}"
    return f"{path}: {os.strerror(number)}{_HINTS.get(number, '')}"
