"""Everything that follows from settings and parameters alone, worked out once per change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tinybms_charge.advisories import advisories
from tinybms_charge.bms import BmsLimits
from tinybms_charge.parameters import ChargeParameters
from tinybms_charge.presets import zero_above_c, zero_below_c
from tinybms_charge.reasons import ReasonCode
from tinybms_charge.standing import (
    FULL_MARGIN_V,
    OVER_VOLTAGE_MARGIN_V,
    CurrentBounds,
    current_bounds,
    target_caps,
)
from tinybms_charge.usable import FOR_CHARGE, FOR_DISCHARGE, finite, unusable, usable

NEAR_OVER_VOLTAGE_V: Final = 0.010
"""A cell this close under register 315 counts as over-voltage."""
HARD_STOP_MARGIN_V: Final = 0.020
"""CCL is 0 for a cell this close under register 300."""
HARD_STOP_OVER_TARGET_V: Final = 0.120
"""CCL is 0 for a cell this far over its target, wherever register 300 is."""
CUTOFF_MARGIN_V: Final = 0.020
"""DCL is 0 at once for a cell less than this over register 301."""
STOP_MARGIN_V: Final = 0.030
"""The stop voltage of a discharge is at least this far over register 301."""
HOT_STOP_C: Final = 1.0
"""Currents are 0 this far under register 319, and charge this far over register 320."""
HOT_TAPER_C: Final = 8.0
"""Currents fall from this far under register 319."""
CELL_RESISTANCE_OHM_AH: Final = 0.112
"""Resistance of a cell times its capacity: 0.40 mOhm at 280 Ah, measured on LFP cells with bars."""
DROP_FACTOR: Final = 1.5
SLOW_RESISTANCE_OHM_AH: Final = 0.14
"""Slow polarisation: 0.50 mOhm at 280 Ah."""
LEAST_IMBALANCE_V: Final = 0.015
BALANCE_HIGH_POWER_A: Final = 1.5
BALANCE_LOW_POWER_A: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatBounds:
    """Temperatures in degC at which currents end or begin to fall."""

    charge_cold_c: float
    charge_hot_c: float
    discharge_cold_c: float
    discharge_hot_c: float
    hot_taper_c: float
    over_heat_c: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Bounds in V per cell, A and degC, whatever is measured."""

    target_v: float
    top_v: float
    """Target of a top balancing run."""
    float_v: float
    low_v: float
    balancing_v: float
    """Register 303."""
    imbalance_v: float
    """Register 308."""
    balance_a: float
    """CCL while the BMS balances: above the current at which it says idle."""
    target_caps: tuple[tuple[ReasonCode, float, str], ...]
    """(code, V per cell, words), lowest first."""
    top_caps: tuple[tuple[ReasonCode, float, str], ...]
    taper_v: float
    hard_v: float
    over_voltage_v: float
    under_voltage_v: float
    cutoff_v: float
    stop_v: float
    discharge_taper_v: float
    resume_v: float
    discharge_voltage_v: float
    """DVL per cell."""
    capacity_ah: float
    half_resistance_ohm: float
    drop_ohm: float
    """What a change of the current does to a cell within seconds, of an old cell rather than a new
    one."""
    slow_ohm: float
    """What charging for an hour adds to that."""
    current: CurrentBounds
    heat: HeatBounds
    unfit: bool
    """Settings are unusable or those of another chemistry."""
    advisories: tuple[str, ...]


