"""Invariants of the limits for any measurement, any reachable state and any settings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fake_charge import PARAMETERS, make_bms, make_measurement, make_parameters
from tinybms_charge.bms import BmsLimits
from tinybms_charge.measurement import Measurement
from tinybms_charge.parameters import ChargeParameters
from tinybms_charge.state import ChargeState, from_bytes, to_bytes
from tinybms_charge.step import Step, step
from tinybms_messages.live import AlarmName, Limits

STATUSES = (
    "idle",
    "charging",
    "fully_charged",
    "discharging",
    "regeneration",
    "fault",
    "unknown",
    "149",
)
TELLING_EVENTS = (0x02, 0x03, 0x04, 0x05, 0x06, 0x0A, 0x0B, 0x21, 0x31, 0x37, 0x38)
EVENTS = st.frozensets(st.integers(min_value=0, max_value=0x90), max_size=4)
ODD_NUMBERS = st.one_of(
    st.none(), st.floats(), st.sampled_from((0.0, -1.0, 19.0, 1e308, -32768.0, 65535.0))
)
CHEMISTRIES = {
    "lifepo4": make_parameters(),
    "nmc": make_parameters(chemistry="nmc"),
    "lto": make_parameters(chemistry="lto"),
    "closed": make_parameters(max_charge_current_a=0.0, max_discharge_current_a=0.0),
}
RAMP_ENDED = ChargeState(charge_current_a=1000.0)
"""So that not the ramp of a start hides a limit that is too high."""
ANY_PARAMETERS = st.sampled_from(tuple(CHEMISTRIES.values()))


@st.composite
def fitting_bms(draw: st.DrawFn) -> BmsLimits:
    """Settings of a healthy LFP pack, each of them near enough to bind now and then."""
    full_v = draw(st.floats(min_value=3.42, max_value=3.65))
    empty_v = draw(st.floats(min_value=2.5, max_value=3.0))
    return make_bms(
        fully_charged_v=full_v,
        over_voltage_v=full_v + draw(st.floats(min_value=0.01, max_value=0.1)),
        fully_discharged_v=empty_v,
        under_voltage_v=empty_v - 0.2,
        charge_over_current_a=float(draw(st.integers(min_value=0, max_value=120))),
        discharge_over_current_a=float(draw(st.integers(min_value=0, max_value=160))),
        peak_discharge_a=draw(st.none() | st.floats(min_value=0, max_value=200)),
        over_heat_c=float(draw(st.integers(min_value=33, max_value=70))),
        low_temperature_charge_c=float(draw(st.integers(min_value=-10, max_value=10))),
        single_port=draw(st.booleans()),
    )


@st.composite
def wide_bms(draw: st.DrawFn) -> BmsLimits:
    """Settings that a BMS would accept, for any of the chemistries."""
    full_v = draw(st.floats(min_value=2.7, max_value=4.3))
    empty_v = draw(st.floats(min_value=1.0, max_value=3.2))
    return make_bms(
        fully_charged_v=full_v,
        over_voltage_v=full_v + draw(st.floats(min_value=0.01, max_value=0.2)),
        fully_discharged_v=empty_v,
        under_voltage_v=max(0.8, empty_v - draw(st.floats(min_value=0.01, max_value=0.5))),
        charge_over_current_a=float(draw(st.integers(min_value=0, max_value=750))),
        discharge_over_current_a=float(draw(st.integers(min_value=0, max_value=750))),
        peak_discharge_a=draw(st.none() | st.floats(min_value=0, max_value=1000)),
        over_heat_c=float(draw(st.integers(min_value=20, max_value=90))),
        low_temperature_charge_c=float(draw(st.integers(min_value=-40, max_value=10))),
        capacity_ah=draw(st.floats(min_value=0.1, max_value=655)),
        single_port=draw(st.booleans()),
    )


def good_bms() -> st.SearchStrategy[BmsLimits]:
    return fitting_bms() | wide_bms()


@st.composite
def odd_bms(draw: st.DrawFn) -> BmsLimits:
    """Settings as no BMS should have them."""
    names = (
        "fully_charged_v",
        "over_voltage_v",
        "fully_discharged_v",
        "under_voltage_v",
        "charge_over_current_a",
        "discharge_over_current_a",
        "peak_discharge_a",
        "over_heat_c",
        "low_temperature_charge_c",
        "capacity_ah",
        "early_balancing_v",
    )
    odd = draw(st.dictionaries(st.sampled_from(names), st.floats(), max_size=4))
    return make_bms(**odd)


@st.composite
def calm_measurements(draw: st.DrawFn, cells: int | None = None) -> Measurement:
    """A healthy LFP pack with one thing about it that may be at its edge."""
    count = cells or draw(st.integers(min_value=4, max_value=16))
    others_v = draw(st.floats(min_value=3.25, max_value=3.35))
    edge = draw(st.sampled_from(("none", "high", "low", "temperature", "event", "status")))
    span = {"high": (3.35, 3.7), "low": (2.4, 3.2)}.get(edge, (others_v, others_v))
    odd_v = draw(st.floats(min_value=span[0], max_value=span[1]))
    where = draw(st.integers(min_value=0, max_value=count - 1))
    near_whole = st.integers(-10, 12).map(lambda whole: whole + 0.9)
    edges = st.floats(-25, 70) | near_whole
    celsius = draw(edges if edge == "temperature" else st.floats(16, 24))
    in_fault = edge == "event"
    return make_measurement(
        cell_voltages_v=tuple(odd_v if cell == where else others_v for cell in range(count)),
        pack_current_a=draw(st.floats(min_value=-100, max_value=60)),
        temperatures_c=((1, celsius), (2, 20.0)),
        status=draw(st.sampled_from(STATUSES))
        if edge == "status"
        else draw(st.sampled_from(("fault", "idle")))
        if in_fault
        else "idle",
        event_ids=frozenset({draw(st.sampled_from(TELLING_EVENTS))}) if in_fault else frozenset(),
    )


def plain_measurements(cells: int | None = None) -> st.SearchStrategy[Measurement]:
    return calm_measurements(cells) | wide_measurements(cells)


@st.composite
def wide_measurements(draw: st.DrawFn, cells: int | None = None) -> Measurement:
    count = cells or draw(st.integers(min_value=4, max_value=16))
    middle_v = draw(st.floats(min_value=1.7, max_value=4.3))
    voltages = draw(
        st.lists(
            st.floats(min_value=middle_v - 0.2, max_value=middle_v + 0.2),
            min_size=count,
            max_size=count,
        )
    )
    return make_measurement(
        cell_voltages_v=tuple(voltages),
        pack_current_a=draw(st.floats(min_value=-200, max_value=200)),
        soc_pct=draw(st.floats(min_value=0, max_value=100)),
        temperatures_c=tuple(
            (number, draw(st.floats(min_value=-45, max_value=80)))
            for number in draw(st.sampled_from(((0,), (1,), (2,), (1, 2))))
        ),
        status=draw(st.sampled_from(STATUSES)),
        event_ids=draw(EVENTS),
    )


@st.composite
def odd_measurements(draw: st.DrawFn) -> Measurement:
    voltages = draw(st.lists(ODD_NUMBERS | st.floats(2, 4), max_size=20))
    return Measurement(
        cell_voltages_v=tuple(voltages),
        pack_voltage_v=draw(ODD_NUMBERS),
        pack_current_a=draw(ODD_NUMBERS),
        soc_pct=draw(ODD_NUMBERS),
        temperatures_c=tuple(draw(st.lists(st.tuples(st.integers(0, 3), st.floats()), max_size=3))),
        status=draw(st.sampled_from(STATUSES)),
        event_ids=draw(EVENTS),
    )


@st.composite
def any_measurements(draw: st.DrawFn) -> Measurement:
    kinds = calm_measurements() | plain_measurements() | odd_measurements()
    return replace(draw(kinds), alternative=draw(st.none() | kinds))


TIMES = st.sampled_from((0.0, 0.1, 1.0, 5.0, 12.0, 40.0, 100.0, -3.0, math.nan, math.inf))
SEQUENCES = st.lists(
    st.tuples(calm_measurements(), st.sampled_from((0.0, 0.1, 1.0))), min_size=1, max_size=3
) | st.lists(st.tuples(any_measurements(), TIMES), min_size=1, max_size=5)


def steps(
    sequence: list[tuple[Measurement, float]], bms: BmsLimits, parameters: ChargeParameters
) -> list[Step]:
    state, results = RAMP_ENDED, []
    for measurement, dt_s in sequence:
        results.append(step(state, measurement, bms, parameters, dt_s))
        state = results[-1].state
    return results


def reached(sequence: list[tuple[Measurement, float]], bms: BmsLimits) -> ChargeState:
    return steps(sequence, bms, PARAMETERS)[-1].state


def steady(measurement: Measurement, bms: BmsLimits, parameters: ChargeParameters) -> Limits:
    """Limits without memory and ramps: CCL's ramp is as high as it can be."""
    return step(RAMP_ENDED, measurement, bms, parameters, 0.0).limits


