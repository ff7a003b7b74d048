"""What a CAN frame is made of: scaled numbers, texts, two-bit pairs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

PERIOD_S: Final = 1.0
"""Period of every frame; that of 0x351 is `can.keepalive_period_ms`."""

TEXT_LENGTH: Final = 8


class PairState(IntEnum):
    """What a two-bit pair of 0x35A says; 3 is read as UNSUPPORTED."""

    UNSUPPORTED = 0
    ACTIVE = 1
    OK = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A scaled integer: raw = round((value + shift) * per_unit), value within `low`..`high`.

    `unsupported` lists the raw codes that mean "not supported", the one that we send first; empty
    when the protocol has none.
    """

    key: str
    offset: int
    width: int = 2
    signed: bool = False
    big_endian: bool = False
    per_unit: int = 1
    shift: float = 0.0
    unit: str = ""
    unsupported: tuple[int, ...] = ()
    low: float
    high: float

    @property
    def end(self) -> int:
        """First byte after the signal."""
        return self.offset + self.width

    @property
    def byte_order(self) -> Literal["big", "little"]:
        """For int.from_bytes and int.to_bytes."""
        return "big" if self.big_endian else "little"

    @property
    def raw_low(self) -> int:
        """Smallest raw number that may be sent."""
        return nearest((self.low + self.shift) * self.per_unit)

    @property
    def raw_high(self) -> int:
        """Largest raw number that may be sent."""
        return nearest((self.high + self.shift) * self.per_unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Up to eight 7-bit characters, padded with zero bytes."""

    key: str
    offset: int = 0
    width: int = TEXT_LENGTH

    @property
    def end(self) -> int:
        """First byte after the text."""
        return self.offset + self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two neighbouring bits: `(byte >> shift) & 3` is a PairState."""

    key: str
    offset: int
    shift: int

    @property
    def end(self) -> int:
        """First byte after the one that holds the pair."""
        return self.offset + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One CAN frame: `length` is the DLC we send, `lengths` all that the protocol allows.

    `required`: M of the protocol, needed for the GX to use the battery at all.
    """

    id: int
    key: str
    fields: tuple[Number | Text | Pair, ...]
    length: int = 8
    lengths: tuple[int, ...] = (8,)
    period_s: float = PERIOD_S
    required: bool = False


def nearest(value: float) -> int:
    """The nearest whole number, halves away from zero."""
    return int(value + 0.5) if value >= 0 else -int(0.5 - value)
