"""Requests that read. Source: TinyBMS protocol Rev D, UART commands."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tinybms_protocol.errors import BadRequest
from tinybms_protocol.request import (
    ReplyShape,
    Request,
    check_count,
    check_readable,
    exactly,
)
from tinybms_protocol.wire import REPLY_FORMS, Command, pack_be, pack_le

MAX_READ_WORDS: Final = 127
MAX_PACKET_READ_WORDS: Final = 255
MAX_SCATTERED_READS: Final = 31
MAX_SETTINGS_WORDS: Final = 100

_EVENT_SIZES: Final = range(4, 252, 4)
_QUERY_SIZES: Final[dict[Command, Container[int]]] = {
    Command.NEWEST_EVENTS: _EVENT_SIZES,
    Command.ALL_EVENTS: _EVENT_SIZES,
    Command.PACK_VOLTAGE: (4,),
    Command.PACK_CURRENT: (4,),
    Command.MAX_CELL_VOLTAGE: (2,),
    Command.MIN_CELL_VOLTAGE: (2,),
    Command.ONLINE_STATUS: (2,),
    Command.LIFETIME: (4,),
    Command.STATE_OF_CHARGE: (4,),
    Command.TEMPERATURES: (6,),
    # How many cells a pack below 16 reports is not documented.
    Command.CELL_VOLTAGES: range(2, 34, 2),
    Command.VERSION: (5,),
    Command.EXTENDED_VERSION: (7,),
    Command.TRIP: (12,),
}
_LONGEST_PAYLOAD: Final = 250


@dataclass(frozen=True, slots=True)
class ReadBlock(Request):
    """0x03: up to 127 neighbouring registers in one frame; the command for all block reads.

    `allow_reserved` lets a diagnosis read the vendor's reserved registers of the map.
    """

    address: int
    count: int
    allow_reserved: bool = False

    def __post_init__(self) -> None:
        """Refuse counts above 127 and registers outside the map."""
        check_count(self.count, MAX_READ_WORDS, "0x03")
        check_readable(self.address, self.count, allow_reserved=self.allow_reserved)

    @property
    def command(self) -> Command:
        """0x03."""
        return Command.READ_BLOCK

    @property
    def reply(self) -> ReplyShape:
        """Twice `count` bytes."""
        return exactly(self.command, 2 * self.count)

    def body(self) -> bytes:
        """Address and count, high byte first."""
        return pack_be((self.address, self.count))


@dataclass(frozen=True, slots=True)
class ReadPackets(Request):
    """0x07: neighbouring registers; above 31 the answer comes in several packets."""

    address: int
    count: int
    allow_reserved: bool = False

    def __post_init__(self) -> None:
        """Refuse counts above 255 and registers outside the map."""
        check_count(self.count, MAX_PACKET_READ_WORDS, "0x07")
        check_readable(self.address, self.count, allow_reserved=self.allow_reserved)

    @property
    def command(self) -> Command:
        """0x07."""
        return Command.READ_PACKETS

    @property
    def reply(self) -> ReplyShape:
        """Twice `count` bytes."""
        return exactly(self.command, 2 * self.count)

    def body(self) -> bytes:
        """Count, then address low byte first."""
        return bytes((self.count,)) + pack_le((self.address,))


@dataclass(frozen=True, slots=True)
class ReadScattered(Request):
    """0x09: up to 31 registers anywhere; the answer names each."""

    addresses: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse more than 31 registers and registers outside the map."""
        check_count(len(self.addresses), MAX_SCATTERED_READS, "0x09")
        for address in self.addresses:
            check_readable(address, 1, allow_reserved=False)

    @property
    def command(self) -> Command:
        """0x09."""
        return Command.READ_SCATTERED

    @property
    def reply(self) -> ReplyShape:
        """Address and value for each register."""
        size = 4 * len(self.addresses)
        return ReplyShape(
            command=self.command,
            form=REPLY_FORMS[self.command],
            sizes=(size,),
            max_size=size,
            addresses=self.addresses,
        )

    def body(self) -> bytes:
        """Length, then the addresses low byte first."""
        return bytes((2 * len(self.addresses),)) + pack_le(self.addresses)


class SettingsOption(IntEnum):
    """Which values command 0x1D asks for."""

    MINIMUM = 0x01
    MAXIMUM = 0x02
    DEFAULT = 0x03
    CURRENT = 0x04


@dataclass(frozen=True, slots=True)
class ReadSettings(Request):
    """0x1D: limits, defaults or values of `count` settings, always from register 300 on."""

    option: SettingsOption
    count: int

    def __post_init__(self) -> None:
        """Refuse counts above 100."""
        check_count(self.count, MAX_SETTINGS_WORDS, "0x1D")

    @property
    def command(self) -> Command:
        """0x1D."""
        return Command.SETTINGS

    @property
    def reply(self) -> ReplyShape:
        """Twice `count` bytes."""
        return exactly(self.command, 2 * self.count)

    def body(self) -> bytes:
        """Option, zero, count."""
        return bytes((self.option, 0, self.count))


@dataclass(frozen=True, slots=True)
class Query(Request):
    """The commands without arguments: events, single values, temperatures, cells, versions."""

    query: Command

    def __post_init__(self) -> None:
        """Refuse commands that need arguments."""
        if self.query not in _QUERY_SIZES:
            raise BadRequest(f"command {self.query:#04x} needs arguments: use its own request type")

    @property
    def command(self) -> Command:
        """The command itself."""
        return self.query

    @property
    def reply(self) -> ReplyShape:
        """Sizes that the command may answer with."""
        sizes = _QUERY_SIZES[self.query]
        longest = max(size for size in range(_LONGEST_PAYLOAD) if size in sizes)
        return ReplyShape(
            command=self.query, form=REPLY_FORMS[self.query], sizes=sizes, max_size=longest
        )

    def body(self) -> bytes:
        """Nothing."""
        return b""
