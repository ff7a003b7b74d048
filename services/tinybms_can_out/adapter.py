"""One open CAN channel behind python-can, with its many kinds of failure made two.

FrameNotSent: this frame is lost, the channel may go on. AdapterGone: close it and open it again.
"""

from __future__ import annotations

import errno
import termios
from dataclasses import dataclass
from typing import Final, Protocol

import can
import serial

from tinybms_can_out.core import CanFrame
from tinybms_config.model import Can
from tinybms_victron.signals import GX_FRAMES

SEND_TIMEOUT_S: Final = 0.01
MOST_AT_ONCE: Final = 100
"""Frames taken from the bus in one turn, so that a flood can't keep the loop from its beat."""

RAW_ERRORS: Final = (
    can.CanError,
    serial.SerialException,
    OSError,
    termios.error,
    ValueError,
    IndexError,
)
"""What python-can and pyserial let through when a device is gone or sends garbage."""

_OPEN_ERRORS: Final = (*RAW_ERRORS, NotImplementedError, TypeError)
"""Besides: an interface that python-can does not know, or one that wants other parameters."""

_QUEUE_FULL: Final = frozenset({None, errno.ENOBUFS, errno.EAGAIN})

BUS_OFF: Final = 0x40
RESTARTED: Final = 0x100
"""Bits of the identifier of a SocketCAN error frame (linux/can/error.h)."""


class FrameNotSent(Exception):
    """The channel did not take a frame now."""


class AdapterGone(Exception):
    """The channel can't be opened or no longer works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What came from the channel: a frame, or an error frame with its bits in `frame.id`."""

    frame: CanFrame
    is_error: bool = False


class Adapter(Protocol):
    """A CAN channel that can be opened again and again."""

    def open(self) -> None:
        """Open the channel; AdapterGone says why not."""

    def close(self) -> None:
        """Free the device; never raises, may be called at any time."""

    def fileno(self) -> int | None:
        """The descriptor that tells when something came, None when there is none to watch."""

    def send(self, frame: CanFrame) -> None:
        """Hand a frame over; raises FrameNotSent or AdapterGone."""

    def receive(self) -> list[Received]:
        """What has come since the last call, without waiting; raises AdapterGone."""

    def take_refused(self) -> int:
        """Frames that the device took and then reported as not sent, since the last call."""

    def refusing(self) -> bool:
        """Whether the device refuses one frame after the other."""


class PythonCanAdapter:
    """Any interface of python-can; SocketCAN is the one that it is made for."""

    def __init__(self, config: Can) -> None:
        self._config = config
        self._bus: can.BusABC | None = None

    def open(self) -> None:
        """See Adapter."""
        config = self._config
        filters: list[can.typechecking.CanFilter] = [
            {"can_id": frame.id, "can_mask": 0x7FF, "extended": False} for frame in GX_FRAMES
        ]
        try:
            self._bus = can.Bus(
                channel=config.channel,
                interface=config.interface,
                bitrate=config.bitrate,
                # Nothing from python-can's own files and variables: gateway.toml says it all.
                ignore_config=True,
                # The kernel filters; elsewhere a filter in Python would only hide what waits.
                can_filters=filters if config.interface == "socketcan" else None,
            )
        except _OPEN_ERRORS as error:
            raise AdapterGone(f"{config.interface} {config.channel}: {error}") from error

    def close(self) -> None:
        """See Adapter."""
        bus, self._bus = self._bus, None
        if bus is None:
            return
        try:
            bus.shutdown()
        except RAW_ERRORS:
            return

    def fileno(self) -> int | None:
        """See Adapter."""
        if self._bus is None:
            return None
        try:
            number = self._bus.fileno()
        except NotImplementedError:
            return None
        return number if number >= 0 else None

    def send(self, frame: CanFrame) -> None:
        """See Adapter."""
        if self._bus is None:
            raise AdapterGone("not open")
        try:
            self._bus.send(message_of(frame), timeout=SEND_TIMEOUT_S)
        except can.CanOperationError as error:
            if error.error_code in _QUEUE_FULL:
                raise FrameNotSent(f"transmit queue full: {error}") from error
            raise AdapterGone(str(error)) from error
        except RAW_ERRORS as error:
            raise AdapterGone(str(error)) from error

    def receive(self) -> list[Received]:
        """See Adapter."""
        return receive_all(self._bus)

    def take_refused(self) -> int:
        """See Adapter; here the kernel keeps what it took."""
        return 0

    def refusing(self) -> bool:
        """See Adapter."""
        return False


def message_of(frame: CanFrame) -> can.Message:
    """The frame as python-can wants it."""
    return can.Message(arbitration_id=frame.id, data=frame.data, is_extended_id=False)


def receive_all(bus: can.BusABC | None) -> list[Received]:
    """What waits in `bus`, at most MOST_AT_ONCE; 29-bit and remote frames are left out."""
    found: list[Received] = []
    if bus is None:
        return found
    try:
        for _ in range(MOST_AT_ONCE):
            message = bus.recv(0)
            if message is None:
                break
            frame = CanFrame(id=message.arbitration_id, data=bytes(message.data))
            if message.is_error_frame:
                found.append(Received(frame=frame, is_error=True))
            elif not (message.is_extended_id or message.is_remote_frame):
                found.append(Received(frame=frame))
    except RAW_ERRORS as error:
        raise AdapterGone(str(error)) from error
    return found
