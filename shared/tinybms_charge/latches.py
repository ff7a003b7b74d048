"""What makes a current 0 and keeps it there until the cause is clearly over."""

from __future__ import annotations

from typing import Final

import msgspec

from tinybms_charge.envelope import Envelope
from tinybms_charge.reading import BOARD, Reading
from tinybms_charge.state import ChargeState

HIGH_CELL_RELEASE_V: Final = 0.030
TEMPERATURE_RELEASE_C: Final = 2.0
LOW_CELL_HOLD_S: Final = 10.0
LOW_CELL_RECOVERY_S: Final = 60.0
LOW_CELL_RECOVERY_CHARGE: Final = 0.01
"""Net charge, as a share of the capacity, that ends the latch of a low cell."""
BOARD_COLD_C: Final = 5.0
"""Without a probe on the cells there is no charge at or below this temperature of the board."""

_LONGEST_S: Final = 1e6


class Latches(msgspec.Struct, frozen=True, kw_only=True):
    """Which stops hold; times as in ChargeState."""

    high_cell: bool
    charge_cold: bool
    charge_hot: bool
    discharge_cold: bool
    discharge_hot: bool
    low_cell: bool
    low_cell_s: float
    low_cell_recovered_s: float
    low_cell_charged_ah: float


def latched(state: ChargeState, reading: Reading, bounds: Envelope, dt_s: float) -> Latches:
    """The latches after `reading`; a reading that can't be used leaves them as they were."""
    low_cell, low_s, recovered_s, charged_ah = _low_cell(state, reading, bounds, dt_s)
    coldest_c = min((probe.temperature_c for probe in reading.probes), default=None)
    hottest_c = max((probe.temperature_c for probe in reading.probes), default=None)
    highest_v = None if reading.bad else reading.highest_v
    release_c = TEMPERATURE_RELEASE_C
    return Latches(
        high_cell=_above(highest_v, bounds.hard_v, HIGH_CELL_RELEASE_V, on=state.high_cell),
        charge_cold=_below(
            coldest_c, charge_cold_c(reading, bounds), release_c, on=state.charge_cold
        ),
        charge_hot=_above(hottest_c, bounds.heat.charge_hot_c, release_c, on=state.charge_hot),
        discharge_cold=_below(
            coldest_c, bounds.heat.discharge_cold_c, release_c, on=state.discharge_cold
        ),
        discharge_hot=_above(
            hottest_c, bounds.heat.discharge_hot_c, release_c, on=state.discharge_hot
        ),
        low_cell=low_cell,
        low_cell_s=low_s,
        low_cell_recovered_s=recovered_s,
        low_cell_charged_ah=charged_ah,
    )


def charge_cold_c(reading: Reading, bounds: Envelope) -> float:
    """At and below this temperature there is no charge."""
    if reading.probes and reading.probes[0].number == BOARD:
        return max(bounds.heat.charge_cold_c, BOARD_COLD_C)
    return bounds.heat.charge_cold_c


def held_s(before_s: float, dt_s: float, *, condition: bool) -> float:
    """How long `condition` has been seen to hold: -1 while it does not, 0 when first seen."""
    if not condition:
        return -1.0
    return 0.0 if before_s < 0 else min(before_s + dt_s, _LONGEST_S)


def _low_cell(
    state: ChargeState, reading: Reading, bounds: Envelope, dt_s: float
) -> tuple[bool, float, float, float]:
    if reading.bad:
        return state.low_cell, state.low_cell_s, -1.0, state.low_cell_charged_ah
    lowest_v = reading.lowest_v
    low_s = held_s(state.low_cell_s, dt_s, condition=lowest_v < bounds.stop_v)
    if lowest_v < bounds.cutoff_v or low_s >= LOW_CELL_HOLD_S:
        return True, low_s, -1.0, 0.0
    if not state.low_cell:
        return False, low_s, -1.0, 0.0
    recovered_s = held_s(state.low_cell_recovered_s, dt_s, condition=lowest_v > bounds.resume_v)
    charged_ah = max(0.0, state.low_cell_charged_ah + (reading.current_a or 0.0) * dt_s / 3600)
    charged = charged_ah >= LOW_CELL_RECOVERY_CHARGE * bounds.capacity_ah
    if recovered_s >= LOW_CELL_RECOVERY_S or (charged and lowest_v >= bounds.stop_v):
        return False, low_s, -1.0, 0.0
    return True, low_s, recovered_s, charged_ah


def _above(value: float | None, threshold: float, release: float, *, on: bool) -> bool:
    if value is None:
        return on
    return value >= threshold or (on and value > threshold - release)


def _below(value: float | None, threshold: float, release: float, *, on: bool) -> bool:
    if value is None:
        return on
    return value <= threshold or (on and value < threshold + release)
