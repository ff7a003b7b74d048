"""CVL: an absolute target under every cut-off, less the trim; float once the battery is full."""

from __future__ import annotations

from typing import Final

from tinybms_charge.envelope import NEAR_OVER_VOLTAGE_V, Envelope
from tinybms_charge.faults import FaultView
from tinybms_charge.reading import Reading
from tinybms_charge.reasons import ReasonCode, cap
from tinybms_charge.rounding import STEP, ceil_tenth, floor_tenth
from tinybms_charge.state import ChargeMode, Cycle, Trim
from tinybms_messages.live import Reason

RISE_WAIT_S: Final = 20.0
"""CVL rises by one step of 0.1 V in this time: a GX and its chargers follow slowly."""

OFFSET_SHOWN_V: Final = 0.02
START_ROOM_V: Final = 0.025
"""A start without memory with a cell this close under float begins at float and rises slowly."""

_LONGEST_WAIT_S: Final = 3600.0


def voltage_caps(
    reading: Reading,
    faults: FaultView,
    bounds: Envelope,
    trim: Trim,
    cycle: Cycle,
    *,
    last_v: float | None,
) -> list[Reason]:
    """Every cap on CVL in V for the whole pack, unsorted."""
    cells = reading.cells
    float_v = cells * bounds.float_v
    top = cycle.mode is ChargeMode.TOP_BALANCE
    known = bounds.top_caps if top else bounds.target_caps
    caps = [cap(code, cells * cell_v, text) for code, cell_v, text in known]
    target_v = min(reason.value for reason in caps)
    if trim.trim_v > 0:
        where = f"cell {reading.highest_cell}, {reading.highest_v:.3f} V"
        text = f"high cell ({where}, trim {trim.trim_v:.1f} V)"
        caps.append(cap(ReasonCode.HIGH_CELL, target_v - trim.trim_v, text))
    if trim.offset_v > OFFSET_SHOWN_V:
        text = f"chargers hold {trim.offset_v:.2f} V more than CVL"
        caps.append(cap(ReasonCode.CHARGER_OFFSET, target_v - trim.offset_v, text))
    if cycle.mode is ChargeMode.FLOAT:
        text = f"float, the battery is full ({bounds.float_v:.3f} V per cell)"
        caps.append(cap(ReasonCode.FLOAT, float_v, text))
    elif cycle.mode is ChargeMode.FLOAT_DESCENT:
        text = f"down to float ({float_v:.1f} V)"
        caps.append(cap(ReasonCode.FLOAT_DESCENT, max(float_v, cycle.descent_v), text))
    if last_v is None and not reading.bad and reading.highest_v >= bounds.float_v - START_ROOM_V:
        caps.append(cap(ReasonCode.START, float_v, "start near full"))
    if faults.voltage:
        frozen_v = min(float_v, last_v) if faults.freeze and last_v else float_v
        caps.append(cap(ReasonCode.FAULT, frozen_v, faults.voltage))
    if reading.bad:
        caps.append(cap(ReasonCode.BAD_READING, min(float_v, last_v or float_v), reading.bad))
    elif reading.highest_v >= bounds.over_voltage_v - NEAR_OVER_VOLTAGE_V:
        text = f"over-voltage (cell {reading.highest_cell}, {reading.highest_v:.3f} V)"
        caps.append(cap(ReasonCode.HIGH_CELL, float_v, text))
    return caps


def lowest_voltage(cells: int, low_v: float, target_v: float) -> float:
    """The lowest CVL that is ever sent; where the BMS cuts off below it, its margin goes first."""
    return min(ceil_tenth(cells * low_v), floor_tenth(cells * target_v))


def conditioned_voltage(
    want_v: float, last_v: float | None, wait_s: float, dt_s: float, lowest_v: float
) -> tuple[float, float]:
    """(CVL to send, time since it last moved): down at once, up one step per RISE_WAIT_S.

    Without a last value CVL starts where it is wanted.
    """
    steps_v = max(floor_tenth(want_v), lowest_v)
    if last_v is None or steps_v < last_v - STEP / 2:
        return steps_v, 0.0
    last_v = max(last_v, lowest_v)
    waited_s = min(wait_s + dt_s, _LONGEST_WAIT_S)
    if steps_v > last_v + STEP / 2 and waited_s >= RISE_WAIT_S:
        return floor_tenth(last_v + STEP), 0.0
    return last_v, waited_s
