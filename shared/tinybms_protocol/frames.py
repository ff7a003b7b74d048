"""Decoder for the answers of a TinyBMS: bytes in, answers or line errors out.

    0xAA | command | length | payload ... | CRC low | CRC high      most answers
    0xAA | command |          payload ... | CRC low | CRC high      0x14-0x1A, 0x20
    0xAA | 0x10    | address  | count     | CRC low | CRC high      write echo (big-endian)
    0xAA | 0x01    | command              | CRC low | CRC high      ACK of 0x02, 0x0B, 0x0D
    0xAA | 0x00    | command  | code      | CRC low | CRC high      NACK, to any command

In answers to 0x07 and 0x09 bit 7 of the length byte marks a packet of 63 payload bytes that is
followed by another; its low six bits are then a packet id.

Recovery, always byte by byte, so that a good frame is never lost behind a bad one:

* bytes in front of 0xAA (noise, broadcast text) are skipped and reported as JUNK;
* a start whose command, ACK/NACK command, length, echoed address or packet id is not what the
  request leads to is stepped over as COMMAND, LENGTH, ADDRESS or PACKET;
* a complete frame with a wrong CRC is stepped over by one byte as CRC, and the search goes on
  inside it;
* a start that waits for bytes which never come is stepped over by `finish`, which then looks at
  what lies behind it before it reports TIMEOUT;
* what follows a complete answer (the same answer again) is reported as TRAILING.

A late answer to an earlier 0x03 or 0x07 with the same count cannot be told from the right one:
give every polled block its own count (`poll_plan.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

from tinybms_protocol.commands import ReplyShape, Request
from tinybms_protocol.crc import crc16
from tinybms_protocol.errors import BadReply, LineErrorKind
from tinybms_protocol.wire import (
    ACK,
    BUFFER_SIZE,
    LOW_SIX_BITS,
    MORE_PACKETS,
    NACK,
    PACKET_SIZE,
    START,
    Command,
    ReplyForm,
    unpack_be,
    unpack_le,
)

_HEAD: Final = 2
_CRC: Final = 2
_SHORT: Final = 5
"""Bytes of an ACK, and of a frame with length byte and no payload."""
_NACK_LENGTH: Final = 6
_ECHO_LENGTH: Final = 8
_SLICE: Final = BUFFER_SIZE // 2
_SHOWN: Final = 16
_KNOWN: Final = frozenset(Command) | {ACK, NACK}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A complete and correct answer.

    `payload`: bytes as on the wire. `words`: the register words, without the addresses of 0x09;
    empty for an ACK, an echo and an odd number of bytes.
    """

    request: Request
    payload: bytes
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nack:
    """The BMS refused the request."""

    command: int
    code: int

    @property
    def kind(self) -> LineErrorKind:
        """Kind to count it under: 0 is a command error, 1 a CRC error, all else unknown."""
        kinds = {0: LineErrorKind.NACK_COMMAND, 1: LineErrorKind.NACK_CRC}
        return kinds.get(self.code, LineErrorKind.NACK_UNKNOWN)

    @property
    def may_repeat(self) -> bool:
        """Whether the same request may succeed: only when the BMS saw it damaged."""
        return self.kind is LineErrorKind.NACK_CRC

    def to_error(self) -> BadReply:
        """The refusal as an exception."""
        return BadReply(
            self.kind, f"the BMS refused command {self.command:#04x} with code {self.code}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LineError:
    """Something on the line that is not a correct answer; count it by `kind`."""

    kind: LineErrorKind
    detail: str
    command: int | None = None
    """Command of the damaged frame, where one can be named."""


Event: TypeAlias = Reply | Nack | LineError


class ReplyDecoder:
    """Finds the answer to one request in any chunks of bytes; see the module for its rules."""

    def __init__(self, request: Request) -> None:
        """Wait for the answer to `request`."""
        self._request = request
        self._shape: ReplyShape = request.reply
        self._buffer = bytearray()
        self._collected = bytearray()
        self._packet_ids: list[int] = []
        self._junk = bytearray()
        self._junk_count = 0
        self._in_remains = False
        self._done = False
        self._bytes_seen = 0

    @property
    def done(self) -> bool:
        """Whether the answer or a refusal has come."""
        return self._done

    @property
    def bytes_seen(self) -> int:
        """Bytes fed so far; 0 at the deadline means silence, the only reason to repeat to wake."""
        return self._bytes_seen

    def feed(self, chunk: bytes) -> list[Event]:
        """Take bytes as they came from the line; give what they complete, in order."""
        events: list[Event] = []
        self._bytes_seen += len(chunk)
        for start in range(0, len(chunk), _SLICE):
            self._buffer += chunk[start : start + _SLICE]
            self._scan(events, final=False)
        self._report_leftovers(events)
        return events

    def finish(self) -> list[Event]:
        """The deadline has come: a last look, then TIMEOUT unless the answer was found."""
        events: list[Event] = []
        self._scan(events, final=True)
        self._report_leftovers(events)
        if not self._done:
            events.append(
                LineError(
                    kind=LineErrorKind.TIMEOUT,
                    detail=f"no answer to command {self._shape.command:#04x}, "
                    f"{self._bytes_seen} bytes seen",
                    command=self._shape.command,
                )
            )
        return events

    def _scan(self, events: list[Event], *, final: bool) -> None:
        while self._buffer and not self._done:
            if self._buffer[0] != START:
                self._skip_to_start()
                continue
            length = self._measure()
            if length is None or (isinstance(length, int) and length > len(self._buffer)):
                if not final:
                    return
                self._step()
            elif isinstance(length, LineError):
                self._reject(length, events)
            elif crc16(self._buffer[:length]):
                self._reject(self._error(LineErrorKind.CRC, f"{length} bytes"), events)
            else:
                self._accept(length, events)

    def _measure(self) -> int | LineError | None:
        """Length of the frame at the head; None: more bytes are needed; or why it is none."""
        if len(self._buffer) <= _HEAD:
            return self._measure_head()
        code, third = self._buffer[1], self._buffer[2]
        form = self._shape.form
        if code == NACK or (code == ACK and form is ReplyForm.ACK):
            named, length = third, _NACK_LENGTH if code == NACK else _SHORT
        else:
            named, length = code, None
        if named != self._shape.command or (length is None and form is ReplyForm.ACK):
            return self._not_ours(named)
        return length or self._measure_answer(third)

    def _measure_head(self) -> LineError | None:
        """The same for a head of one or two bytes, which says little yet."""
        if len(self._buffer) == _HEAD and self._buffer[1] not in _KNOWN:
            return self._not_ours(self._buffer[1])
        return None

    def _measure_answer(self, third: int) -> int | LineError:
        """Length of an answer that names our command; `third` is its third byte."""
        match self._shape.form:
            case ReplyForm.ECHO:
                return self._measure_echo()
            case ReplyForm.PACKETS:
                return self._measure_packet(third)
            case ReplyForm.COUNTED if third not in self._shape.sizes:
                return self._error(LineErrorKind.LENGTH, f"length byte {third}")
            case ReplyForm.COUNTED:
                return _SHORT + third
            case _:
                return _HEAD + self._shape.max_size + _CRC

    def _measure_echo(self) -> int | LineError:
        seen = bytes(self._buffer[_HEAD : _HEAD + len(self._shape.echo)])
        if not self._shape.echo.startswith(seen):
            return self._error(LineErrorKind.ADDRESS, f"echo {seen.hex(' ')}")
        return _ECHO_LENGTH

    def _measure_packet(self, length_byte: int) -> int | LineError:
        remaining = self._shape.max_size - len(self._collected)
        size = length_byte & LOW_SIX_BITS
        if not length_byte & MORE_PACKETS:
            if size != remaining:
                return self._error(
                    LineErrorKind.LENGTH, f"last packet of {size} bytes, {remaining} missing"
                )
            return _SHORT + size
        if remaining < PACKET_SIZE:
            return self._error(LineErrorKind.LENGTH, f"packet too many, {remaining} missing")
        if not _monotonic([*self._packet_ids, size]):
            return self._error(LineErrorKind.PACKET, f"packet id {size} after {self._packet_ids}")
        return _SHORT + PACKET_SIZE

    def _accept(self, length: int, events: list[Event]) -> None:
        frame = bytes(self._buffer[:length])
        if frame[1] == NACK:
            self._take(length)
            self._done = True
            events.append(Nack(command=frame[2], code=frame[3]))
            return
        form = self._shape.form
        if form is ReplyForm.PACKETS:
            self._accept_packet(frame, events)
            return
        self._take(length)
        payload = b""
        if form is ReplyForm.BARE:
            payload = frame[_HEAD:-_CRC]
        elif form is ReplyForm.COUNTED:
            payload = frame[_HEAD + 1 : -_CRC]
        self._finish_reply(payload, self._words(payload), events)

    def _accept_packet(self, frame: bytes, events: list[Event]) -> None:
        payload = frame[_HEAD + 1 : -_CRC]
        if frame[2] & MORE_PACKETS:
            self._take(len(frame))
            self._collected += payload
            self._packet_ids.append(frame[2] & LOW_SIX_BITS)
            return
        whole = bytes(self._collected) + payload
        words = unpack_le(whole)
        if self._shape.addresses:
            if words[::2] != self._shape.addresses:
                self._collected.clear()
                self._packet_ids.clear()
                detail = f"registers {list(words[::2])} instead of {list(self._shape.addresses)}"
                self._reject(self._error(LineErrorKind.ADDRESS, detail), events)
                return
            words = words[1::2]
        self._take(len(frame))
        self._finish_reply(whole, words, events)

    def _finish_reply(self, payload: bytes, words: tuple[int, ...], events: list[Event]) -> None:
        self._done = True
        events.append(Reply(request=self._request, payload=payload, words=words))

    def _words(self, payload: bytes) -> tuple[int, ...]:
        if len(payload) % 2:
            return ()
        if self._shape.command is Command.READ_BLOCK:
            return unpack_be(payload)
        return unpack_le(payload)

    def _take(self, count: int) -> None:
        del self._buffer[:count]

    def _step(self) -> None:
        """Leave the start byte at the head behind."""
        self._note_junk(1)

    def _reject(self, error: LineError, events: list[Event]) -> None:
        if error.kind is not LineErrorKind.JUNK:
            events.append(error)
            self._in_remains = True
        self._step()

    def _skip_to_start(self) -> None:
        start = self._buffer.find(START)
        self._note_junk(len(self._buffer) if start < 0 else start)

    def _note_junk(self, count: int) -> None:
        """Drop bytes; those of a frame already reported are not reported again."""
        if not self._in_remains:
            self._junk += self._buffer[: min(count, _SHOWN - len(self._junk))]
            self._junk_count += count
        del self._buffer[:count]

    def _report_leftovers(self, events: list[Event]) -> None:
        if self._junk_count:
            text = f"{self._junk_count} bytes, beginning {bytes(self._junk)!r}"
            events.insert(0, self._error(LineErrorKind.JUNK, text))
            self._junk_count = 0
            self._junk.clear()
        if self._done and self._buffer:
            events.append(self._error(LineErrorKind.TRAILING, f"{len(self._buffer)} bytes"))
            self._buffer.clear()

    def _not_ours(self, code: int) -> LineError:
        kind = LineErrorKind.COMMAND if code in _KNOWN else LineErrorKind.JUNK
        return self._error(kind, f"frame of command {code:#04x}")

    def _error(self, kind: LineErrorKind, detail: str) -> LineError:
        command = self._shape.command
        return LineError(
            kind=kind, detail=f"{detail} in the answer to {command:#04x}", command=command
        )


def _monotonic(ids: list[int]) -> bool:
    steps = [later - earlier for earlier, later in pairwise(ids)]
    return all(step > 0 for step in steps) or all(step < 0 for step in steps)
