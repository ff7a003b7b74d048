"""Which settings of the BMS can be worked with, and what stands in for one that can't."""

from __future__ import annotations

import math
from typing import Final

from tinybms_charge.bms import BmsLimits

RANGES: Final = {
    "fully_charged_v": (300, 1.2, 4.5),
    "over_voltage_v": (315, 1.2, 4.5),
    "fully_discharged_v": (301, 1.0, 3.5),
    "under_voltage_v": (316, 0.8, 3.5),
    "charge_over_current_a": (318, 0.0, 10_000.0),
    "discharge_over_current_a": (317, 0.0, 10_000.0),
    "capacity_ah": (306, 0.1, 655.0),
    "over_heat_c": (319, -40.0, 127.0),
    "low_temperature_charge_c": (320, -60.0, 127.0),
}
"""Field: register, least and greatest value that can be worked with."""
FOR_CHARGE: Final = (
    "fully_charged_v",
    "over_voltage_v",
    "charge_over_current_a",
    "capacity_ah",
    "over_heat_c",
    "low_temperature_charge_c",
)
FOR_DISCHARGE: Final = (
    "fully_discharged_v",
    "under_voltage_v",
    "discharge_over_current_a",
    "capacity_ah",
    "over_heat_c",
)


def fits(bms: BmsLimits, field: str) -> bool:
    """Whether setting `field` of `bms` lies in its range of RANGES."""
    _, low, high = RANGES[field]
    value: float = getattr(bms, field)
    return low <= value <= high


def usable(bms: BmsLimits, field: str, otherwise: float) -> float:
    """Setting `field` of `bms`, or `otherwise` when it can't be worked with."""
    value: float = getattr(bms, field)
    return value if fits(bms, field) else otherwise


def finite(value: float, otherwise: float) -> float:
    """`value`, or `otherwise` when it is not a finite number."""
    return value if math.isfinite(value) else otherwise


def unusable(bms: BmsLimits, needed: tuple[str, ...]) -> str:
    """The settings among `needed` that can't be worked with, in words; empty when all are good."""
    bad = [
        f"register {RANGES[field][0]} = {getattr(bms, field):g}"
        for field in needed
        if not fits(bms, field)
    ]
    return f"unusable setting of the BMS: {', '.join(bad)}" if bad else ""
