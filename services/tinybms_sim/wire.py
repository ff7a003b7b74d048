"""Framing of the TinyBMS protocol as the device sees it: requests in, answers out.

    request   AA cmd ... crcLo crcHi
    refusal   AA 00 cmd err crc     err 0 = command error, 1 = CRC error
    accepted  AA 01 cmd crc         the third byte repeats the command

The CRC is CRC-16/MODBUS over all bytes before it, low byte first in every command. Source: TinyBMS
protocol Rev D, chapter 1.1. What the document leaves open (a partial frame, an unknown command) is
decided here: a frame that stays incomplete for `GAP_S` is dropped without an answer.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

START = 0xAA
GAP_S = 0.02
PACKET_PAYLOAD = 63
"""Payload bytes of every packet but the last in a multi-packet answer."""
_MAX_PENDING = 1024


class Command(IntEnum):
    """Commands of TinyBMS protocol Rev D, chapter 1.1."""

    OPTION = 0x02
    READ_BLOCK_MODBUS = 0x03
    READ_BLOCK = 0x07
    READ_SCATTERED = 0x09
    WRITE_BLOCK = 0x0B
    WRITE_SCATTERED = 0x0D
    WRITE_BLOCK_MODBUS = 0x10
    NEWEST_EVENTS = 0x11
    ALL_EVENTS = 0x12
    PACK_VOLTAGE = 0x14
    PACK_CURRENT = 0x15
    MAX_CELL = 0x16
    MIN_CELL = 0x17
    STATUS = 0x18
    LIFETIME = 0x19
    SOC = 0x1A
    TEMPERATURES = 0x1B
    CELLS = 0x1C
    SETTINGS = 0x1D
    VERSION = 0x1E
    VERSION_EXTENDED = 0x1F
    SPEED = 0x20


class Refusal(IntEnum):
    """Error codes of a refusal."""

    COMMAND = 0
    CRC = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One request as received; `payload` is what stands between the command and the CRC."""

    command: int
    payload: bytes
    crc_ok: bool

    @property
    def length(self) -> int:
        """Bytes on the line."""
        return len(self.payload) + 4


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_TABLE = _crc_table()


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS of data."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def sealed(body: bytes) -> bytes:
    """Body with its CRC behind it."""
    return body + struct.pack("<H", crc16(body))


def answer(command: int, body: bytes) -> bytes:
    """One answer frame: start byte, command, body, CRC."""
    return sealed(bytes((START, command)) + body)


def accepted(command: int) -> bytes:
    """The short acknowledgement of a command."""
    return sealed(bytes((START, 0x01, command)))


def refused(command: int, reason: Refusal) -> bytes:
    """The refusal of a command."""
    return sealed(bytes((START, 0x00, command, reason)))


def sized_answer(command: int, payload: bytes) -> bytes:
    """An answer with a plain 8-bit length before its payload."""
    return answer(command, bytes((len(payload),)) + payload)


def packets(command: int, payload: bytes) -> bytes:
    """A 0x07 or 0x09 answer, split into 63-byte packets whose ids count down to the last one."""
    count = max(1, -(-len(payload) // PACKET_PAYLOAD))
    frames = []
    for index in range(count):
        part = payload[index * PACKET_PAYLOAD : (index + 1) * PACKET_PAYLOAD]
        last = index == count - 1
        header = len(part) if last else 0x80 | (count - index)
        frames.append(answer(command, bytes((header,)) + part))
    return b"".join(frames)


def words_big(words: Sequence[int]) -> bytes:
    """Registers high byte first, as commands 0x03 and 0x10 carry them."""
    return struct.pack(f">{len(words)}H", *words)


def words_little(words: Sequence[int]) -> bytes:
    """Registers low byte first, as all other commands carry them."""
    return struct.pack(f"<{len(words)}H", *words)


class RequestReader:
    """Cuts a byte stream into requests; holds at most one unfinished request."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._last_s = 0.0
        self.dropped_bytes = 0

    def feed(self, data: bytes, now_s: float) -> Iterable[Frame]:
        """Frames completed by data; a pause of `GAP_S` before it drops what was unfinished."""
        frames = list(self.expire(now_s))
        self._pending += data
        self._last_s = now_s
        while (frame := self._next()) is not None:
            frames.append(frame)
        if len(self._pending) > _MAX_PENDING:
            self._drop(len(self._pending))
        return frames

    def expire(self, now_s: float) -> Iterable[Frame]:
        """Close what is unfinished after `GAP_S` of quiet; an unknown command is then a frame."""
        if not self._pending or now_s - self._last_s < GAP_S:
            return ()
        rest = bytes(self._pending)
        self._drop(len(rest))
        if len(rest) < 4 or _lengths(rest) != (0,):
            return ()
        return (_frame(rest),)

    @property
    def unfinished(self) -> bool:
        """Whether bytes wait for the rest of their request."""
        return bool(self._pending)

    def _drop(self, count: int) -> None:
        self.dropped_bytes += count
        del self._pending[:count]

    def _next(self) -> Frame | None:
        start = self._pending.find(START)
        if start != 0:
            self._drop(len(self._pending) if start < 0 else start)
        lengths = _lengths(bytes(self._pending[:8]))
        if not lengths or lengths == (0,):
            return None
        for length in lengths:
            frame = bytes(self._pending[:length])
            complete = len(frame) == length
            if complete and (crc16(frame) == 0 or length == lengths[-1]):
                del self._pending[:length]
                return _frame(frame)
        return None


def _frame(raw: bytes) -> Frame:
    return Frame(command=raw[1], payload=raw[2:-2], crc_ok=crc16(raw) == 0)


_FIXED_LENGTHS: dict[int, int] = {
    Command.OPTION: 5,
    Command.READ_BLOCK_MODBUS: 8,
    Command.READ_BLOCK: 7,
    Command.SETTINGS: 7,
    **dict.fromkeys(
        (
            Command.NEWEST_EVENTS,
            Command.ALL_EVENTS,
            Command.PACK_VOLTAGE,
            Command.PACK_CURRENT,
            Command.MAX_CELL,
            Command.MIN_CELL,
            Command.STATUS,
            Command.LIFETIME,
            Command.SOC,
            Command.TEMPERATURES,
            Command.CELLS,
            Command.VERSION,
            Command.VERSION_EXTENDED,
            Command.SPEED,
        ),
        4,
    ),
}


def _lengths(head: bytes) -> tuple[int, ...]:
    """Possible lengths of a request that begins so; () not known yet, (0,) no such command."""
    if len(head) < 2:
        return ()
    command = head[1]
    if fixed := _FIXED_LENGTHS.get(command):
        return (fixed,)
    if command in (Command.READ_SCATTERED, Command.WRITE_SCATTERED):
        return (head[2] + 5,) if len(head) > 2 else ()
    if command == Command.WRITE_BLOCK:
        # The document does not say whether the length counts the two address bytes: both are taken.
        return (head[2] + 5, head[2] + 7) if len(head) > 2 else ()
    if command == Command.WRITE_BLOCK_MODBUS:
        return (head[6] + 9,) if len(head) > 6 else ()
    return (0,)
