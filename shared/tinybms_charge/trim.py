"""How far CVL lies under its target, so that the highest cell does not pass it.

The target is absolute; measured voltages only enter the trim. It follows what the other cells lack
(feed forward), what chargers hold above CVL (offset), and how far the highest cell is or will be
over its target (proportional and integral). It rises at once and comes back slowly, for each
release at the knee of a cell is another overshoot.
"""

from __future__ import annotations

from typing import Final

from tinybms_charge.envelope import Envelope
from tinybms_charge.filters import Filtered, InForce
from tinybms_charge.reading import Reading
from tinybms_charge.state import Trim

DEAD_BAND_V: Final = 0.005
"""Noise of the readings that is no overshoot."""
GAIN: Final = 2.0
INTEGRAL_PER_S: Final = 1.0
RISE_V_PER_S: Final = 0.020
"""Per cell."""
BEHIND_V: Final = 0.02
"""The integral stays this close under the trim."""
UNDER_PACK_V: Final = 0.006
"""Per cell: CVL is not pulled further under the cells' own sum than this; it would drain them."""
RELEASE_S: Final = 200.0
"""In this time the trim falls by what the highest cell, and those that rise with it, lack."""
RELEASE_AFTER_S: Final = 300.0
RELEASE_ANYWAY_S: Final = 1800.0
FITS_V: Final = 0.10
"""A step of CVL fits when the cells that rise with it lack as much."""
RELEASE_UNDER_V: Final = 0.010
RELEASE_ABOVE_C: Final = -0.02
HOLDING_V: Final = 0.003
"""Per cell: a pack this close under CVL is limited by it."""
OFFSET_S: Final = 15.0
OFFSET_DECAY_S: Final = 600.0
OFFSET_MOST_V: Final = 0.050
OFFSET_ABOVE_C: Final = 0.003
SETTLED_S: Final = 12.0
"""After CVL moved, chargers need this long before they show their offset."""

_LONGEST_S: Final = 3600.0


def trimmed(
    before: Trim, now: Filtered, reading: Reading, bounds: Envelope, force: InForce
) -> Trim:
    """The trim after a good reading."""
    target_v, dt_s = force.target_v, force.dt_s
    cells = reading.cells
    offset_v = _offset(before.offset_v, reading, bounds.capacity_ah, force)
    highest_v = max(0.0, cells * (target_v - bounds.low_v))
    over_v = now.predicted_v - target_v - DEAD_BAND_V
    trim_v, integral_v = before.trim_v, before.integral_v
    if over_v > 0.0:
        lack_v = max(0.0, cells * target_v - now.clip_predicted_v)
        integral_v += INTEGRAL_PER_S * over_v * dt_s
        want_v = max(lack_v + offset_v + GAIN * over_v, integral_v)
        ceiling_v = cells * target_v - now.clip_v + offset_v + UNDER_PACK_V * cells
        want_v = min(want_v, ceiling_v, trim_v + RISE_V_PER_S * cells * dt_s)
        trim_v = min(max(trim_v, want_v), highest_v)
        integral_v = max(min(integral_v, trim_v), trim_v - BEHIND_V)
        return Trim(trim_v, integral_v, offset_v, 0.0)
    calm_s = min(before.calm_s + dt_s, _LONGEST_S)
    if calm_s >= RELEASE_AFTER_S and _may_release(now, reading, bounds, force, calm_s):
        short_v = target_v - now.high_v
        trim_v = max(0.0, trim_v - short_v * now.moving * dt_s / RELEASE_S)
        integral_v = min(integral_v, trim_v)
    return Trim(min(trim_v, highest_v), integral_v, offset_v, calm_s)


def seeded(now: Filtered, cells: int, *, target_v: float, taper_v: float) -> Trim:
    """The trim to start with when none is remembered: the nearer the highest cell, the more."""
    share = min(1.0, max(0.0, (now.high_v - taper_v) / (target_v - taper_v)))
    trim_v = share * max(0.0, cells * target_v - now.clip_v)
    return Trim(trim_v, trim_v, 0.0, 0.0 if trim_v else _LONGEST_S)


def _may_release(
    now: Filtered, reading: Reading, bounds: Envelope, force: InForce, calm_s: float
) -> bool:
    """Whether CVL is what holds the charge back, and the highest cell has room for more."""
    short_v = force.target_v - now.high_v
    limited = (
        force.sent_v is not None
        and reading.pack_voltage_v > force.sent_v - HOLDING_V * reading.cells
    )
    fits = short_v * now.moving >= FITS_V or calm_s >= RELEASE_ANYWAY_S
    charging = now.current_a > RELEASE_ABOVE_C * bounds.capacity_ah
    return limited and fits and charging and short_v > RELEASE_UNDER_V


def _offset(before_v: float, reading: Reading, capacity_ah: float, force: InForce) -> float:
    sent_v, dt_s = force.sent_v, force.dt_s
    charging = (reading.current_a or 0.0) > OFFSET_ABOVE_C * capacity_ah
    if sent_v is None or not charging or reading.pack_voltage_v <= sent_v - 0.05:
        return before_v * max(0.0, 1.0 - dt_s / OFFSET_DECAY_S)
    if force.waited_s < SETTLED_S:
        return before_v
    seen_v = min(max(reading.pack_voltage_v - sent_v, 0.0), OFFSET_MOST_V * reading.cells)
    return before_v + (seen_v - before_v) * min(1.0, dt_s / OFFSET_S)