@settings(max_examples=200)
@given(sequence=SEQUENCES, bms=good_bms() | odd_bms(), parameters=ANY_PARAMETERS)
def test_every_output_is_finite_fits_its_field_and_names_its_reason(
    sequence: list[tuple[Measurement, float]], bms: BmsLimits, parameters: ChargeParameters
) -> None:
    for result in steps(sequence, bms, parameters):
        limits = result.limits
        assert 0 < limits.charge_voltage_v < 100
        assert 0 < limits.discharge_voltage_v < 100
        assert 0 <= limits.charge_current_a <= parameters.max_charge_current_a
        assert 0 <= limits.discharge_current_a <= parameters.max_discharge_current_a
        for value, reasons in (
            (limits.charge_voltage_v, limits.voltage_reasons),
            (limits.charge_current_a, limits.charge_reasons),
            (limits.discharge_current_a, limits.discharge_reasons),
        ):
            assert isinstance(value, float)
            assert math.isclose(value * 10, round(value * 10), abs_tol=1e-6)
            assert value <= reasons[0].value + 1e-6 or reasons is limits.voltage_reasons
            assert all(math.isfinite(reason.value) and reason.text for reason in reasons)
        assert [alarm.name for alarm in result.alarms] == list(AlarmName)
        assert all(alarm.level in {0, 1, 2} for alarm in result.alarms)
        assert from_bytes(to_bytes(result.state, kernel_boot_id="", boottime_ns=0)) is not None


