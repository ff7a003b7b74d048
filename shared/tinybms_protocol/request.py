"""What every request to a TinyBMS has in common, and what the protocol forbids."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tinybms_protocol.crc import with_crc
from tinybms_protocol.errors import BadRequest
from tinybms_protocol.registers import BY_ADDRESS, BY_KEY, READABLE_BLOCKS, RegisterType
from tinybms_protocol.wire import REPLY_FORMS, START, Command, ReplyForm

WRITE_WINDOW: Final = range(300, 400)
_WORD_MAX: Final = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyShape:
    """What a correct answer must look like; `max_size` bounds its payload in bytes."""

    command: Command
    form: ReplyForm
    sizes: Container[int] = (0,)
    max_size: int = 0
    echo: bytes = b""
    """ECHO only: address and count that must come back."""
    addresses: tuple[int, ...] = ()
    """Command 0x09 only: registers that the answer must name, in this order."""


class Request(ABC):
    """Something to ask of the BMS."""

    __slots__ = ()

    @property
    @abstractmethod
    def command(self) -> Command:
        """Second byte of the frame."""

    @property
    @abstractmethod
    def reply(self) -> ReplyShape:
        """What the answer must look like."""

    @abstractmethod
    def body(self) -> bytes:
        """Bytes between command and CRC."""

    @property
    def is_write(self) -> bool:
        """Whether it changes something in the BMS; never send such a request twice unasked."""
        return self.command in _WRITES

    def encode(self) -> bytes:
        """The frame as it goes onto the line."""
        return with_crc(bytes((START, self.command)) + self.body())


_WRITES: Final = frozenset(
    {Command.OPTION, Command.WRITE_PACKETS, Command.WRITE_SCATTERED, Command.WRITE_BLOCK}
)


def ack(command: Command) -> ReplyShape:
    """The shape of an ACK to `command`."""
    return ReplyShape(command=command, form=ReplyForm.ACK)


@lru_cache(maxsize=256)
def exactly(command: Command, size: int) -> ReplyShape:
    """The shape of an answer with exactly `size` payload bytes."""
    return ReplyShape(command=command, form=REPLY_FORMS[command], sizes=(size,), max_size=size)


def check_count(count: int, limit: int, command: str) -> None:
    """Raise BadRequest unless 1 <= count <= limit."""
    if not 1 <= count <= limit:
        raise BadRequest(f"{count} registers by command {command}: 1 to {limit} are allowed")


def check_readable(address: int, count: int, *, allow_reserved: bool) -> None:
    """Raise BadRequest unless the words lie in one block of the map that holds something.

    With `allow_reserved` any words of the map will do.
    """
    words = range(address, address + count)
    if allow_reserved:
        inside = all(word in BY_ADDRESS for word in words)
    else:
        inside = any(
            block.start <= words.start and words.stop <= block.stop
            for block in READABLE_BLOCKS.values()
        )
    if not inside:
        allowed = ", ".join(f"{b.start}-{b.stop - 1}" for b in READABLE_BLOCKS.values())
        raise BadRequest(
            f"registers {words.start}-{words.stop - 1} cannot be read: the BMS answers junk "
            f"outside {allowed}"
        )


def check_writable(addresses: Iterable[int], words: Sequence[int]) -> None:
    """Raise BadRequest for anything but settings, and for words that do not fit a register."""
    wanted = tuple(addresses)
    for address in wanted:
        if address not in WRITE_WINDOW:
            raise BadRequest(f"register {address} cannot be written: only 300-399 can")
        if any(row.type is RegisterType.RESERVED for row in BY_ADDRESS[address]):
            raise BadRequest(f"register {address} is reserved and must not be written")
    for word in words:
        if not 0 <= word <= _WORD_MAX:
            raise BadRequest(f"{word} does not fit a register: 0 to 65535 do")
    pair = BY_KEY["pulses_per_unit"]
    if len({pair.address, pair.address + 1} & set(wanted)) == 1:
        raise BadRequest("registers 312 and 313 are one number: write both in one request")
