"""Requests that change something. Source: TinyBMS protocol Rev D, UART commands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tinybms_protocol.request import ReplyShape, Request, ack, check_count, check_writable
from tinybms_protocol.wire import REPLY_FORMS, Command, pack_be, pack_le

MAX_WRITE_WORDS: Final = 100
MAX_PACKET_WRITES: Final = 30
MAX_SCATTERED_WRITES: Final = 15


class OptionCode(IntEnum):
    """What command 0x02 can do."""

    CLEAR_EVENTS = 0x01
    CLEAR_STATISTICS = 0x02
    RESET = 0x05
    """Opens the switches before it restarts; the ACK may never come."""


@dataclass(frozen=True, slots=True)
class Option(Request):
    """0x02: clear the event log or the statistics, or restart the BMS."""

    option: OptionCode

    @property
    def command(self) -> Command:
        """0x02."""
        return Command.OPTION

    @property
    def reply(self) -> ReplyShape:
        """ACK."""
        return ack(self.command)

    def body(self) -> bytes:
        """The option."""
        return bytes((self.option,))


@dataclass(frozen=True, slots=True)
class WriteBlock(Request):
    """0x10: neighbouring settings in one frame; the command for all writes."""

    address: int
    words: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse more than 100 words, reserved settings and addresses outside 300-399."""
        check_count(len(self.words), MAX_WRITE_WORDS, "0x10")
        check_writable(range(self.address, self.address + len(self.words)), self.words)

    @property
    def command(self) -> Command:
        """0x10."""
        return Command.WRITE_BLOCK

    @property
    def reply(self) -> ReplyShape:
        """Address and count again."""
        return ReplyShape(
            command=self.command,
            form=REPLY_FORMS[self.command],
            echo=pack_be((self.address, len(self.words))),
        )

    def body(self) -> bytes:
        """Address, count, byte count, words high byte first."""
        count = len(self.words)
        return pack_be((self.address, count)) + bytes((2 * count,)) + pack_be(self.words)


@dataclass(frozen=True, slots=True)
class WritePackets(Request):
    """0x0B: neighbouring settings. Use WriteBlock instead.

    The protocol does not say whether the length byte counts the address; here it does, as in the
    other proprietary commands. This form has never been seen to work on a real BMS.
    """

    address: int
    words: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what does not fit one packet, reserved settings, addresses outside 300-399."""
        check_count(len(self.words), MAX_PACKET_WRITES, "0x0B")
        check_writable(range(self.address, self.address + len(self.words)), self.words)

    @property
    def command(self) -> Command:
        """0x0B."""
        return Command.WRITE_PACKETS

    @property
    def reply(self) -> ReplyShape:
        """ACK."""
        return ack(self.command)

    def body(self) -> bytes:
        """Length, address, words low byte first."""
        data = pack_le((self.address, *self.words))
        return bytes((len(data),)) + data


@dataclass(frozen=True, slots=True)
class WriteScattered(Request):
    """0x0D: up to 15 settings anywhere, as (address, word) pairs."""

    values: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        """Refuse more than 15 pairs, reserved settings and addresses outside 300-399."""
        check_count(len(self.values), MAX_SCATTERED_WRITES, "0x0D")
        check_writable(
            tuple(address for address, _ in self.values), tuple(word for _, word in self.values)
        )

    @property
    def command(self) -> Command:
        """0x0D."""
        return Command.WRITE_SCATTERED

    @property
    def reply(self) -> ReplyShape:
        """ACK."""
        return ack(self.command)

    def body(self) -> bytes:
        """Length, then address and word of each, low byte first."""
        data = pack_le(tuple(number for pair in self.values for number in pair))
        return bytes((len(data),)) + data
