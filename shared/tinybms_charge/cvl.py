"""CVL in its first form: a fixed target under every cut-off, never taken from the pack voltage."""

from __future__ import annotations

from typing import Final

from tinybms_charge.envelope import NEAR_OVER_VOLTAGE_V, Envelope
from tinybms_charge.faults import FaultView
from tinybms_charge.reading import Reading
from tinybms_charge.reasons import ReasonCode, cap
from tinybms_charge.rounding import STEP, ceil_tenth, floor_tenth
from tinybms_messages.live import Reason

RISE_WAIT_S: Final = 20.0
"""CVL rises by one step of 0.1 V in this time: a GX and its chargers follow slowly."""

_LONGEST_WAIT_S: Final = 3600.0


def voltage_caps(
    reading: Reading, faults: FaultView, bounds: Envelope, *, full: bool, last_v: float | None
) -> list[Reason]:
    """Every cap on CVL in V for the whole pack, unsorted."""
    cells = reading.cells
    caps = [cap(code, cells * cell_v, text) for code, cell_v, text in bounds.target_caps]
    float_v = cells * bounds.float_v
    if full:
        text = f"float, the BMS says fully charged ({bounds.float_v:.3f} V per cell)"
        caps.append(cap(ReasonCode.FLOAT, float_v, text))
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
