"""Everything that follows from settings and parameters alone, worked out once per change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tinybms_charge.bms import BmsLimits
from tinybms_charge.parameters import ChargeParameters
from tinybms_charge.presets import zero_above_c, zero_below_c
from tinybms_charge.reasons import ReasonCode, cap, ranked
from tinybms_messages.live import Reason

FULL_MARGIN_V: Final = 0.030
"""Targets stay this far under register 300."""
FULL_MARGIN_SINGLE_PORT_V: Final = 0.055
"""The same where register 300 opens the only switch: 30 mV, and 25 mV that a GX adds to CVL."""
OVER_VOLTAGE_MARGIN_V: Final = 0.050
"""Targets stay this far under register 315."""
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
CURRENT_SHARE: Final = 0.9
"""Share of an over-current cut-off that is used."""
CHARGE_CURRENT_ROOM_A: Final = 2.0
PEAK_ROOM_A: Final = 1.0
HOT_STOP_C: Final = 1.0
"""Currents are 0 this far under register 319, and charge this far over register 320."""
HOT_TAPER_C: Final = 8.0
"""Currents fall from this far under register 319."""
CELL_RESISTANCE_OHM_AH: Final = 0.112
"""Resistance of a cell times its capacity: 0.40 mOhm at 280 Ah, measured on LFP cells with bars."""
DROP_FACTOR: Final = 1.5
SLOW_RESISTANCE_OHM_AH: Final = 0.14
"""Slow polarisation: 0.50 mOhm at 280 Ah."""
BALANCE_ROOM_V: Final = 0.020
LEAST_IMBALANCE_V: Final = 0.015
BALANCE_HIGH_POWER_A: Final = 1.5
BALANCE_LOW_POWER_A: Final = 0.5

_VOLTAGE_RANGES: Final = {
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
_FOR_CHARGE: Final = (
    "fully_charged_v",
    "over_voltage_v",
    "charge_over_current_a",
    "capacity_ah",
    "over_heat_c",
    "low_temperature_charge_c",
)
_FOR_DISCHARGE: Final = (
    "fully_discharged_v",
    "under_voltage_v",
    "discharge_over_current_a",
    "capacity_ah",
    "over_heat_c",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Bounds in V per cell, A and degC; caps that hold whatever is measured."""

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
    charge_caps: tuple[Reason, ...]
    charge_max_a: float
    charge_floor_a: float
    """What is left for the highest cell at its target: enough to go on balancing."""
    discharge_caps: tuple[Reason, ...]
    discharge_max_a: float
    discharge_floor_a: float
    charge_cold_c: float
    charge_hot_c: float
    discharge_cold_c: float
    discharge_hot_c: float
    hot_taper_c: float
    over_heat_c: float
    charge_over_current_a: float
    discharge_over_current_a: float
    unfit: bool
    """Settings are unusable or those of another chemistry."""
    advisories: tuple[str, ...]


