"""Invariants 8 and 14: what is worse never raises a limit, and the order of cells is nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fake_charge import PARAMETERS, make_bms, make_measurement
from fake_charge_any import (
    RAMP_ENDED,
    SEQUENCES,
    calm_measurements,
    good_bms,
    invariant,
    plain_measurements,
    reached,
    steady,
)
from tinybms_charge.bms import BmsLimits
from tinybms_charge.measurement import Measurement
from tinybms_charge.step import step

pytestmark = pytest.mark.timeout(1800)
"""The long run takes seven times the examples."""


@invariant()
@given(
    bms=good_bms(),
    measurement=calm_measurements() | plain_measurements(),
    up_v=st.floats(min_value=0, max_value=0.03) | st.floats(min_value=0, max_value=0.3),
    away_c=st.floats(min_value=0, max_value=40),
)
def test_invariant_8_a_worse_cell_or_temperature_never_raises_a_limit(
    bms: BmsLimits, measurement: Measurement, up_v: float, away_c: float
) -> None:
    # 25 degC has to lie in the flat zone for "away" to have one meaning.
    bms = replace(bms, over_heat_c=max(bms.over_heat_c, 33.0))
    cells = [v for v in measurement.cell_voltages_v if v is not None]
    before = steady(measurement, bms, PARAMETERS)

    def with_cells(changed: list[float]) -> Measurement:
        return replace(measurement, cell_voltages_v=tuple(changed), pack_voltage_v=sum(changed))

    top = cells.index(max(cells))
    higher = steady(
        with_cells([*cells[:top], cells[top] + up_v, *cells[top + 1 :]]), bms, PARAMETERS
    )
    assert higher.charge_voltage_v <= before.charge_voltage_v
    assert higher.charge_current_a <= before.charge_current_a
    bottom = cells.index(min(cells))
    lower = steady(
        with_cells([*cells[:bottom], cells[bottom] - up_v, *cells[bottom + 1 :]]), bms, PARAMETERS
    )
    assert lower.discharge_current_a <= before.discharge_current_a
    for sign in (-1, 1):
        moved = tuple(
            (number, celsius + sign * away_c if (celsius - 25) * sign >= 0 else celsius)
            for number, celsius in measurement.temperatures_c
        )
        after = steady(replace(measurement, temperatures_c=moved), bms, PARAMETERS)
        assert after.charge_current_a <= before.charge_current_a
        assert after.discharge_current_a <= before.discharge_current_a


@invariant()
@given(
    bms=good_bms(),
    measurement=plain_measurements(),
    share=st.floats(min_value=0, max_value=1),
    field=st.sampled_from(
        ("charge_over_current_a", "discharge_over_current_a", "peak_discharge_a", "user")
    ),
)
def test_invariant_8_a_lower_cap_never_raises_a_limit(
    bms: BmsLimits, measurement: Measurement, share: float, field: str
) -> None:
    assume(bms.peak_discharge_a is not None)
    before = steady(measurement, bms, PARAMETERS)
    for factor in (share, 0.0):
        lower_bms, lower_parameters = bms, PARAMETERS
        if field == "user":
            lower_parameters = replace(
                PARAMETERS,
                max_charge_current_a=PARAMETERS.max_charge_current_a * factor,
                max_discharge_current_a=PARAMETERS.max_discharge_current_a * factor,
            )
        else:
            lower_bms = replace(bms, **{field: getattr(bms, field) * factor})
        after = steady(measurement, lower_bms, lower_parameters)
        assert after.charge_current_a <= before.charge_current_a
        assert after.discharge_current_a <= before.discharge_current_a


def damaged(measurement: Measurement, bad: float | None) -> Iterator[Measurement]:
    """`measurement` with one value at a time replaced by `bad`."""
    cells = measurement.cell_voltages_v
    known = [v for v in cells if v is not None]
    for extreme in (max(known), min(known)):
        at = cells.index(extreme)
        yield replace(measurement, cell_voltages_v=(*cells[:at], bad, *cells[at + 1 :]))
    yield replace(measurement, pack_voltage_v=bad)
    yield replace(measurement, soc_pct=bad)
    yield replace(measurement, pack_current_a=bad)
    probes = measurement.temperatures_c
    for at, (number, _) in enumerate(probes):
        now = () if bad is None else ((number, bad),)
        yield replace(measurement, temperatures_c=(*probes[:at], *now, *probes[at + 1 :]))
    if measurement.status != "fault":
        yield replace(measurement, status="unknown")


@invariant()
@given(
    sequence=SEQUENCES,
    measurement=calm_measurements() | plain_measurements(),
    bad=st.sampled_from((None, math.nan, math.inf, -math.inf, -32768.0, 1e30)),
)
def test_invariant_8_a_value_that_is_missing_or_absurd_never_gives_a_higher_limit(
    sequence: list[tuple[Measurement, float]], measurement: Measurement, bad: float | None
) -> None:
    bms = make_bms()
    # Charge that is not counted keeps the latch of a low cell longer, which is no higher limit.
    measurement = replace(measurement, pack_current_a=min(0.0, measurement.pack_current_a or 0.0))
    state = step(reached(sequence, bms), measurement, bms, PARAMETERS, 0.1).state
    before = step(state, measurement, bms, PARAMETERS, 0.1).limits
    for worse in damaged(measurement, bad):
        after = step(state, worse, bms, PARAMETERS, 0.1).limits
        # A cell that is not known can't ask for more trim: then CVL must not rise, at least.
        sent_v = state.charge_voltage_v or 0.0
        assert after.charge_voltage_v <= max(before.charge_voltage_v, sent_v) + 1e-9
        assert after.charge_current_a <= max(before.charge_current_a, state.charge_current_a)
        assert after.discharge_current_a <= before.discharge_current_a


@invariant()
@given(sequence=SEQUENCES, bms=good_bms(), main=plain_measurements(4), other=plain_measurements(4))
def test_invariant_8_a_doubtful_reading_gives_at_most_what_either_reading_gives(
    sequence: list[tuple[Measurement, float]],
    bms: BmsLimits,
    main: Measurement,
    other: Measurement,
) -> None:
    state = reached(sequence, bms)
    both = step(state, replace(main, alternative=other), bms, PARAMETERS, 0.1).limits
    for single in (main, other):
        alone = step(state, single, bms, PARAMETERS, 0.1).limits
        assert both.charge_voltage_v <= alone.charge_voltage_v
        assert both.charge_current_a <= alone.charge_current_a
        assert both.discharge_current_a <= alone.discharge_current_a


@invariant()
@given(
    sequence=SEQUENCES,
    measurement=plain_measurements(),
    bms=good_bms(),
    data=st.data(),
)
def test_invariant_14_the_order_of_the_cells_changes_no_limit(
    sequence: list[tuple[Measurement, float]],
    measurement: Measurement,
    bms: BmsLimits,
    data: st.DataObject,
) -> None:
    shuffled = tuple(data.draw(st.permutations(measurement.cell_voltages_v)))
    state = reached(sequence, bms)
    one = step(state, measurement, bms, PARAMETERS, 1.0).limits
    two = step(state, replace(measurement, cell_voltages_v=shuffled), bms, PARAMETERS, 1.0).limits
    assert one.charge_voltage_v == two.charge_voltage_v
    assert one.charge_current_a == two.charge_current_a
    assert one.discharge_current_a == two.discharge_current_a
    assert one.system_state == two.system_state


@invariant()
@given(
    where=st.integers(min_value=0, max_value=15),
    high_v=st.floats(min_value=3.55, max_value=3.58),
    low_v=st.floats(min_value=2.85, max_value=3.12),
    count=st.integers(min_value=1, max_value=4),
)
def test_invariant_14_a_cell_at_its_edge_counts_wherever_it_is(
    where: int, high_v: float, low_v: float, count: int
) -> None:
    for odd_v in (high_v, low_v):
        state, twin = RAMP_ENDED, RAMP_ENDED
        for _ in range(count):
            one = step(state, one_odd(odd_v, 5), make_bms(), PARAMETERS, 1.0)
            two = step(twin, one_odd(odd_v, where), make_bms(), PARAMETERS, 1.0)
            state, twin = one.state, two.state
            assert one.limits.charge_voltage_v == two.limits.charge_voltage_v
            assert one.limits.charge_current_a == two.limits.charge_current_a
            assert one.limits.discharge_current_a == two.limits.discharge_current_a


@pytest.mark.parametrize("where", range(16))
def test_invariant_14_the_hard_stop_is_that_of_the_highest_cell_wherever_it_is(where: int) -> None:
    stopped = step(RAMP_ENDED, one_odd(3.64, where), make_bms(), PARAMETERS, 1.0)
    assert stopped.state.high_cell
    assert stopped.limits.charge_current_a == 0
    # It is latched: a hundredth of a volt less is no release.
    held = step(stopped.state, one_odd(3.59, where), make_bms(), PARAMETERS, 1.0)
    assert held.state.high_cell


def one_odd(volts: float, where: int) -> Measurement:
    return make_measurement(cell_voltages_v=(*(where * (3.3,)), volts, *((15 - where) * (3.3,))))


@invariant()
@given(
    cells=st.integers(min_value=1, max_value=4),
    factor=st.sampled_from((2, 4)),
    cell_v=st.integers(min_value=2900, max_value=3650).map(lambda mv: mv / 1000),
)
def test_invariant_14_as_many_equal_cells_have_as_many_times_the_cvl(
    cells: int, factor: int, cell_v: float
) -> None:
    one = steady(make_measurement(cells=cells, cell_v=cell_v), make_bms(), PARAMETERS)
    many = steady(make_measurement(cells=cells * factor, cell_v=cell_v), make_bms(), PARAMETERS)
    # Each is rounded down to 0.1 V, the floor of CVL up.
    assert abs(many.charge_voltage_v - factor * one.charge_voltage_v) <= 0.1 * factor + 1e-6
    assert many.charge_current_a == one.charge_current_a
    assert many.discharge_current_a == one.discharge_current_a


@invariant()
@given(bms=good_bms(), measurement=calm_measurements(), lost=st.sampled_from((1, 2)))
def test_invariant_8_a_probe_that_stays_away_never_gives_a_higher_charge(
    bms: BmsLimits, measurement: Measurement, lost: int
) -> None:
    state = reached([(measurement, 0.1)], bms)
    left = tuple(probe for probe in measurement.temperatures_c if probe[0] != lost)
    away = replace(measurement, temperatures_c=left)
    for _ in range(14):
        state = step(state, away, bms, PARAMETERS, 5.0).state
    # A minute away, the probe stops the charge of an LFP pack.
    assert step(state, away, bms, PARAMETERS, 5.0).limits.charge_current_a == 0
