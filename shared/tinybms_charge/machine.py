"""Where a charge stands: bulk, absorb, balance, float, and what leads from one to the other.

Time counts towards full whenever the highest cell is at its target, and is not lost by a cloud.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from tinybms_charge.envelope import Envelope
from tinybms_charge.filters import Filtered, InForce
from tinybms_charge.measurement import Measurement
from tinybms_charge.presets import CellVoltages
from tinybms_charge.reading import Reading
from tinybms_charge.state import ChargeMode, Cycle
from tinybms_protocol.status import OnlineStatus

ABSORB_WITHIN_V: Final = 0.015
BULK_UNDER_V: Final = 0.060
BULK_AFTER_S: Final = 60.0
TAIL_MOST_C: Final = 0.02
TAIL_SLOPE_C: Final = 0.05
"""Tail current at full_v; it falls to 0 at rest_v (practice of open charge controllers)."""
TAIL_FROM: Final = 0.45
"""From this share of the way between rest_v and the target on, a small current means full."""
TAIL_S: Final = 180.0
NEAR_S: Final = 7200.0
REST_C: Final = 0.005
REST_S: Final = 1800.0
LEAK: Final = 0.1
"""Times towards full run back this much slower than they ran forward."""
BALANCE_ROOM_V: Final = 0.005
BALANCE_LONGEST_S: Final = 3600.0
BALANCE_SEEN_S: Final = 900.0
BALANCE_LEAST_SHARE: Final = 0.15
BALANCE_OUT: Final = 0.003
"""Share of the capacity taken out that ends it: its small current would not fill that again."""
TOP_BALANCE_LONGEST_S: Final = 6 * 3600.0
DESCENT_STEP_V: Final = 0.1
DESCENT_STEP_S: Final = 60.0
DESCENT_LONGEST_S: Final = 1800.0
DESCENT_ROOM_V: Final = 0.002
"""Per cell: a pack this close over CVL has followed it."""
REBULK_SOC_PCT: Final = 90.0
REBULK_SOC_OUT: Final = 0.02
"""SoC asks for a new charge only when this share of the capacity was taken out: it may be wrong."""
REBULK_OUT: Final = 0.10
REBULK_LOW_S: Final = 600.0
REBULK_LOW_C: Final = 0.1
REBULK_LOW_AFTER_S: Final = 3600.0
"""So long after a full charge its voltage asks for no new one: float and bulk would take turns."""
REBULK_AFTER_S: Final = 14 * 86_400.0
LONGEST_GAP_S: Final = 400 * 86_400.0

CHARGING: Final = frozenset(
    {ChargeMode.BULK, ChargeMode.ABSORB, ChargeMode.BALANCE, ChargeMode.TOP_BALANCE}
)
FULL: Final = frozenset({ChargeMode.FLOAT_DESCENT, ChargeMode.FLOAT})
_BEFORE_FULL: Final = CHARGING - {ChargeMode.BALANCE}


def advanced(
    before: Cycle,
    now: Filtered,
    reading: Reading,
    measurement: Measurement,
    bounds: Envelope,
    cell: CellVoltages,
    force: InForce,
    *,
    offset_v: float,
) -> Cycle:
    """The cycle after a good reading; `offset_v` is what chargers hold above CVL."""
    cycle = _timed(before, now, reading, bounds, cell, force)
    cycle = _balanced(cycle, force.dt_s, balancing=measurement.balancing)
    bms_full = reading.status == OnlineStatus.FULLY_CHARGED
    mode = cycle.mode
    if mode is ChargeMode.INIT:
        first = ChargeMode.FLOAT if bms_full else ChargeMode.BULK
        return _entered(cycle, first, full=bms_full, sent_v=reading.cells * bounds.float_v)
    if mode in FULL:
        if not bms_full and _empty(cycle, measurement, bounds):
            top = measurement.request == "top_balance"
            return _entered(cycle, ChargeMode.TOP_BALANCE if top else ChargeMode.BULK)
        return _descended(cycle, now, reading.cells, bounds.float_v, offset_v)
    if bms_full or _is_full(cycle):
        if mode is not ChargeMode.BALANCE:
            at_target = now.high_v >= force.target_v - ABSORB_WITHIN_V
            true_full = cycle.tail_s >= TAIL_S and at_target
            cycle = msgspec.structs.replace(cycle, true_full=true_full)
        if mode is not ChargeMode.BALANCE and not bms_full and _may_balance(cycle, reading, bounds):
            return _entered(cycle, ChargeMode.BALANCE, full=True)
        return _floating(cycle, reading, bounds, force.sent_v)
    return _charging(cycle, now, reading, measurement, bounds, force)


def truly_full(before: Cycle, after: Cycle) -> bool:
    """Whether the step from `before` to `after` ended a charge at the target by its small current.

    Then, and not at a full charge by rest or by time, 100 % is what the battery holds.
    """
    ended = before.mode in _BEFORE_FULL and after.mode in {*FULL, ChargeMode.BALANCE}
    return ended and after.true_full


def slept(cycle: Cycle, gap_s: float) -> Cycle:
    """The cycle after a gap without readings; a gap that is no time leaves it as it is."""
    if not 0 < gap_s < LONGEST_GAP_S:
        return cycle
    return msgspec.structs.replace(cycle, since_full_s=cycle.since_full_s + gap_s)


def counted(cycle: Cycle, reading: Reading, bounds: Envelope) -> Cycle:
    """The cycle with what SoC fell by while nobody looked."""
    if reading.soc_pct is None or cycle.soc_pct < 0.0:
        return cycle
    out_ah = max(0.0, cycle.soc_pct - reading.soc_pct) / 100.0 * bounds.capacity_ah
    return msgspec.structs.replace(cycle, out_ah=cycle.out_ah + out_ah)


def _charging(
    cycle: Cycle,
    now: Filtered,
    reading: Reading,
    measurement: Measurement,
    bounds: Envelope,
    force: InForce,
) -> Cycle:
    """Between the modes before full."""
    target_v, sent_v = force.target_v, force.sent_v
    wants_top = measurement.request == "top_balance"
    if cycle.mode is not ChargeMode.BALANCE and wants_top != (cycle.mode is ChargeMode.TOP_BALANCE):
        return _entered(cycle, ChargeMode.TOP_BALANCE if wants_top else ChargeMode.ABSORB)
    match cycle.mode:
        case ChargeMode.BULK if now.high_v >= target_v - ABSORB_WITHIN_V:
            return _entered(cycle, ChargeMode.ABSORB)
        case ChargeMode.ABSORB if (
            now.high_v < target_v - BULK_UNDER_V
            and now.current_a < 0.0
            and cycle.mode_s >= BULK_AFTER_S
        ):
            return _entered(cycle, ChargeMode.BULK)
        case ChargeMode.BALANCE:
            level = reading.spread_v <= bounds.imbalance_v + BALANCE_ROOM_V
            drained = cycle.out_ah >= BALANCE_OUT * bounds.capacity_ah
            unseen = cycle.balancing < BALANCE_LEAST_SHARE
            if level or drained or unseen or cycle.mode_s >= BALANCE_LONGEST_S:
                return _floating(cycle, reading, bounds, sent_v)
        case ChargeMode.TOP_BALANCE if cycle.mode_s >= TOP_BALANCE_LONGEST_S:
            return _floating(cycle, reading, bounds, sent_v)
        case _:
            pass
    return cycle


def _timed(
    cycle: Cycle,
    now: Filtered,
    reading: Reading,
    bounds: Envelope,
    cell: CellVoltages,
    force: InForce,
) -> Cycle:
    """Every timer moved on."""
    target_v, dt_s = force.target_v, force.dt_s
    capacity_ah, current_a = bounds.capacity_ah, reading.current_a or 0.0
    rest_v = min(cell.rest_v, target_v - 0.02)
    tail_a = capacity_ah * min(
        TAIL_MOST_C, TAIL_SLOPE_C * (now.high_v - rest_v) / (cell.full_v - rest_v)
    )
    from_v = rest_v + TAIL_FROM * (target_v - rest_v)
    at_target = now.high_v >= from_v
    own = force.allowed_a < tail_a and now.high_v < target_v - ABSORB_WITHIN_V
    tail = now.settled_v >= from_v and not own and now.current_a <= tail_a
    mean_v = now.pack_v / reading.cells
    rested = mean_v >= rest_v and abs(now.current_a) < REST_C * capacity_ah
    # A pack with a full cell has no use for a new charge, however low the others are.
    flat = mean_v <= cell.rebulk_v and now.high_v < rest_v
    low = flat and abs(now.current_a) < REBULK_LOW_C * capacity_ah
    soc_pct = cycle.soc_pct if reading.soc_pct is None else reading.soc_pct
    return msgspec.structs.replace(
        cycle,
        mode_s=cycle.mode_s + dt_s,
        tail_s=_leaking(cycle.tail_s, dt_s, TAIL_S, on=tail),
        near_s=_leaking(cycle.near_s, dt_s, NEAR_S, on=at_target),
        rest_s=_leaking(cycle.rest_s, dt_s, REST_S, on=rested),
        low_s=cycle.low_s + dt_s if low else 0.0,
        out_ah=max(0.0, cycle.out_ah - current_a * dt_s / 3600.0),
        since_full_s=cycle.since_full_s + dt_s,
        descent_s=cycle.descent_s + dt_s,
        soc_pct=soc_pct,
    )


def _leaking(before_s: float, dt_s: float, most_s: float, *, on: bool) -> float:
    if on:
        return min(most_s, before_s + dt_s)
    return max(0.0, before_s - LEAK * dt_s)


def _balanced(cycle: Cycle, dt_s: float, *, balancing: bool | None) -> Cycle:
    if balancing is None:
        return cycle
    gain = 1.0 - math.exp(-dt_s / BALANCE_SEEN_S)
    share = cycle.balancing + gain * ((1.0 if balancing else 0.0) - cycle.balancing)
    return msgspec.structs.replace(cycle, balancing=share)


def _is_full(cycle: Cycle) -> bool:
    if cycle.mode is ChargeMode.BALANCE:
        return False
    return cycle.tail_s >= TAIL_S or cycle.near_s >= NEAR_S or cycle.rest_s >= REST_S


def _may_balance(cycle: Cycle, reading: Reading, bounds: Envelope) -> bool:
    return (
        cycle.balancing >= BALANCE_LEAST_SHARE
        and reading.spread_v > bounds.imbalance_v + BALANCE_ROOM_V
        and reading.highest_v > bounds.balancing_v
    )


def _empty(cycle: Cycle, measurement: Measurement, bounds: Envelope) -> bool:
    """Whether anything asks for a new charge."""
    out = cycle.out_ah / bounds.capacity_ah
    return (
        measurement.request != ""
        or out >= REBULK_OUT
        or (out >= REBULK_SOC_OUT and 0.0 <= cycle.soc_pct <= REBULK_SOC_PCT)
        or (cycle.low_s >= REBULK_LOW_S and cycle.since_full_s >= REBULK_LOW_AFTER_S)
        or cycle.since_full_s >= REBULK_AFTER_S
    )


def _entered(
    cycle: Cycle, mode: ChargeMode, *, full: bool = False, sent_v: float | None = None
) -> Cycle:
    """`cycle` in a new mode; `full` makes this the moment of the last full charge."""
    fresh = mode in {ChargeMode.BULK, ChargeMode.TOP_BALANCE} and cycle.mode in FULL
    return msgspec.structs.replace(
        cycle,
        mode=mode,
        mode_s=0.0,
        tail_s=0.0 if full or fresh else cycle.tail_s,
        near_s=0.0 if full or fresh else cycle.near_s,
        rest_s=0.0 if full or fresh else cycle.rest_s,
        low_s=0.0 if full or fresh else cycle.low_s,
        out_ah=0.0 if full else cycle.out_ah,
        since_full_s=0.0 if full else cycle.since_full_s,
        descent_v=cycle.descent_v if sent_v is None else sent_v,
        descent_s=0.0,
    )


def _floating(cycle: Cycle, reading: Reading, bounds: Envelope, sent_v: float | None) -> Cycle:
    """Full: from the CVL in force down to float."""
    from_v = reading.cells * bounds.target_v if sent_v is None else sent_v
    mode = ChargeMode.FLOAT_DESCENT
    if from_v <= reading.cells * bounds.float_v:
        mode = ChargeMode.FLOAT
    return _entered(cycle, mode, full=cycle.mode is not ChargeMode.BALANCE, sent_v=from_v)


def _descended(cycle: Cycle, now: Filtered, cells: int, float_v: float, offset_v: float) -> Cycle:
    """One step down once the pack has followed the last one."""
    if cycle.mode is ChargeMode.FLOAT:
        return cycle
    followed = now.pack_v <= cycle.descent_v + offset_v + DESCENT_ROOM_V * cells
    waited = DESCENT_STEP_S if followed else DESCENT_LONGEST_S
    if cycle.descent_s < waited:
        return cycle
    lower_v = cycle.descent_v - DESCENT_STEP_V
    if lower_v > cells * float_v:
        return msgspec.structs.replace(cycle, descent_v=lower_v, descent_s=0.0)
    return _entered(cycle, ChargeMode.FLOAT)