@lru_cache(maxsize=8)
def envelope(bms: BmsLimits, parameters: ChargeParameters) -> Envelope:
    """The bounds of `bms` and `parameters`; a setting that can't be used closes what needs it."""
    charge_bad = _unusable(bms, _FOR_CHARGE)
    discharge_bad = _unusable(bms, _FOR_DISCHARGE)
    cell = parameters.cell
    target_caps = _target_caps(bms, cell.absorb_v)
    top_caps = _target_caps(bms, cell.top_balance_v)
    target_v = target_caps[0][1]
    if not charge_bad and target_v < cell.low_v:
        charge_bad = (
            f"register 300 ({bms.fully_charged_v:.3f} V) and 315 ({bms.over_voltage_v:.3f} V) are "
            f"too low for chemistry {parameters.chemistry}: check charge.chemistry"
        )
    full_v = _usable(bms, "fully_charged_v", cell.absorb_v + FULL_MARGIN_V)
    over_v = _usable(bms, "over_voltage_v", full_v + OVER_VOLTAGE_MARGIN_V)
    empty_v = _usable(bms, "fully_discharged_v", cell.discharge_stop_v - STOP_MARGIN_V)
    if not discharge_bad and empty_v >= cell.absorb_v:
        charge_bad = discharge_bad = (
            f"register 301 ({empty_v:.3f} V) is above the charge target of chemistry "
            f"{parameters.chemistry}: check charge.chemistry"
        )
    capacity_ah = _usable(bms, "capacity_ah", 0.1)
    over_heat_c = _usable(bms, "over_heat_c", zero_above_c(parameters.charge_curve))
    too_cold_c = _usable(bms, "low_temperature_charge_c", zero_below_c(parameters.charge_curve))
    charge_caps = _charge_caps(bms, parameters, capacity_ah, charge_bad)
    discharge_caps = _discharge_caps(bms, parameters, capacity_ah, discharge_bad)
    charge_max_a, discharge_max_a = charge_caps[0].value, discharge_caps[0].value
    stop_v = max(cell.discharge_stop_v, empty_v + STOP_MARGIN_V)
    raised_v = stop_v - cell.discharge_stop_v
    hot_stop_c = over_heat_c - HOT_STOP_C
    return Envelope(
        target_v=target_v,
        top_v=top_caps[0][1],
        float_v=min(cell.float_v, target_v),
        low_v=min(cell.low_v, target_v),
        balancing_v=_finite(bms.early_balancing_v, target_v),
        imbalance_v=_finite(bms.allowed_imbalance_v, LEAST_IMBALANCE_V),
        balance_a=BALANCE_HIGH_POWER_A if bms.high_power else BALANCE_LOW_POWER_A,
        target_caps=target_caps,
        top_caps=top_caps,
        taper_v=min(cell.taper_v, target_v - 0.05),
        hard_v=min(full_v - HARD_STOP_MARGIN_V, target_v + HARD_STOP_OVER_TARGET_V),
        over_voltage_v=over_v,
        under_voltage_v=_usable(bms, "under_voltage_v", empty_v - CUTOFF_MARGIN_V),
        cutoff_v=empty_v + CUTOFF_MARGIN_V,
        stop_v=stop_v,
        discharge_taper_v=cell.discharge_taper_v + raised_v,
        resume_v=cell.discharge_resume_v + raised_v,
        discharge_voltage_v=empty_v,
        capacity_ah=capacity_ah,
        half_resistance_ohm=0.5 * CELL_RESISTANCE_OHM_AH / capacity_ah,
        drop_ohm=DROP_FACTOR * CELL_RESISTANCE_OHM_AH / capacity_ah,
        slow_ohm=SLOW_RESISTANCE_OHM_AH / capacity_ah,
        charge_caps=charge_caps,
        charge_max_a=charge_max_a,
        charge_floor_a=min(charge_max_a, max(0.02 * capacity_ah, 2.0)),
        discharge_caps=discharge_caps,
        discharge_max_a=discharge_max_a,
        discharge_floor_a=min(discharge_max_a, max(0.05 * capacity_ah, 5.0)),
        charge_cold_c=max(zero_below_c(parameters.charge_curve), too_cold_c + HOT_STOP_C),
        charge_hot_c=min(zero_above_c(parameters.charge_curve), hot_stop_c),
        discharge_cold_c=zero_below_c(parameters.discharge_curve),
        discharge_hot_c=min(zero_above_c(parameters.discharge_curve), hot_stop_c),
        hot_taper_c=over_heat_c - HOT_TAPER_C,
        over_heat_c=over_heat_c,
        charge_over_current_a=_usable(bms, "charge_over_current_a", 0.0),
        discharge_over_current_a=_usable(bms, "discharge_over_current_a", 0.0),
        unfit=bool(charge_bad or discharge_bad),
        advisories=_advisories(bms, parameters, target_v, raised_v, (charge_bad, discharge_bad)),
    )


def _fits(bms: BmsLimits, field: str) -> bool:
    _, low, high = _VOLTAGE_RANGES[field]
    value: float = getattr(bms, field)
    return low <= value <= high


def _usable(bms: BmsLimits, field: str, otherwise: float) -> float:
    value: float = getattr(bms, field)
    return value if _fits(bms, field) else otherwise


def _finite(value: float, otherwise: float) -> float:
    return value if math.isfinite(value) else otherwise


def _unusable(bms: BmsLimits, needed: tuple[str, ...]) -> str:
    """The settings among `needed` that can't be worked with, in words; empty when all are good."""
    bad = [
        f"register {_VOLTAGE_RANGES[field][0]} = {getattr(bms, field):g}"
        for field in needed
        if not _fits(bms, field)
    ]
    return f"unusable setting of the BMS: {', '.join(bad)}" if bad else ""


def _target_caps(bms: BmsLimits, absorb_v: float) -> tuple[tuple[ReasonCode, float, str], ...]:
    caps = [(ReasonCode.ABSORB_TARGET, absorb_v, f"charge target ({absorb_v:.3f} V per cell)")]
    if _fits(bms, "fully_charged_v"):
        margin_v = FULL_MARGIN_SINGLE_PORT_V if bms.single_port else FULL_MARGIN_V
        port = ", single port" if bms.single_port else ""
        words = f"{margin_v * 1000:.0f} mV under register 300 ({bms.fully_charged_v:.3f} V{port})"
        full_v = bms.fully_charged_v - margin_v
        caps.append((ReasonCode.BMS_FULL_VOLTAGE_MARGIN, full_v, words))
    if _fits(bms, "over_voltage_v"):
        words = f"50 mV under register 315 ({bms.over_voltage_v:.3f} V)"
        over_v = bms.over_voltage_v - OVER_VOLTAGE_MARGIN_V
        caps.append((ReasonCode.BMS_OVER_VOLTAGE_MARGIN, over_v, words))
    return tuple(sorted(caps, key=lambda row: row[1]))


