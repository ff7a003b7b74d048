"""Invariant 10: modes come to rest, and float and bulk do not take turns.

The short runs begin with every timer somewhere on its way; the long ones let all of them run.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_charge import BMS, PARAMETERS, make_measurement
from fake_charge_any import invariant
from tinybms_charge.measurement import Measurement
from tinybms_charge.state import ChargeMode, ChargeState, Cycle, Trim
from tinybms_charge.step import step

pytestmark = pytest.mark.timeout(1800)
"""The long run takes seven times the examples."""

FULL = {ChargeMode.FLOAT, ChargeMode.FLOAT_DESCENT}
CHARGED = FULL | {ChargeMode.BALANCE}
"""Balancing begins when the pack is full, and goes on to float by itself."""
DT_S = 5.0
TAIL_S = 180.0
DAY_S = 86_400.0


def cycles(*modes: ChargeMode, drained: float = 0.01) -> st.SearchStrategy[Cycle]:
    """Cycles with all timers on their way; up to `drained` of the capacity is out."""
    return st.builds(
        Cycle,
        mode=st.sampled_from(modes or tuple(ChargeMode)),
        mode_s=st.floats(min_value=0, max_value=6 * 3600),
        tail_s=st.floats(min_value=0, max_value=TAIL_S - 1),
        near_s=st.floats(min_value=0, max_value=7199),
        rest_s=st.floats(min_value=0, max_value=1799),
        low_s=st.floats(min_value=0, max_value=599),
        out_ah=st.floats(min_value=0, max_value=drained * 280),
        since_full_s=st.floats(min_value=0, max_value=13 * DAY_S),
        balancing=st.floats(min_value=0, max_value=1),
    )


CONSTANT = {
    "high_v": st.floats(min_value=3.2, max_value=3.6) | st.floats(min_value=3.42, max_value=3.47),
    "others_v": st.floats(min_value=3.2, max_value=3.46),
    "current_a": st.floats(min_value=-60, max_value=60),
    "balancing": st.sampled_from((None, False, True)),
}


def changes_of_mode(
    cycle: Cycle,
    count: int,
    *,
    high_v: float,
    others_v: float,
    current_a: float,
    balancing: bool | None,
) -> int:
    """How often the mode changes while nothing else does."""
    measurement = replace(
        make_measurement(
            cell_voltages_v=(high_v, *(15 * (others_v,))), pack_current_a=current_a, soc_pct=95.0
        ),
        balancing=balancing,
    )
    state = ChargeState(cycle=cycle, cell_count=16)
    modes: list[str] = []
    # A pack whose voltages stay while a tenth of its charge is taken out is none.
    for _ in range(min(count, int(0.08 * 280 * 720 / max(1.0, -current_a)))):
        state = step(state, measurement, BMS, PARAMETERS, DT_S).state
        now = "full" if state.cycle.mode in FULL else state.cycle.mode.value
        if not modes or now != modes[-1]:
            modes.append(now)
    return len(modes) - 1


@invariant()
@given(cycle=cycles(), **CONSTANT)
def test_invariant_10_a_constant_measurement_changes_the_mode_three_times_at_most(
    cycle: Cycle, high_v: float, others_v: float, current_a: float, balancing: bool | None
) -> None:
    changes = changes_of_mode(
        cycle,
        300,
        high_v=high_v,
        others_v=others_v,
        current_a=current_a,
        balancing=balancing,
    )
    assert changes <= 3


@pytest.mark.long
@invariant(share=0.1)
@given(mode=st.sampled_from(ChargeMode), **CONSTANT)
def test_invariant_10_five_hours_change_the_mode_three_times_at_most(
    mode: ChargeMode, high_v: float, others_v: float, current_a: float, balancing: bool | None
) -> None:
    changes = changes_of_mode(
        Cycle(mode=mode),
        3600,
        high_v=high_v,
        others_v=others_v,
        current_a=current_a,
        balancing=balancing,
    )
    assert changes <= 3


Piece = tuple[float, float, float, str, int]
"""Highest cell, the others, current, status, and for how many steps."""


def pieces(*, most: int, longest: int) -> st.SearchStrategy[list[Piece]]:
    """Up to `most` pieces of up to `longest` steps."""
    return st.lists(
        st.tuples(
            st.sampled_from((3.0, 3.29, 3.33, 3.38, 3.44, 3.46, 3.55)),
            st.sampled_from((3.0, 3.29, 3.33, 3.38, 3.44)),
            st.sampled_from((-2.0, 0.0, 0.5, 4.0, 60.0)),
            st.sampled_from(("idle", "charging", "fully_charged")),
            st.integers(min_value=1, max_value=longest),
        ),
        min_size=2,
        max_size=most,
    )


def turns(state: ChargeState, course: list[Piece]) -> list[float]:
    """When full began or ended without a fiftieth of the charge having been taken out."""
    times: list[float] = []
    clock_s = 0.0
    for high_v, others_v, current_a, status, count in course:
        measurement = make_measurement(
            cell_voltages_v=(high_v, *(15 * (others_v,))),
            pack_current_a=current_a,
            status=status,
            soc_pct=None,
        )
        for _ in range(count):
            before = state.cycle
            state = step(state, measurement, BMS, PARAMETERS, DT_S).state
            clock_s += DT_S
            drained = before.out_ah >= 0.02 * 280.0
            if (before.mode in CHARGED) != (state.cycle.mode in CHARGED) and not drained:
                times.append(clock_s)
    return times


def at_most_two_an_hour(times: list[float]) -> bool:
    return all(third - first >= 3600.0 for first, third in zip(times, times[2:], strict=False))


@invariant()
@given(cycle=cycles(), course=pieces(most=5, longest=90))
def test_invariant_10_float_and_bulk_take_turns_at_most_twice_an_hour(
    cycle: Cycle, course: list[Piece]
) -> None:
    assert at_most_two_an_hour(turns(ChargeState(cycle=cycle, cell_count=16), course))


@pytest.mark.long
@invariant(share=0.2)
@given(course=pieces(most=12, longest=180))
def test_invariant_10_hours_of_float_and_bulk_take_turns_at_most_twice_an_hour(
    course: list[Piece],
) -> None:
    state = ChargeState(cycle=Cycle(mode=ChargeMode.FLOAT), cell_count=16)
    assert at_most_two_an_hour(turns(state, 3 * course))


TOP = make_measurement(cell_v=3.447, pack_current_a=1.0)
"""Full by its small current, by rest and by its time near the target, whichever counts first."""
EMPTIED = make_measurement(cell_v=3.30, pack_current_a=-1000.0)


@invariant()
@given(
    cycle=cycles(ChargeMode.ABSORB),
    way=st.sampled_from((("tail_s", 180.0), ("near_s", 7200.0), ("rest_s", 1800.0))),
    dt_s=st.floats(min_value=1.0, max_value=5.0),
)
def test_invariant_10_a_new_charge_is_not_over_by_the_time_of_the_last(
    cycle: Cycle, way: tuple[str, float], dt_s: float
) -> None:
    name, most_s = way
    begun = msgspec.structs.replace(cycle, **{name: most_s})
    state = ChargeState(cycle=begun, cell_count=16, charge_current_a=50.0)
    state = until(state, TOP, dt_s, full=True)
    state = until(state, EMPTIED, dt_s, full=False)
    waited_s = 0.0
    while state.cycle.mode not in FULL:
        state = step(state, TOP, BMS, PARAMETERS, dt_s).state
        waited_s += dt_s
    assert waited_s >= TAIL_S - dt_s


def until(state: ChargeState, measurement: Measurement, dt_s: float, *, full: bool) -> ChargeState:
    """The state once it is full, or no longer."""
    for _ in range(400):
        state = step(state, measurement, BMS, PARAMETERS, dt_s).state
        if (state.cycle.mode in FULL) == full:
            return state
    raise AssertionError(f"full={full} was not reached")


@invariant()
@given(
    high_v=st.floats(min_value=3.36, max_value=3.44),
    under_v=st.floats(min_value=0.0, max_value=0.08),
    room_v=st.floats(min_value=-0.3, max_value=0.04),
    current_a=st.floats(min_value=-4.0, max_value=60.0),
    calm_s=st.floats(min_value=0.0, max_value=3600.0),
)
def test_invariant_10_a_trim_that_nothing_asks_for_only_falls(
    high_v: float, under_v: float, room_v: float, current_a: float, calm_s: float
) -> None:
    measurement = make_measurement(
        cell_voltages_v=(high_v, *(15 * (high_v - under_v,))), pack_current_a=current_a
    )
    assert measurement.pack_voltage_v is not None
    sent_v = measurement.pack_voltage_v + room_v
    trim_v = max(0.0, 55.2 - sent_v)
    state = ChargeState(
        cycle=Cycle(mode=ChargeMode.ABSORB),
        cell_count=16,
        charge_voltage_v=round(sent_v, 1),
        trim=Trim(trim_v=trim_v, integral_v=trim_v, calm_s=calm_s),
    )
    for _ in range(120):
        before_v = state.trim.trim_v
        state = step(state, measurement, BMS, PARAMETERS, DT_S).state
        assert state.trim.trim_v <= before_v + 1e-9