@settings(max_examples=200)
@given(sequence=SEQUENCES, bms=good_bms(), parameters=ANY_PARAMETERS)
def test_limits_stay_within_the_cut_offs_of_the_bms_and_over_the_floor(
    sequence: list[tuple[Measurement, float]], bms: BmsLimits, parameters: ChargeParameters
) -> None:
    margin_v = 0.055 if bms.single_port else 0.030
    highest_v = min(
        parameters.cell.absorb_v, bms.fully_charged_v - margin_v, bms.over_voltage_v - 0.050
    )
    for result in steps(sequence, bms, parameters):
        cells, limits = result.state.cell_count, result.limits
        assert limits.charge_voltage_v <= cells * highest_v + 1e-6
        if highest_v >= parameters.cell.low_v + 0.025:
            assert limits.charge_voltage_v >= cells * parameters.cell.low_v - 1e-6
        assert limits.charge_current_a <= 0.9 * bms.charge_over_current_a + 1e-6
        assert limits.discharge_current_a <= 0.9 * bms.discharge_over_current_a + 1e-6
        if bms.peak_discharge_a is not None:
            assert limits.discharge_current_a <= bms.peak_discharge_a


@settings(max_examples=200)
@given(sequence=SEQUENCES, bms=good_bms(), measurement=plain_measurements())
def test_faults_and_extremes_close_their_limit_in_the_same_step(
    sequence: list[tuple[Measurement, float]], bms: BmsLimits, measurement: Measurement
) -> None:
    state = reached(sequence, bms)
    # The board's own sensor does not count once probes were there: their last values do.
    assume(not any(probe.number for probe in state.probes) or measurement.temperatures_c[0][0])
    limits = step(state, measurement, bms, PARAMETERS, 0.1).limits
    in_fault = measurement.status == "fault"
    causes = {number for number in measurement.event_ids if 0x01 <= number <= 0x30}
    if in_fault and (not causes or causes - {0x02, 0x03}):
        assert limits.charge_current_a == limits.discharge_current_a == 0
    if in_fault and 0x03 in causes:
        assert limits.charge_current_a == 0
        assert limits.charge_voltage_v <= len(measurement.cell_voltages_v) * 3.375 + 1e-6
    if (in_fault and 0x02 in causes) or 0x31 in measurement.event_ids:
        assert limits.discharge_current_a == 0
    celsius = [value for _, value in measurement.temperatures_c]
    if min(celsius) <= bms.low_temperature_charge_c + 1 or max(celsius) >= bms.over_heat_c - 1:
        assert limits.charge_current_a == 0
    voltages = [v for v in measurement.cell_voltages_v if v is not None]
    if max(voltages) >= bms.fully_charged_v - 0.020:
        assert limits.charge_current_a == 0
    if min(voltages) < bms.fully_discharged_v + 0.020 - 1e-9:
        assert limits.discharge_current_a == 0


