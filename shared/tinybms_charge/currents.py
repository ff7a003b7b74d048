"""CCL and DCL: every cap that holds, and the slow rise of CCL. 0 is a value."""

from __future__ import annotations

from typing import Final

from tinybms_charge.envelope import HOT_STOP_C, HOT_TAPER_C, Envelope
from tinybms_charge.faults import FaultView
from tinybms_charge.latches import (
    HIGH_CELL_RELEASE_V,
    TEMPERATURE_RELEASE_C,
    Latches,
    charge_cold_c,
)
from tinybms_charge.measurement import OwnerCap
from tinybms_charge.parameters import ChargeParameters
from tinybms_charge.presets import Curve, curve_value, flat_zone_c, next_point_c
from tinybms_charge.reading import BOARD, HIGHEST_CURRENT_A, Reading, probe_name
from tinybms_charge.reasons import ReasonCode, cap
from tinybms_charge.state import Probe
from tinybms_messages.live import Reason

PROBE_LOST_S: Final = 60.0
BOARD_ONLY_RATE_C: Final = 0.2
"""CCL without any probe on the cells, in C."""
STOP_ROOM_V: Final = 0.020
"""DCL has reached its floor this far over the stop voltage."""
LONGEST_SAG_V: Final = 0.050
"""Most of the lowest cell's sag under load that DCL forgives."""
HOLD_S: Final = 30.0
"""CCL waits this long after each fall before it rises."""
LEAST_FLOOR: Final = 0.1
"""Share of CCL's floor that is left to a cell that is only predicted to be too high."""
RISE_SHARE_PER_S: Final = 0.01
"""Rise of CCL in a second, as a share of its highest value."""


def charge_caps(
    reading: Reading,
    latches: Latches,
    faults: FaultView,
    bounds: Envelope,
    parameters: ChargeParameters,
    *,
    predicted_v: float,
    target_v: float,
    balancing: bool,
) -> list[Reason]:
    """Every cap on CCL in A, unsorted; `predicted_v` is where the highest cell will be."""
    caps = list(bounds.current.charge_caps)
    if faults.charge:
        caps.append(cap(ReasonCode.FAULT, 0.0, faults.charge))
    if reading.bad:
        caps.append(cap(ReasonCode.BAD_READING, 0.0, reading.bad))
    _add_probe_caps(caps, reading, bounds, parameters)
    _add_temperature_caps(
        caps,
        reading.probes,
        parameters.charge_curve,
        bounds,
        most_a=bounds.current.charge_max_a,
        stops_c=(charge_cold_c(reading, bounds), bounds.heat.charge_hot_c),
        cold=latches.charge_cold,
        hot=latches.charge_hot,
    )
    # What is only predicted leaves something: 0 belongs to what was measured.
    most_v = bounds.hard_v - LEAST_FLOOR * (bounds.hard_v - target_v)
    high_v = max(reading.highest_v, min(predicted_v, most_v))
    taper_v = target_v - (bounds.target_v - bounds.taper_v)
    if latches.high_cell or high_v > taper_v:
        value_a = 0.0 if latches.high_cell else _charge_taper(high_v, taper_v, target_v, bounds)
        text = f"high cell (cell {reading.highest_cell}, {reading.highest_v:.3f} V)"
        next_v = bounds.hard_v - HIGH_CELL_RELEASE_V if latches.high_cell else taper_v
        caps.append(cap(ReasonCode.HIGH_CELL, value_a, text, f"{next_v:.3f} V"))
    if balancing:
        text = f"balance current ({bounds.balance_a:g} A)"
        caps.append(cap(ReasonCode.BALANCE_CURRENT, bounds.balance_a, text))
    return caps


def discharge_caps(
    reading: Reading,
    latches: Latches,
    faults: FaultView,
    bounds: Envelope,
    parameters: ChargeParameters,
) -> list[Reason]:
    """Every cap on DCL in A, unsorted."""
    caps = list(bounds.current.discharge_caps)
    if faults.discharge:
        caps.append(cap(ReasonCode.FAULT, 0.0, faults.discharge))
    if reading.bad:
        caps.append(cap(ReasonCode.BAD_READING, 0.0, reading.bad))
    _add_temperature_caps(
        caps,
        reading.probes,
        parameters.discharge_curve,
        bounds,
        most_a=bounds.current.discharge_max_a,
        stops_c=(bounds.heat.discharge_cold_c, bounds.heat.discharge_hot_c),
        cold=latches.discharge_cold,
        hot=latches.discharge_hot,
    )
    where = f"cell {reading.lowest_cell}, {reading.lowest_v:.3f} V"
    if latches.low_cell:
        text = f"low cell ({where}), held"
        caps.append(cap(ReasonCode.LOW_CELL_LATCHED, 0.0, text, f"{bounds.resume_v:.3f} V"))
    else:
        value_a = _discharge_taper(reading, bounds)
        if value_a < bounds.current.discharge_max_a:
            next_v = f"{bounds.discharge_taper_v:.3f} V"
            caps.append(cap(ReasonCode.LOW_CELL, value_a, f"low cell ({where})", next_v))
    return caps


