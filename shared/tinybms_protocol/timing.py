"""Every time of the serial line, in seconds, with its reason.

Source: user manual Rev D (115200 baud, refresh each 100 ms), release notes 2.3.222 (wake by the
UART) and measurements of real devices (turnaround below 3 ms).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from tinybms_protocol.request import Request
from tinybms_protocol.wire import PACKET_SIZE, ReplyForm

BAUD_RATE: Final = 115200
"""Fixed in the BMS; 8 data bits, no parity, 1 stop bit."""
_BITS_PER_BYTE: Final = 10
_FRAME_OVERHEAD: Final = 5
_LONGEST_SHORT_FRAME: Final = 8

READ_TIMEOUT_S: Final = 0.150
"""On top of the time on the wire: USB adapters deliver late and in pieces."""
WRITE_TIMEOUT_S: Final = 1.0
"""A write goes to flash before it is answered."""
WAKE_WAITS_S: Final = (0.15, 0.3, 1.0)
"""A sleeping BMS loses the first frame: what to wait, in silence, before each repeat."""
QUIET_AFTER_FAILURE_S: Final = 0.100
"""Longer than the latest answer that may still be under way."""
GAP_S: Final = 0.005
"""Silence in front of a request."""
AFTER_WRITE_S: Final = 0.5
"""The BMS may be late after a write; read back then."""
READ_BACK_TRIES: Final = 3
RESTART_S: Final = 5.0
"""Longest time a restarted BMS needs to come back."""
MAX_SILENCE_S: Final = 2.0
"""A silent line is probed at least this often."""


def wire_time_s(byte_count: int) -> float:
    """Time that `byte_count` bytes take on the line."""
    return byte_count * _BITS_PER_BYTE / BAUD_RATE


def reply_length(request: Request) -> int:
    """Bytes of the longest correct answer to `request`."""
    shape = request.reply
    if shape.form in {ReplyForm.ACK, ReplyForm.ECHO}:
        return _LONGEST_SHORT_FRAME
    packets = 1
    if shape.form is ReplyForm.PACKETS:
        packets += shape.max_size // PACKET_SIZE
    return shape.max_size + packets * _FRAME_OVERHEAD


def least_reply_length(request: Request) -> int:
    """Bytes of a correct answer to `request`, or 1 where its shape does not fix them."""
    fixed = {ReplyForm.ECHO, ReplyForm.BARE, ReplyForm.COUNTED}
    return reply_length(request) if request.reply.form in fixed else 1


def earliest_reply_s(request: Request) -> float:
    """Shortest time on the wire from the first byte of `request` to the last of a whole answer.

    0 where the answer may be of any length.
    """
    if request.reply.form is ReplyForm.PACKETS:
        return 0.0
    return _exchange_s(request)


def reply_timeout_s(request: Request) -> float:
    """How long to wait for the whole answer, from the moment the request is handed over."""
    limit_s = WRITE_TIMEOUT_S if request.is_write else READ_TIMEOUT_S
    return limit_s + _exchange_s(request)


@lru_cache(maxsize=64)
def _exchange_s(request: Request) -> float:
    """Time on the wire of `request` and its longest answer."""
    return wire_time_s(len(request.encode()) + reply_length(request))
