"""Readings, smoothed, and where the highest cell will be when new limits take effect.

Every filter gives the same for one long step as for many short ones, up to the readings between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tinybms_charge.envelope import Envelope
from tinybms_charge.reading import Reading
from tinybms_charge.state import Filters

CELL_S: Final = 5.0
"""Time constant for the highest cell and for its slope."""
PACK_S: Final = 30.0
CURRENT_S: Final = 30.0
SLOW_S: Final = 1200.0
"""Time constant of the slow polarisation of a cell."""
TOGETHER_V: Final = 0.030
LEAD_S: Final = 20.0
"""Frame, GX and ESS path take up to 7 s, chargers some more, and the slope itself lags by 10 s."""
LONGEST_LEAD_V: Final = 0.10
"""A steeper slope over LEAD_S is a change of the current, not of the charge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What holds while a reading is taken in: target in V per cell, the limits last sent, time."""

    target_v: float
    sent_v: float | None
    """CVL, not moved for `waited_s`."""
    waited_s: float
    allowed_a: float
    """CCL."""
    dt_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered:
    """What the control looks at; voltages in V, `clip_v` is the sum of the cells up to the target.

    `predicted_v` and `clip_predicted_v` are where they will be once limits sent now take effect.
    """

    memory: Filters
    high_v: float
    predicted_v: float
    clip_v: float
    clip_predicted_v: float
    pack_v: float
    current_a: float
    settled_v: float
    """The highest cell once the polarisation by the charge of the last minutes is gone."""
    moving: float
    """How many cells rise together with the highest one, it included."""


def filtered(before: Filters, reading: Reading, bounds: Envelope, force: InForce) -> Filtered:
    """`before` with a good reading taken in."""
    high_v = reading.highest_v
    current_a = before.current_a if reading.current_a is None else reading.current_a
    drop_v = current_a * bounds.drop_ohm
    clip_v = math.fsum([min(v, force.target_v) for v in reading.voltages_v])
    knee_v = high_v - drop_v
    clip_knee_v = clip_v - drop_v * reading.cells
    memory = Filters(
        ready=True,
        recent_v=(*before.recent_v[-1:], high_v),
        high_v=high_v,
        knee_v=knee_v,
        clip_v=clip_knee_v,
        pack_v=reading.pack_voltage_v,
        current_a=current_a,
        slow_current_a=current_a,
    )
    if before.ready:
        memory = _smoothed(before, memory, force.dt_s)
    recent_v = sorted((*before.recent_v, high_v))
    steady_v = recent_v[len(recent_v) // 2]
    now_v = max(steady_v, memory.high_v)
    lead_v = min(LONGEST_LEAD_V, LEAD_S * max(0.0, memory.knee_rise))
    clip_lead_v = LEAD_S * max(0.0, memory.clip_rise)
    return Filtered(
        memory=memory,
        high_v=now_v,
        predicted_v=now_v + lead_v,
        clip_v=clip_v,
        clip_predicted_v=min(clip_v + clip_lead_v, clip_v + lead_v * reading.cells),
        pack_v=memory.pack_v,
        current_a=memory.current_a,
        settled_v=now_v - max(0.0, memory.slow_current_a) * bounds.slow_ohm,
        moving=math.fsum([max(0.0, 1.0 - (high_v - v) / TOGETHER_V) for v in reading.voltages_v]),
    )


def _smoothed(before: Filters, raw: Filters, dt_s: float) -> Filters:
    """`before` with the readings of `raw` taken in, which lasted for `dt_s`."""
    cell, pack, flow, slow = (
        1.0 - math.exp(-dt_s / tau_s) for tau_s in (CELL_S, PACK_S, CURRENT_S, SLOW_S)
    )
    knee_v, clip_v = raw.knee_v - before.knee_v, raw.clip_v - before.clip_v
    return Filters(
        ready=True,
        recent_v=raw.recent_v,
        high_v=before.high_v + cell * (raw.high_v - before.high_v),
        knee_v=before.knee_v + cell * knee_v,
        knee_rise=_slope(before.knee_rise, knee_v, dt_s),
        clip_v=before.clip_v + cell * clip_v,
        clip_rise=_slope(before.clip_rise, clip_v, dt_s),
        pack_v=before.pack_v + pack * (raw.pack_v - before.pack_v),
        current_a=before.current_a + flow * (raw.current_a - before.current_a),
        slow_current_a=before.slow_current_a + slow * (raw.current_a - before.slow_current_a),
    )


def _slope(before: float, apart_v: float, dt_s: float) -> float:
    """The slope in V/s, smoothed twice, when the reading lay `apart_v` over what was smoothed.

    The exact answer of two filters in a row, so that one long step is as many short ones.
    """
    passed = dt_s / CELL_S
    return math.exp(-passed) * (before + passed * apart_v / CELL_S)