@lru_cache(maxsize=8)
def envelope(bms: BmsLimits, parameters: ChargeParameters) -> Envelope:
    """The bounds of `bms` and `parameters`; a setting that can't be used closes what needs it."""
    cell = parameters.cell
    main, top = target_caps(bms, cell.absorb_v), target_caps(bms, cell.top_balance_v)
    target_v = main[0][1]
    full_v = usable(bms, "fully_charged_v", cell.absorb_v + FULL_MARGIN_V)
    empty_v = usable(bms, "fully_discharged_v", cell.discharge_stop_v - STOP_MARGIN_V)
    stop_v = max(cell.discharge_stop_v, empty_v + STOP_MARGIN_V)
    raised_v = stop_v - cell.discharge_stop_v
    bad = _bad(bms, parameters, target_v, empty_v)
    capacity_ah = usable(bms, "capacity_ah", 0.1)
    return Envelope(
        target_v=target_v,
        top_v=top[0][1],
        float_v=min(cell.float_v, target_v),
        low_v=min(cell.low_v, target_v),
        balancing_v=finite(bms.early_balancing_v, target_v),
        imbalance_v=finite(bms.allowed_imbalance_v, LEAST_IMBALANCE_V),
        balance_a=BALANCE_HIGH_POWER_A if bms.high_power else BALANCE_LOW_POWER_A,
        target_caps=main,
        top_caps=top,
        taper_v=min(cell.taper_v, target_v - 0.05),
        hard_v=min(full_v - HARD_STOP_MARGIN_V, target_v + HARD_STOP_OVER_TARGET_V),
        over_voltage_v=usable(bms, "over_voltage_v", full_v + OVER_VOLTAGE_MARGIN_V),
        under_voltage_v=usable(bms, "under_voltage_v", empty_v - CUTOFF_MARGIN_V),
        cutoff_v=empty_v + CUTOFF_MARGIN_V,
        stop_v=stop_v,
        discharge_taper_v=cell.discharge_taper_v + raised_v,
        resume_v=cell.discharge_resume_v + raised_v,
        discharge_voltage_v=empty_v,
        capacity_ah=capacity_ah,
        half_resistance_ohm=0.5 * CELL_RESISTANCE_OHM_AH / capacity_ah,
        drop_ohm=DROP_FACTOR * CELL_RESISTANCE_OHM_AH / capacity_ah,
        slow_ohm=SLOW_RESISTANCE_OHM_AH / capacity_ah,
        current=current_bounds(bms, parameters, capacity_ah, bad),
        heat=_heat(bms, parameters),
        unfit=any(bad),
        advisories=advisories(bms, parameters, target_v, raised_v, bad),
    )


def _bad(
    bms: BmsLimits, parameters: ChargeParameters, target_v: float, empty_v: float
) -> tuple[str, str]:
    """What about the settings closes charge, and what discharge; empty when they are good."""
    charge, discharge = unusable(bms, FOR_CHARGE), unusable(bms, FOR_DISCHARGE)
    if not charge and target_v < parameters.cell.low_v:
        charge = (
            f"register 300 ({bms.fully_charged_v:.3f} V) and 315 ({bms.over_voltage_v:.3f} V) are "
            f"too low for chemistry {parameters.chemistry}: check charge.chemistry"
        )
    if not discharge and empty_v >= parameters.cell.absorb_v:
        charge = discharge = (
            f"register 301 ({empty_v:.3f} V) is above the charge target of chemistry "
            f"{parameters.chemistry}: check charge.chemistry"
        )
    return charge, discharge


def _heat(bms: BmsLimits, parameters: ChargeParameters) -> HeatBounds:
    over_heat_c = usable(bms, "over_heat_c", zero_above_c(parameters.charge_curve))
    too_cold_c = usable(bms, "low_temperature_charge_c", zero_below_c(parameters.charge_curve))
    hot_stop_c = over_heat_c - HOT_STOP_C
    return HeatBounds(
        charge_cold_c=max(zero_below_c(parameters.charge_curve), too_cold_c + HOT_STOP_C),
        charge_hot_c=min(zero_above_c(parameters.charge_curve), hot_stop_c),
        discharge_cold_c=zero_below_c(parameters.discharge_curve),
        discharge_hot_c=min(zero_above_c(parameters.discharge_curve), hot_stop_c),
        hot_taper_c=over_heat_c - HOT_TAPER_C,
        over_heat_c=over_heat_c,
    )
