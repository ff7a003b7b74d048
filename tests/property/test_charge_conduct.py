"""Invariants 9, 10, 13 and 15: what holds from one step to the next."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_charge import BMS, PARAMETERS, make_bms, make_measurement
from fake_charge_any import (
    ANY_PARAMETERS,
    SEQUENCES,
    any_measurements,
    good_bms,
    invariant,
    plain_measurements,
    reached,
    steady,
    steps,
)
from tinybms_charge.bms import BmsLimits
from tinybms_charge.measurement import Measurement
from tinybms_charge.parameters import ChargeParameters
from tinybms_charge.state import ChargeMode, ChargeState, Cycle, from_bytes, to_bytes
from tinybms_charge.step import step

pytestmark = pytest.mark.timeout(1800)
"""The long run takes seven times the examples."""

FULL = {ChargeMode.FLOAT, ChargeMode.FLOAT_DESCENT}


@invariant()
@given(bms=good_bms(), measurement=plain_measurements(), parameters=ANY_PARAMETERS)
def test_invariant_9_the_binding_reason_is_the_limit_before_rounding(
    bms: BmsLimits, measurement: Measurement, parameters: ChargeParameters
) -> None:
    limits = steady(measurement, bms, parameters)
    for value, reasons in (
        (limits.charge_current_a, limits.charge_reasons),
        (limits.discharge_current_a, limits.discharge_reasons),
    ):
        assert value <= reasons[0].value + 1e-6 < value + 0.1 + 2e-6
        values = [reason.value for reason in reasons]
        assert values == sorted(values)


@invariant()
@given(sequence=SEQUENCES, bms=good_bms(), parameters=ANY_PARAMETERS)
def test_invariant_9_no_limit_is_ever_without_a_reason(
    sequence: list[tuple[Measurement, float]], bms: BmsLimits, parameters: ChargeParameters
) -> None:
    for result in steps(sequence, bms, parameters):
        limits = result.limits
        for reasons in (
            limits.voltage_reasons,
            limits.charge_reasons,
            limits.discharge_reasons,
        ):
            values = [reason.value for reason in reasons]
            assert values
            assert values == sorted(values)
            assert all(reason.text for reason in reasons)


@invariant()
@given(sequence=SEQUENCES, measurement=plain_measurements(16))
def test_invariant_10_with_a_constant_measurement_the_limits_come_to_rest(
    sequence: list[tuple[Measurement, float]], measurement: Measurement
) -> None:
    bms, state = make_bms(), reached(sequence, make_bms())
    # A charge that trickles in could end a latch hours later.
    measurement = replace(measurement, pack_current_a=0.0)
    for _ in range(300):
        state = step(state, measurement, bms, PARAMETERS, 5.0).state
    one = step(state, measurement, bms, PARAMETERS, 5.0)
    two = step(one.state, measurement, bms, PARAMETERS, 5.0)
    assert one.limits == two.limits
    assert one.alarms == two.alarms


@invariant()
@given(
    measurements=st.lists(plain_measurements(16), min_size=2, max_size=6),
    dt_s=st.sampled_from((0.1, 1.0, 3.0)),
)
def test_invariant_10_cvl_rises_by_at_most_one_step_in_twenty_seconds(
    measurements: list[Measurement], dt_s: float
) -> None:
    bms, clock_s, state = make_bms(), 0.0, ChargeState()
    moved: list[tuple[float, float]] = []
    for measurement in measurements:
        for _ in range(8):
            result = step(state, measurement, bms, PARAMETERS, dt_s)
            last_v = state.charge_voltage_v
            now_v = result.limits.charge_voltage_v
            if last_v is not None and now_v > last_v:
                assert now_v - last_v < 0.1 + 1e-6
                moved.append((clock_s, now_v))
            state, clock_s = result.state, clock_s + dt_s
    assert all(later[0] - earlier[0] >= 20 - 1e-6 for earlier, later in pairwise(moved))


@invariant()
@given(
    sequence=SEQUENCES,
    after=st.lists(any_measurements(), min_size=1, max_size=4),
    bms=good_bms(),
)
def test_invariant_13_a_state_that_was_stored_and_read_goes_on_alike(
    sequence: list[tuple[Measurement, float]], after: list[Measurement], bms: BmsLimits
) -> None:
    state = reached(sequence, bms)
    saved = from_bytes(to_bytes(state, kernel_boot_id="b", boottime_ns=7))
    assert saved is not None
    twin = saved.state
    for measurement in after:
        one = step(state, measurement, bms, PARAMETERS, 1.0)
        two = step(twin, measurement, bms, PARAMETERS, 1.0)
        assert (one.limits, one.alarms) == (two.limits, two.alarms)
        state, twin = one.state, two.state


@invariant()
@given(
    high_v=st.floats(min_value=3.30, max_value=3.55),
    slope_v_s=st.floats(min_value=-0.0005, max_value=0.0005),
    others_v=st.floats(min_value=3.30, max_value=3.46),
    current_a=st.floats(min_value=-60, max_value=60),
    parts=st.sampled_from((2, 4, 40)),
)
def test_invariant_15_one_long_step_is_as_many_short_ones(
    high_v: float, slope_v_s: float, others_v: float, current_a: float, parts: int
) -> None:
    def at(time_s: float) -> Measurement:
        volts = (high_v + slope_v_s * time_s, *(15 * (others_v,)))
        return make_measurement(cell_voltages_v=volts, pack_current_a=current_a)

    long = ChargeState(
        charge_voltage_v=54.6,
        cell_count=16,
        cycle=Cycle(mode=ChargeMode.BULK),
        charge_current_a=50.0,
    )
    short = long
    long_v, short_v = [54.6], [54.6]
    for number in range(1, 11):
        # Both see the same readings: one that only the short steps saw may rightly lower CVL.
        measurement = at(4.0 * number)
        long = step(long, measurement, BMS, PARAMETERS, 4.0).state
        long_v.append(long.charge_voltage_v or 0.0)
        for _ in range(parts):
            short = step(short, measurement, BMS, PARAMETERS, 4.0 / parts).state
            short_v.append(short.charge_voltage_v or 0.0)
    for number in range(1, 10):
        # What begins within a long step counts for all of it or for none of it.
        near_v = short_v[(number - 1) * parts : (number + 1) * parts + 1]
        assert min(near_v) - 0.1 - 1e-6 <= long_v[number] <= max(near_v) + 0.1 + 1e-6
    assert math.isclose(long.cycle.out_ah, short.cycle.out_ah, abs_tol=1e-9)
    assert math.isclose(long.cycle.near_s, short.cycle.near_s, abs_tol=4.1)


@invariant()
@given(
    over_v=st.floats(min_value=0.007, max_value=0.009),
    parts=st.sampled_from((4, 40)),
    count=st.integers(min_value=3, max_value=8),
)
def test_invariant_15_the_trim_grows_with_time_and_not_with_steps(
    over_v: float, parts: int, count: int
) -> None:
    """Looked at before it is rounded: CVL's steps of 0.1 V would hide most of it."""

    def at(high_v: float) -> Measurement:
        # So small a current shows nothing of what chargers hold above CVL.
        return make_measurement(cell_voltages_v=(high_v, *(15 * (3.38,))), pack_current_a=0.5)

    long = ChargeState(charge_voltage_v=54.6, cell_count=16, cycle=Cycle(mode=ChargeMode.ABSORB))
    for _ in range(20):
        long = step(long, at(3.44), BMS, PARAMETERS, 1.0).state
    short = long
    for _ in range(count):
        long = step(long, at(3.45 + over_v), BMS, PARAMETERS, 4.0).state
        for _ in range(parts):
            short = step(short, at(3.45 + over_v), BMS, PARAMETERS, 4.0 / parts).state
    assert math.isclose(long.trim.trim_v, short.trim.trim_v, abs_tol=0.03)
