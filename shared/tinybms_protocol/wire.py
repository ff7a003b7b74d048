"""Bytes that requests and answers share: start byte, command numbers, word packing."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import Final

START: Final = 0xAA
"""First byte in both directions; a single TinyBMS has no other address."""
ACK: Final = 0x01
NACK: Final = 0x00
PACKET_SIZE: Final = 63
"""Payload bytes of every packet but the last in a multi-packet answer."""
MORE_PACKETS: Final = 0x80
"""Bit of the length byte that marks such a packet; the low six bits then hold its id."""
LOW_SIX_BITS: Final = 0x3F
BUFFER_SIZE: Final = 1024
"""Bytes that a decoder holds at most; the longest frame of the protocol has 260."""


class Command(IntEnum):
    """Commands of the TinyBMS UART protocol Rev D."""

    OPTION = 0x02
    READ_BLOCK = 0x03
    """Modbus function 3."""
    READ_PACKETS = 0x07
    READ_SCATTERED = 0x09
    WRITE_PACKETS = 0x0B
    WRITE_SCATTERED = 0x0D
    WRITE_BLOCK = 0x10
    """Modbus function 16."""
    NEWEST_EVENTS = 0x11
    ALL_EVENTS = 0x12
    PACK_VOLTAGE = 0x14
    PACK_CURRENT = 0x15
    MAX_CELL_VOLTAGE = 0x16
    MIN_CELL_VOLTAGE = 0x17
    ONLINE_STATUS = 0x18
    LIFETIME = 0x19
    STATE_OF_CHARGE = 0x1A
    TEMPERATURES = 0x1B
    CELL_VOLTAGES = 0x1C
    SETTINGS = 0x1D
    VERSION = 0x1E
    EXTENDED_VERSION = 0x1F
    TRIP = 0x20
    """Speed, distance left, time left."""


class ReplyForm(Enum):
    """How the answer to a command is laid out, behind 0xAA."""

    ACK = "ack"
    """01, command."""
    ECHO = "echo"
    """Command and the first four bytes of the request."""
    BARE = "bare"
    """Command, payload of a fixed size, no length byte."""
    COUNTED = "counted"
    """Command, 8-bit length, payload."""
    PACKETS = "packets"
    """Command, length or packet id, payload; perhaps more of the same."""


REPLY_FORMS: Final = {
    Command.OPTION: ReplyForm.ACK,
    Command.READ_BLOCK: ReplyForm.COUNTED,
    Command.READ_PACKETS: ReplyForm.PACKETS,
    Command.READ_SCATTERED: ReplyForm.PACKETS,
    Command.WRITE_PACKETS: ReplyForm.ACK,
    Command.WRITE_SCATTERED: ReplyForm.ACK,
    Command.WRITE_BLOCK: ReplyForm.ECHO,
    Command.NEWEST_EVENTS: ReplyForm.COUNTED,
    Command.ALL_EVENTS: ReplyForm.COUNTED,
    Command.PACK_VOLTAGE: ReplyForm.BARE,
    Command.PACK_CURRENT: ReplyForm.BARE,
    Command.MAX_CELL_VOLTAGE: ReplyForm.BARE,
    Command.MIN_CELL_VOLTAGE: ReplyForm.BARE,
    Command.ONLINE_STATUS: ReplyForm.BARE,
    Command.LIFETIME: ReplyForm.BARE,
    Command.STATE_OF_CHARGE: ReplyForm.BARE,
    Command.TEMPERATURES: ReplyForm.COUNTED,
    Command.CELL_VOLTAGES: ReplyForm.COUNTED,
    Command.SETTINGS: ReplyForm.COUNTED,
    Command.VERSION: ReplyForm.COUNTED,
    Command.EXTENDED_VERSION: ReplyForm.COUNTED,
    Command.TRIP: ReplyForm.BARE,
}


def pack_be(words: Sequence[int]) -> bytes:
    """Words high byte first, as in the Modbus commands 0x03 and 0x10."""
    return struct.pack(f">{len(words)}H", *words)


def pack_le(words: Sequence[int]) -> bytes:
    """Words low byte first, as in every other command."""
    return struct.pack(f"<{len(words)}H", *words)


def unpack_be(data: bytes) -> tuple[int, ...]:
    """Words that are stored high byte first; `data` holds an even number of bytes."""
    return struct.unpack(f">{len(data) // 2}H", data)


def unpack_le(data: bytes) -> tuple[int, ...]:
    """Words that are stored low byte first; `data` holds an even number of bytes."""
    return struct.unpack(f"<{len(data) // 2}H", data)
