"""What one row of the register table says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class RegisterType(StrEnum):
    """How the bits of a register are read. 32-bit types are stored low word first."""

    UINT16 = "uint16"
    INT16 = "int16"
    UINT32 = "uint32"
    FLOAT32 = "float32"
    UINT8 = "uint8"
    INT8 = "int8"
    ENUM16 = "enum16"
    ENUM8 = "enum8"
    BITS = "bits"
    BITMASK16 = "bitmask16"
    EVENT = "event"
    """Lifetime seconds modulo 2^24 in the low 24 bits, event number in the high 8 bits."""
    BYTES12 = "bytes12"
    RESERVED = "reserved"


class RegisterGroup(StrEnum):
    """Part of the map that a register belongs to."""

    LIVE = "live"
    STATISTICS = "statistics"
    EVENTS = "events"
    SETTINGS = "settings"
    VERSION = "version"


class Access(StrEnum):
    """What a host may do with a register."""

    READ = "R"
    READ_WRITE = "RW"


FIRMWARE_REV_D: Final = 251
"""First firmware (register 502) that has the registers added by protocol Rev D."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One field of the register map; several fields may share one word.

    `value = number * scale` in `unit`. `minimum` and `maximum` are in `unit` and bound what may be
    written (settings) or what the vendor lists (all others); None means that no bound is listed.
    """

    key: str
    label: str
    address: int
    """First word."""
    words: int = 1
    type: RegisterType = RegisterType.UINT16
    scale: float = 1.0
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    access: Access = Access.READ
    group: RegisterGroup
    names: Mapping[int, str] | None = field(default=None, hash=False)
    """Number to name, for the enumerations."""
    low_bit: int = 0
    """Position of the field's lowest bit in its word."""
    bits: int = 16
    """Width of the field; 16 or more means the whole register."""
    unknown_raw: int | None = None
    """Number that means "not fitted" or "nothing there" instead of a measurement."""
    since_firmware: int = 0
    """First firmware (register 502) that fills the register; older ones hold no meaning there."""
    source: str

    @property
    def is_field(self) -> bool:
        """Whether the register is only a part of its word."""
        return self.bits < 16

    @property
    def writable(self) -> bool:
        """Whether a host may write it; reserved registers of the settings window are not."""
        return self.access is Access.READ_WRITE and self.type is not RegisterType.RESERVED

    @property
    def end(self) -> int:
        """First address after the register."""
        return self.address + self.words
