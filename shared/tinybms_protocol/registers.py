"""The whole register map of the TinyBMS as one table.

Everything that names, scales, bounds or documents a register takes it from here. 32-bit numbers
and floats are stored low word first, in both the Modbus and the proprietary commands.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tinybms_protocol.register_model import (
    FIRMWARE_REV_D,
    Access,
    Register,
    RegisterGroup,
    RegisterType,
)
from tinybms_protocol.registers_events import EVENT_REGISTERS
from tinybms_protocol.registers_live import LIVE_REGISTERS
from tinybms_protocol.registers_settings import SETTINGS_REGISTERS
from tinybms_protocol.registers_statistics import STATISTICS_REGISTERS
from tinybms_protocol.registers_version import VERSION_REGISTERS

__all__ = [
    "BY_ADDRESS",
    "BY_KEY",
    "FIRMWARE_REV_D",
    "REGISTERS",
    "Access",
    "Register",
    "RegisterGroup",
    "RegisterType",
    "registers_in",
]

REGISTERS: Final[tuple[Register, ...]] = (
    *LIVE_REGISTERS,
    *STATISTICS_REGISTERS,
    *EVENT_REGISTERS,
    *SETTINGS_REGISTERS,
    *VERSION_REGISTERS,
)

BY_KEY: Final[Mapping[str, Register]] = MappingProxyType({row.key: row for row in REGISTERS})


def _by_address() -> dict[int, tuple[Register, ...]]:
    rows: dict[int, tuple[Register, ...]] = {}
    for row in REGISTERS:
        for address in range(row.address, row.end):
            rows[address] = (*rows.get(address, ()), row)
    return rows


BY_ADDRESS: Final[Mapping[int, tuple[Register, ...]]] = MappingProxyType(_by_address())
"""All fields that lie on a word, reserved ones included; no entry for words outside the map."""


def registers_in(start_address: int, count: int) -> tuple[Register, ...]:
    """Fields that lie wholly inside `count` words from `start_address`, reserved ones left out."""
    end = start_address + count
    return tuple(
        row
        for row in REGISTERS
        if start_address <= row.address and row.end <= end and row.type is not RegisterType.RESERVED
    )


READABLE_BLOCKS: Final[Mapping[RegisterGroup, range]] = MappingProxyType(
    {
        RegisterGroup.LIVE: range(56),
        RegisterGroup.STATISTICS: range(100, 118),
        RegisterGroup.EVENTS: range(200, 298),
        RegisterGroup.SETTINGS: range(300, 344),
        RegisterGroup.VERSION: range(500, 510),
    }
)
"""The words that hold something. Elsewhere the BMS answers with junk instead of refusing."""