def owner_caps(asked: tuple[OwnerCap, ...]) -> list[Reason]:
    """What the owner allows for now; a value that is no current counts as 0."""
    return [
        cap(
            ReasonCode.OWNER_MODE,
            one.value_a if 0 <= one.value_a <= HIGHEST_CURRENT_A else 0.0,
            one.text,
        )
        for one in asked
    ]


def ramped_current(
    want_a: float, last_a: float, hold_s: float, dt_s: float, most_a: float
) -> tuple[float, float]:
    """(CCL, time since its last fall): down at once; up after HOLD_S, RISE_SHARE_PER_S a second."""
    if want_a < last_a:
        return want_a, 0.0
    since_s = min(hold_s + dt_s, 1e6)
    rising_s = min(dt_s, max(0.0, since_s - HOLD_S))
    return min(want_a, last_a + RISE_SHARE_PER_S * most_a * rising_s), since_s


def _add_probe_caps(
    caps: list[Reason], reading: Reading, bounds: Envelope, parameters: ChargeParameters
) -> None:
    for probe in reading.probes:
        if probe.number == BOARD:
            value_a = BOARD_ONLY_RATE_C * bounds.capacity_ah
            text = f"there is no temperature probe on the cells ({BOARD_ONLY_RATE_C:g} C)"
            caps.append(cap(ReasonCode.SENSOR_MISSING, value_a, text))
        if probe.missing_s > PROBE_LOST_S:
            value_a = parameters.lost_probe_factor * bounds.current.charge_max_a
            text = f"{probe_name(probe.number)} no longer answers"
            caps.append(cap(ReasonCode.SENSOR_MISSING, value_a, text))


def _add_temperature_caps(
    caps: list[Reason],
    probes: tuple[Probe, ...],
    curve: Curve,
    bounds: Envelope,
    *,
    most_a: float,
    stops_c: tuple[float, float],
    cold: bool,
    hot: bool,
) -> None:
    """The worst of the probes, each side by itself, so that the reason names the right probe.

    `stops_c`: where `cold` and `hot` began to hold.
    """
    if not probes:
        return
    coldest = min(probes, key=_celsius)
    hottest = max(probes, key=_celsius)
    low_c, high_c = flat_zone_c(curve)
    if cold or coldest.temperature_c < low_c:
        value_a = bounds.capacity_ah * curve_value(curve, coldest.temperature_c)
        text = f"low temperature ({_where(coldest)})"
        next_c = next_point_c(curve, coldest.temperature_c, warmer=True)
        if cold:
            value_a, next_c = 0.0, stops_c[0] + TEMPERATURE_RELEASE_C
        caps.append(cap(ReasonCode.LOW_TEMPERATURE, value_a, text, f"{next_c:g} °C"))
    taper_c = bounds.heat.hot_taper_c
    if hot or hottest.temperature_c > min(high_c, taper_c):
        value_a = bounds.capacity_ah * curve_value(curve, hottest.temperature_c)
        room_c = bounds.heat.over_heat_c - HOT_STOP_C - hottest.temperature_c
        value_a = min(value_a, most_a * max(0.0, room_c / (HOT_TAPER_C - HOT_STOP_C)))
        text = f"high temperature ({_where(hottest)})"
        next_c = next_point_c(curve, hottest.temperature_c, warmer=False)
        if hottest.temperature_c > taper_c:
            next_c = max(next_c, taper_c)
        if hot:
            value_a, next_c = 0.0, stops_c[1] - TEMPERATURE_RELEASE_C
        caps.append(cap(ReasonCode.HIGH_TEMPERATURE, value_a, text, f"{next_c:g} °C"))


def _celsius(probe: Probe) -> float:
    return probe.temperature_c


def _where(probe: Probe) -> str:
    return f"{probe_name(probe.number)}, {probe.temperature_c:.1f} °C"


def _charge_taper(high_v: float, taper_v: float, target_v: float, bounds: Envelope) -> float:
    """From the most at `taper_v` to the floor at the target, then to 0 at hard_v."""
    if high_v <= target_v:
        share = (target_v - high_v) / (target_v - taper_v)
        return bounds.current.charge_floor_a + share * (
            bounds.current.charge_max_a - bounds.current.charge_floor_a
        )
    share = (bounds.hard_v - high_v) / max(bounds.hard_v - target_v, 0.001)
    return max(0.0, share) * bounds.current.charge_floor_a


def _discharge_taper(reading: Reading, bounds: Envelope) -> float:
    """From the most at discharge_taper_v to the floor just over stop_v.

    Half of the sag that the present current makes is forgiven, so that the start of a motor does
    not cut the AC.
    """
    drawn_a = -(reading.current_a or 0.0)
    sag_v = min(LONGEST_SAG_V, max(0.0, drawn_a * bounds.half_resistance_ohm))
    floor_v = bounds.stop_v + STOP_ROOM_V
    share = (reading.lowest_v + sag_v - floor_v) / (bounds.discharge_taper_v - floor_v)
    span_a = bounds.current.discharge_max_a - bounds.current.discharge_floor_a
    return bounds.current.discharge_floor_a + min(1.0, max(0.0, share)) * span_a