@settings(max_examples=200)
@given(
    bms=good_bms(),
    measurement=calm_measurements() | plain_measurements(),
    up_v=st.floats(min_value=0, max_value=0.03) | st.floats(min_value=0, max_value=0.3),
    away_c=st.floats(min_value=0, max_value=40),
)
def test_a_worse_cell_or_temperature_never_raises_a_limit(
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


@settings(max_examples=200)
@given(
    bms=good_bms(),
    measurement=plain_measurements(),
    share=st.floats(min_value=0, max_value=1),
    field=st.sampled_from(
        ("charge_over_current_a", "discharge_over_current_a", "peak_discharge_a", "user")
    ),
)
def test_a_lower_cap_never_raises_a_limit_and_a_cap_of_zero_gives_zero(
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
        if factor == 0 and field in {"charge_over_current_a", "user"}:
            assert after.charge_current_a == 0
        if factor == 0 and field != "charge_over_current_a":
            assert after.discharge_current_a == 0


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


@settings(max_examples=200)
@given(
    sequence=SEQUENCES,
    measurement=calm_measurements() | plain_measurements(),
    bad=st.sampled_from((None, math.nan, math.inf, -math.inf, -32768.0, 1e30)),
)
def test_a_value_that_is_missing_or_absurd_never_gives_a_higher_limit(
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


@settings(max_examples=200)
@given(sequence=SEQUENCES, bms=good_bms(), main=plain_measurements(4), other=plain_measurements(4))
def test_with_a_doubtful_reading_each_limit_is_at_most_that_of_either_reading(
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


@settings(max_examples=200)
@given(bms=good_bms(), measurement=plain_measurements(), parameters=ANY_PARAMETERS)
def test_the_binding_reason_is_the_limit_before_rounding(
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


@settings(max_examples=100)
@given(
    sequence=SEQUENCES,
    after=st.lists(plain_measurements(8), min_size=1, max_size=4),
    bms=good_bms(),
)
def test_a_state_that_was_stored_and_read_goes_on_alike(
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


@settings(max_examples=100)
@given(measurement=plain_measurements(), bms=good_bms(), data=st.data())
def test_the_order_of_the_cells_changes_no_limit(
    measurement: Measurement, bms: BmsLimits, data: st.DataObject
) -> None:
    shuffled = tuple(data.draw(st.permutations(measurement.cell_voltages_v)))
    one = steady(measurement, bms, PARAMETERS)
    two = steady(replace(measurement, cell_voltages_v=shuffled), bms, PARAMETERS)
    assert one.charge_voltage_v == two.charge_voltage_v
    assert one.charge_current_a == two.charge_current_a
    assert one.discharge_current_a == two.discharge_current_a


@settings(max_examples=50)
@given(cells=st.integers(min_value=4, max_value=16), cell_v=st.floats(3.0, 3.34))
def test_cvl_grows_with_the_number_of_equal_cells(cells: int, cell_v: float) -> None:
    limits = steady(make_measurement(cells=cells, cell_v=cell_v), make_bms(), PARAMETERS)
    assert limits.charge_voltage_v == math.floor(cells * 34.5 + 1e-6) / 10


@settings(max_examples=100)
@given(
    measurements=st.lists(plain_measurements(16), min_size=2, max_size=6),
    dt_s=st.sampled_from((0.1, 1.0, 3.0)),
)
def test_cvl_rises_by_at_most_one_step_in_twenty_seconds(
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


@settings(max_examples=100)
@given(sequence=SEQUENCES, measurement=plain_measurements(16))
def test_with_a_constant_measurement_the_limits_come_to_rest(
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


@settings(max_examples=200)
@given(sequence=SEQUENCES, bms=good_bms(), measurement=plain_measurements())
def test_a_limit_at_zero_for_a_cell_is_always_told_and_never_as_its_opposite(
    sequence: list[tuple[Measurement, float]], bms: BmsLimits, measurement: Measurement
) -> None:
    result = step(reached(sequence, bms), measurement, bms, PARAMETERS, 0.1)
    levels = {alarm.name: alarm.level for alarm in result.alarms}
    state = result.state
    if state.low_cell:
        assert result.limits.discharge_current_a == 0
        assert levels[AlarmName.LOW_CELL_VOLTAGE] >= 1
        assert levels[AlarmName.LOW_VOLTAGE] >= 1
    if state.high_cell:
        assert result.limits.charge_current_a == 0
        assert levels[AlarmName.HIGH_VOLTAGE] >= 1
    told_low = measurement.event_ids & {0x02, 0x31}
    if not state.low_cell and not told_low and "near_under_voltage" not in state.alarms:
        assert levels[AlarmName.LOW_VOLTAGE] == levels[AlarmName.LOW_CELL_VOLTAGE] == 0
