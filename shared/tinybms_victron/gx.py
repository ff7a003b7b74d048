"""GX registers that our values feed: D-Bus path, Modbus register, scale and sign, as one table.

A GX shows the same value at several scales (SoC: 266 in 0.1 %, 843 in whole percent); whoever
needs a number that the GX would hold takes it from `gx_raw`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Final


class GxService(StrEnum):
    """D-Bus service of the GX that owns a value."""

    BATTERY = "com.victronenergy.battery"
    SYSTEM = "com.victronenergy.system"


UNIT_ID: Final[Mapping[GxService, int]] = MappingProxyType(
    {GxService.BATTERY: 225, GxService.SYSTEM: 100}
)
"""Modbus unit of each service; 225 is a battery on the CAN bus (device instance 0)."""


class GxType(StrEnum):
    """How the GX stores a value in Modbus registers (32 bits: high word first)."""

    UINT16 = "uint16"
    INT16 = "int16"
    INT32 = "int32"
    STRING = "string"


class Sign(StrEnum):
    """How our value becomes the value on the GX's D-Bus."""

    SAME = "same"
    NEGATED = "negated"
    """We count upwards from 0, the GX keeps what was drawn as a negative number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GxRegister:
    """One register of a GX: `raw = D-Bus value * scale`, rounded.

    `words` is the length in registers; a string holds two ASCII characters in each.
    """

    service: GxService
    path: str
    register: int
    type: GxType = GxType.UINT16
    scale: float = 1.0
    sign: Sign = Sign.SAME
    words: int = 1

    @property
    def unit(self) -> int:
        """Modbus unit under which the register is read."""
        return UNIT_ID[self.service]


_RANGE: Final[Mapping[GxType, tuple[int, int]]] = MappingProxyType(
    {
        GxType.UINT16: (0, 0xFFFF),
        GxType.INT16: (-0x8000, 0x7FFF),
        GxType.INT32: (-0x8000_0000, 0x7FFF_FFFF),
    }
)


def gx_raw(row: GxRegister, value: float | str | None) -> int | str | None:
    """What `row` would hold for our `value`: rounded to nearest, clamped, never wrapped.

    A string register gives its text, cut to its length. None when the value is not known, is NaN,
    or is text where the register holds a number: a 0 would claim a measurement.
    """
    if value is None:
        return None
    if row.type is GxType.STRING:
        text = str(value).encode("ascii", errors="replace").decode("ascii")
        return text[: 2 * row.words]
    if isinstance(value, str) or math.isnan(value):
        return None
    scaled = value * row.scale if row.sign is Sign.SAME else -value * row.scale
    lowest, highest = _RANGE[row.type]
    if scaled <= lowest:
        return lowest
    return highest if scaled >= highest else _nearest(scaled)


def _nearest(number: float) -> int:
    """The nearest integer; halves go away from zero.

    The small addend keeps a half a half when the product fell just short of it (1.15 * 10).
    """
    return math.floor(number + 0.5 + 1e-9) if number >= 0 else math.ceil(number - 0.5 - 1e-9)


_battery = partial(GxRegister, service=GxService.BATTERY)
_system = partial(GxRegister, service=GxService.SYSTEM)
_tenths = partial(_battery, scale=10)
_hundredths = partial(_battery, scale=100)

GX_REGISTERS: Final[tuple[GxRegister, ...]] = (
    # Measurements. Those of the system service follow the battery that the GX has selected.
    _battery(path="/Dc/0/Power", register=256, type=GxType.INT32, words=2),
    _battery(path="/Dc/0/Power", register=258, type=GxType.INT16),
    _hundredths(path="/Dc/0/Voltage", register=259),
    _tenths(path="/Dc/0/Current", register=261, type=GxType.INT16),
    _tenths(path="/Dc/0/Temperature", register=262, type=GxType.INT16),
    _battery(path="/ConsumedAmphours", register=265, scale=-10),
    _tenths(path="/Soc", register=266),
    _battery(path="/TimeToGo", register=303, scale=0.01),
    _tenths(path="/Soh", register=304),
    _tenths(path="/Capacity", register=309),
    _battery(path="/Balancing", register=1285),
    _hundredths(path="/System/MinCellVoltage", register=1290),
    _hundredths(path="/System/MaxCellVoltage", register=1291),
    _battery(path="/System/MinVoltageCellId", register=1306, type=GxType.STRING, words=4),
    _battery(path="/System/MaxVoltageCellId", register=1310, type=GxType.STRING, words=4),
    _system(path="/Dc/Battery/Voltage", register=840, scale=10),
    _system(path="/Dc/Battery/Current", register=841, scale=10, type=GxType.INT16),
    _system(path="/Dc/Battery/Power", register=842, type=GxType.INT16),
    _system(path="/Dc/Battery/Soc", register=843),
    _system(path="/Dc/Battery/State", register=844),
    _system(path="/Dc/Battery/ConsumedAmphours", register=845, scale=-10),
    _system(path="/Dc/Battery/TimeToGo", register=846, scale=0.01),
    # Limits.
    _tenths(path="/Info/MaxChargeVoltage", register=305),
    _tenths(path="/Info/BatteryLowVoltage", register=306),
    _tenths(path="/Info/MaxChargeCurrent", register=307),
    _tenths(path="/Info/MaxDischargeCurrent", register=308),
    # Totals.
    _battery(path="/History/ChargeCycles", register=284),
    _battery(path="/History/FullDischarges", register=285),
    _battery(path="/History/TotalAhDrawn", register=286, scale=-10, sign=Sign.NEGATED),
    _hundredths(path="/History/MinimumVoltage", register=287),
    _hundredths(path="/History/MaximumVoltage", register=288),
    _battery(path="/History/TimeSinceLastFullCharge", register=289, scale=0.01),
    _battery(path="/History/LowVoltageAlarms", register=291),
    _battery(path="/History/HighVoltageAlarms", register=292),
    _tenths(path="/History/DischargedEnergy", register=301),
    _tenths(path="/History/ChargedEnergy", register=302),
    _hundredths(path="/History/MinimumCellVoltage", register=1300),
    _hundredths(path="/History/MaximumCellVoltage", register=1301),
    # Alarms: 0 all is well, 1 warning, 2 alarm.
    _battery(path="/Alarms/LowVoltage", register=268),
    _battery(path="/Alarms/HighVoltage", register=269),
    _battery(path="/Alarms/LowSoc", register=272),
    _battery(path="/Alarms/LowTemperature", register=273),
    _battery(path="/Alarms/HighTemperature", register=274),
    _battery(path="/Alarms/HighChargeCurrent", register=320),
    _battery(path="/Alarms/HighDischargeCurrent", register=321),
    _battery(path="/Alarms/CellImbalance", register=322),
    _battery(path="/Alarms/InternalFailure", register=323),
    _battery(path="/Alarms/HighChargeTemperature", register=324),
    _battery(path="/Alarms/LowChargeTemperature", register=325),
    _battery(path="/Alarms/LowCellVoltage", register=326),
    _battery(path="/Alarms/BmsCable", register=327),
)
"""Sources: Victron "CCGX Modbus TCP register list" and the paths of the GX battery service."""

BY_REGISTER: Final[Mapping[int, GxRegister]] = MappingProxyType(
    {row.register: row for row in GX_REGISTERS}
)


def gx_rows(*registers: int) -> tuple[GxRegister, ...]:
    """The rows of these registers, in this order; KeyError for one that is not in the table."""
    return tuple(BY_REGISTER[register] for register in registers)
