"""The BMS's side of the line: finds requests in bytes and lays out answers. For the simulator.

    0xAA | command | arguments ... | CRC low | CRC high

Requests carry no total length: it follows from the command, or from a length byte inside. The
frames are parsed as they are, not judged: what to refuse is the device's own decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tinybms_protocol.crc import crc16, with_crc
from tinybms_protocol.errors import LineErrorKind
from tinybms_protocol.frames import LineError
from tinybms_protocol.wire import (
    ACK,
    BUFFER_SIZE,
    MORE_PACKETS,
    NACK,
    PACKET_SIZE,
    REPLY_FORMS,
    START,
    Command,
    ReplyForm,
    pack_be,
    pack_le,
    unpack_be,
    unpack_le,
)

_HEAD: Final = 2
_CRC: Final = 2
_FIRST_SETTING: Final = 300
_LONGEST_UNKNOWN: Final = 16
_LENGTH_AT: Final = {
    Command.READ_SCATTERED: 0,
    Command.WRITE_PACKETS: 0,
    Command.WRITE_SCATTERED: 0,
    Command.WRITE_BLOCK: 4,
}
"""Where the length byte stands in the arguments, for requests of variable length."""
_ARGUMENTS: Final = {
    Command.OPTION: 1,
    Command.READ_BLOCK: 4,
    Command.READ_PACKETS: 3,
    Command.SETTINGS: 3,
}
"""Bytes of arguments of the others; all commands in neither table have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFrame:
    """A request as it came: whole and with a right CRC, but perhaps not one the BMS would obey.

    Fields that a command does not have are None or empty. `command` may be one that is unknown.
    """

    command: int
    body: bytes
    """Bytes between command and CRC."""
    option: int | None = None
    address: int | None = None
    count: int | None = None
    addresses: tuple[int, ...] = ()
    """0x09 and 0x0D."""
    words: tuple[int, ...] = ()
    """What is to be written."""

    @classmethod
    def parse(cls, frame: bytes) -> RequestFrame:
        """Take a whole frame of the right length apart."""
        code, body = frame[1], frame[_HEAD:-_CRC]
        option: int | None = None
        address: int | None = None
        count: int | None = None
        addresses: tuple[int, ...] = ()
        words: tuple[int, ...] = ()
        match code:
            case Command.OPTION:
                option = body[0]
            case Command.READ_BLOCK:
                address, count = unpack_be(body)
            case Command.READ_PACKETS:
                address, count = int.from_bytes(body[1:], "little"), body[0]
            case Command.READ_SCATTERED:
                addresses = _even_le(body[1:])
            case Command.SETTINGS:
                option, address, count = body[0], _FIRST_SETTING, body[2]
            case Command.WRITE_BLOCK:
                address, count = unpack_be(body[:4])
                words = unpack_be(body[5 : 5 + len(body[5:]) // 2 * 2])
            case Command.WRITE_SCATTERED:
                numbers = _even_le(body[1:])
                addresses, words = numbers[::2], numbers[1::2]
            case Command.WRITE_PACKETS if len(body) > _HEAD:
                address, *data = _even_le(body[1:])
                words, count = tuple(data), len(data)
        return cls(
            command=code,
            body=body,
            option=option,
            address=address,
            count=count,
            addresses=addresses,
            words=words,
        )

    def encode(self) -> bytes:
        """The frame as it was on the line."""
        return with_crc(bytes((START, self.command)) + self.body)


class RequestDecoder:
    """Finds requests in any chunks of bytes, stepping byte by byte over what is none.

    A frame of a known command with a wrong CRC is a LineError CRC that names the command, so that
    the device can refuse it. A command that the protocol does not have is given as a RequestFrame
    once any of its first bytes end in a right CRC.
    """

    def __init__(self) -> None:
        """Start with nothing received."""
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[RequestFrame | LineError]:
        """Take bytes as they came; give the requests that they complete, in order."""
        found: list[RequestFrame | LineError] = []
        half = BUFFER_SIZE // 2
        for start in range(0, len(chunk), half):
            self._buffer += chunk[start : start + half]
            while self._advance(found):
                pass
        return found

    def reset(self) -> int:
        """Forget a frame that was never completed; give the number of bytes dropped."""
        dropped = len(self._buffer)
        self._buffer.clear()
        return dropped

    def _advance(self, found: list[RequestFrame | LineError]) -> bool:
        """Take one step; False when more bytes are needed."""
        buffer = self._buffer
        start = buffer.find(START)
        if start:
            del buffer[: len(buffer) if start < 0 else start]
            return bool(buffer)
        if len(buffer) < _HEAD:
            return False
        if buffer[1] not in REPLY_FORMS:
            return self._advance_unknown(found)
        length = self._length(Command(buffer[1]))
        if length is None or len(buffer) < length:
            return False
        frame = bytes(buffer[:length])
        if crc16(frame):
            detail = f"{length} bytes of command {frame[1]:#04x}"
            found.append(LineError(kind=LineErrorKind.CRC, detail=detail, command=frame[1]))
            del buffer[:1]
        else:
            found.append(RequestFrame.parse(frame))
            del buffer[:length]
        return True

    def _length(self, command: Command) -> int | None:
        if command not in _LENGTH_AT:
            return _HEAD + _ARGUMENTS.get(command, 0) + _CRC
        at = _HEAD + _LENGTH_AT[command]
        if len(self._buffer) <= at:
            return None
        return at + 1 + self._buffer[at] + _CRC

    def _advance_unknown(self, found: list[RequestFrame | LineError]) -> bool:
        for length in range(_HEAD + _CRC, min(len(self._buffer), _LONGEST_UNKNOWN) + 1):
            if not crc16(self._buffer[:length]):
                found.append(RequestFrame.parse(bytes(self._buffer[:length])))
                del self._buffer[:length]
                return True
        if len(self._buffer) < _LONGEST_UNKNOWN:
            return False
        del self._buffer[:1]
        return True


def encode_ack(command: int) -> bytes:
    """01 and the command: accepted."""
    return with_crc(bytes((START, ACK, command)))


def encode_nack(command: int, code: int) -> bytes:
    """00, the command and a code: refused (0 command error, 1 CRC error)."""
    return with_crc(bytes((START, NACK, command, code)))


def encode_reply(
    request: RequestFrame, payload: bytes = b"", packet_ids: Sequence[int] | None = None
) -> bytes:
    """The answer to a known command with `payload` as on the wire, length byte not included.

    Word order in the payload: high byte first for 0x03, low byte first for all others; 0x09 wants
    address and value of each register. ACK and echo take no payload. `packet_ids`: ids of all
    packets but the last of an answer to 0x07 or 0x09; counting down from the number of packets
    when not given.
    """
    command = Command(request.command)
    match REPLY_FORMS[command]:
        case ReplyForm.ACK:
            return encode_ack(command)
        case ReplyForm.ECHO:
            return with_crc(bytes((START, command)) + request.body[:4])
        case ReplyForm.BARE:
            return with_crc(bytes((START, command)) + payload)
        case ReplyForm.COUNTED:
            return with_crc(bytes((START, command, len(payload))) + payload)
        case ReplyForm.PACKETS:
            return _encode_packets(command, payload, packet_ids)


def encode_words(request: RequestFrame, words: Sequence[int]) -> bytes:
    """The answer that carries register words, in the byte order and form of the command.

    For 0x09 the words are the values of `request.addresses`, in their order.
    """
    if request.command == Command.READ_BLOCK:
        return encode_reply(request, pack_be(words))
    if request.command == Command.READ_SCATTERED:
        pairs = zip(request.addresses, words, strict=True)
        return encode_reply(request, pack_le([number for pair in pairs for number in pair]))
    return encode_reply(request, pack_le(words))


def _encode_packets(command: int, payload: bytes, packet_ids: Sequence[int] | None) -> bytes:
    before_last = max(0, len(payload) - 1) // PACKET_SIZE
    ids = packet_ids or range(before_last + 1, 1, -1)
    frames = [
        with_crc(
            bytes((START, command, MORE_PACKETS | packet_id))
            + payload[index * PACKET_SIZE : (index + 1) * PACKET_SIZE]
        )
        for index, packet_id in zip(range(before_last), ids, strict=True)
    ]
    last = payload[before_last * PACKET_SIZE :]
    return b"".join((*frames, with_crc(bytes((START, command, len(last))) + last)))


def _even_le(data: bytes) -> tuple[int, ...]:
    return unpack_le(data[: len(data) // 2 * 2])