def _charge_caps(
    bms: BmsLimits, parameters: ChargeParameters, capacity_ah: float, bad: str
) -> tuple[Reason, ...]:
    user_a = parameters.max_charge_current_a
    rate_c = max(current for _, current in parameters.charge_curve)
    cutoff_a = _usable(bms, "charge_over_current_a", 0.0)
    bms_a = max(0.0, min(CURRENT_SHARE * cutoff_a, cutoff_a - CHARGE_CURRENT_ROOM_A))
    caps = [
        cap(ReasonCode.USER, user_a, f"charge.max_charge_current_a ({user_a:g} A)"),
        cap(ReasonCode.BMS_OVERCURRENT, bms_a, f"under register 318 ({cutoff_a:g} A)"),
        cap(
            ReasonCode.CELL_RATE,
            rate_c * capacity_ah,
            f"{rate_c:g} C of {capacity_ah:g} Ah ({parameters.chemistry})",
        ),
    ]
    if bad:
        caps.append(cap(ReasonCode.BMS_SETTINGS, 0.0, bad))
    return ranked(caps)


def _discharge_caps(
    bms: BmsLimits, parameters: ChargeParameters, capacity_ah: float, bad: str
) -> tuple[Reason, ...]:
    user_a = parameters.max_discharge_current_a
    rate_c = max(current for _, current in parameters.discharge_curve)
    cutoff_a = _usable(bms, "discharge_over_current_a", 0.0)
    bms_a = CURRENT_SHARE * cutoff_a
    words = f"0.9 x register 317 ({cutoff_a:g} A)"
    peak_a = bms.peak_discharge_a
    if peak_a is not None and not peak_a - PEAK_ROOM_A >= bms_a:
        # Written so that a NaN takes this way and closes the limit.
        bms_a = max(0.0, peak_a - PEAK_ROOM_A) if math.isfinite(peak_a) else 0.0
        words = f"under register 305 ({peak_a:g} A)"
    caps = [
        cap(ReasonCode.USER, user_a, f"charge.max_discharge_current_a ({user_a:g} A)"),
        cap(ReasonCode.BMS_OVERCURRENT, bms_a, words),
        cap(
            ReasonCode.CELL_RATE,
            rate_c * capacity_ah,
            f"{rate_c:g} C of {capacity_ah:g} Ah ({parameters.chemistry})",
        ),
    ]
    if bad:
        caps.append(cap(ReasonCode.BMS_SETTINGS, 0.0, bad))
    return ranked(caps)


def _advisories(
    bms: BmsLimits,
    parameters: ChargeParameters,
    target_v: float,
    raised_v: float,
    bad: tuple[str, str],
) -> tuple[str, ...]:
    cell = parameters.cell
    found = [text for text in dict.fromkeys(bad) if text]
    if cell.low_v <= target_v < cell.absorb_v - 1e-9:
        found.append(
            f"The charge target is {target_v:.3f} V per cell instead of {cell.absorb_v:.3f} V, "
            f"because registers 300 ({bms.fully_charged_v:.3f} V) and 315 "
            f"({bms.over_voltage_v:.3f} V) leave no more room."
        )
    if target_v < bms.early_balancing_v + BALANCE_ROOM_V:
        found.append(
            f"The BMS will hardly balance: register 303 ({bms.early_balancing_v:.3f} V) should be "
            f"at most {target_v - BALANCE_ROOM_V:.3f} V."
        )
    if bms.over_voltage_v <= bms.fully_charged_v:
        found.append("Register 315 must be above register 300.")
    if bms.fully_charged_v > cell.full_v + 0.05:
        found.append(
            f"Register 300 ({bms.fully_charged_v:.3f} V) is above what a {parameters.chemistry} "
            "cell bears: check it and charge.chemistry."
        )
    if raised_v > 1e-9:
        found.append(
            f"Discharge ends {raised_v * 1000:.0f} mV per cell earlier than asked, because of "
            f"register 301 ({bms.fully_discharged_v:.3f} V)."
        )
    if not bms.charge_restart_enabled:
        found.append(
            "Once full, the BMS starts to charge again only when the charger is reconnected: "
            "register 329 bit 2 (restart by SoC) is off."
        )
    return tuple(found)
