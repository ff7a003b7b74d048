"""Caps that hold whatever is measured: those of the settings, the owner and the chemistry."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tinybms_charge.bms import BmsLimits
from tinybms_charge.parameters import ChargeParameters
from tinybms_charge.reasons import ReasonCode, cap, ranked
from tinybms_charge.usable import fits, usable
from tinybms_messages.live import Reason

FULL_MARGIN_V: Final = 0.030
"""Targets stay this far under register 300."""
FULL_MARGIN_SINGLE_PORT_V: Final = 0.055
"""The same where register 300 opens the only switch: 30 mV, and 25 mV that a GX adds to CVL."""
OVER_VOLTAGE_MARGIN_V: Final = 0.050
"""Targets stay this far under register 315."""
CURRENT_SHARE: Final = 0.9
"""Share of an over-current cut-off that is used."""
CHARGE_CURRENT_ROOM_A: Final = 2.0
PEAK_ROOM_A: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentBounds:
    """Currents in A that the settings allow; the caps with the lowest first."""

    charge_caps: tuple[Reason, ...]
    charge_max_a: float
    charge_floor_a: float
    """What is left for the highest cell at its target: enough to go on balancing."""
    discharge_caps: tuple[Reason, ...]
    discharge_max_a: float
    discharge_floor_a: float
    charge_over_current_a: float
    discharge_over_current_a: float


def current_bounds(
    bms: BmsLimits, parameters: ChargeParameters, capacity_ah: float, bad: tuple[str, str]
) -> CurrentBounds:
    """The currents; `bad`: which settings can't be worked with, for charge and for discharge."""
    charge_caps = _charge_caps(bms, parameters, capacity_ah, bad[0])
    discharge_caps = _discharge_caps(bms, parameters, capacity_ah, bad[1])
    charge_max_a, discharge_max_a = charge_caps[0].value, discharge_caps[0].value
    return CurrentBounds(
        charge_caps=charge_caps,
        charge_max_a=charge_max_a,
        charge_floor_a=min(charge_max_a, max(0.02 * capacity_ah, 2.0)),
        discharge_caps=discharge_caps,
        discharge_max_a=discharge_max_a,
        discharge_floor_a=min(discharge_max_a, max(0.05 * capacity_ah, 5.0)),
        charge_over_current_a=usable(bms, "charge_over_current_a", 0.0),
        discharge_over_current_a=usable(bms, "discharge_over_current_a", 0.0),
    )


def target_caps(bms: BmsLimits, absorb_v: float) -> tuple[tuple[ReasonCode, float, str], ...]:
    """Caps on the charge target, (code, V per cell, words), lowest first."""
    caps = [(ReasonCode.ABSORB_TARGET, absorb_v, f"charge target ({absorb_v:.3f} V per cell)")]
    if fits(bms, "fully_charged_v"):
        margin_v = FULL_MARGIN_SINGLE_PORT_V if bms.single_port else FULL_MARGIN_V
        port = ", single port" if bms.single_port else ""
        words = f"{margin_v * 1000:.0f} mV under register 300 ({bms.fully_charged_v:.3f} V{port})"
        full_v = bms.fully_charged_v - margin_v
        caps.append((ReasonCode.BMS_FULL_VOLTAGE_MARGIN, full_v, words))
    if fits(bms, "over_voltage_v"):
        words = f"50 mV under register 315 ({bms.over_voltage_v:.3f} V)"
        over_v = bms.over_voltage_v - OVER_VOLTAGE_MARGIN_V
        caps.append((ReasonCode.BMS_OVER_VOLTAGE_MARGIN, over_v, words))
    return tuple(sorted(caps, key=lambda row: row[1]))


def _charge_caps(
    bms: BmsLimits, parameters: ChargeParameters, capacity_ah: float, bad: str
) -> tuple[Reason, ...]:
    """Caps on CCL; `bad` says which setting can't be worked with and closes it."""
    user_a = parameters.max_charge_current_a
    rate_c = max(current for _, current in parameters.charge_curve)
    cutoff_a = usable(bms, "charge_over_current_a", 0.0)
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
    """Caps on DCL; `bad` as for CCL."""
    user_a = parameters.max_discharge_current_a
    rate_c = max(current for _, current in parameters.discharge_curve)
    cutoff_a = usable(bms, "discharge_over_current_a", 0.0)
    bms_a = CURRENT_SHARE * cutoff_a
    words = f"within {CURRENT_SHARE:g} of register 317 ({cutoff_a:g} A)"
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
