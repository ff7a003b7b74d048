"""Invariant 13: what a start without memory begins with, each of its two guards by itself."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_charge import BMS, PARAMETERS, make_measurement
from fake_charge_any import invariant
from tinybms_charge.reasons import ReasonCode
from tinybms_charge.state import ChargeState
from tinybms_charge.step import step

pytestmark = pytest.mark.timeout(1800)
"""The long run takes seven times the examples."""

FLOAT_V = 3.375
TAPER_V, TARGET_V = 3.40, 3.45


@invariant()
@given(
    high_v=st.floats(min_value=3.35, max_value=3.50),
    under_v=st.floats(min_value=0.0, max_value=0.15),
    cells=st.integers(min_value=4, max_value=16),
    current_a=st.floats(min_value=-60.0, max_value=60.0),
)
def test_invariant_13_a_start_near_full_begins_at_float_however_level_the_cells_are(
    high_v: float, under_v: float, cells: int, current_a: float
) -> None:
    volts = (high_v, *((cells - 1) * (high_v - under_v,)))
    measurement = make_measurement(cell_voltages_v=volts, pack_current_a=current_a)
    limits = step(ChargeState(), measurement, BMS, PARAMETERS, 0.1).limits
    assert limits.charge_voltage_v <= cells * FLOAT_V + 1e-6
    assert limits.charge_voltage_v > cells * FLOAT_V - 0.1 or under_v > 0.0


@invariant()
@given(
    high_v=st.floats(min_value=3.401, max_value=3.45),
    under_v=st.floats(min_value=0.0, max_value=0.15),
    cells=st.integers(min_value=4, max_value=16),
)
def test_invariant_13_a_start_near_full_rises_no_further_than_its_highest_cell_allows(
    high_v: float, under_v: float, cells: int
) -> None:
    """The trim that nobody remembers is put in the place of what the other cells lack."""
    volts = (high_v, *((cells - 1) * (high_v - under_v,)))
    measurement = make_measurement(cell_voltages_v=volts)
    state = ChargeState()
    share = (high_v - TAPER_V) / (TARGET_V - TAPER_V)
    seed_v = share * sum(TARGET_V - volt for volt in volts)
    for _ in range(30):
        result = step(state, measurement, BMS, PARAMETERS, 5.0)
        state = result.state
        caps = [one for one in result.limits.voltage_reasons if one.code == ReasonCode.HIGH_CELL]
        lowest_v = min((one.value for one in caps), default=math.inf)
        assert seed_v < 1e-6 or lowest_v <= cells * TARGET_V - seed_v + 1e-6
        assert result.limits.charge_voltage_v <= lowest_v + 1e-6
