"""Any battery, any settings and any history for the charge control, for invariants of its limits.

Most readings are those of a healthy pack with one thing at its edge: of random numbers alone nearly
all would be refused, and nothing behind that be tried.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from fake_charge import PARAMETERS, make_bms, make_measurement, make_parameters
from tinybms_charge.bms import BmsLimits
from tinybms_charge.measurement import Measurement
from tinybms_charge.parameters import ChargeParameters
from tinybms_charge.state import ChargeState
from tinybms_charge.step import Step, step
from tinybms_messages.live import Limits

T = TypeVar("T")

EXAMPLES = int(os.environ.get("TINYBMS_EXAMPLES", "300"))
"""Of each invariant; the long run asks for more."""


def invariant(*, share: float = 1.0) -> settings:
    """Settings of an invariant; `share` of the examples where one of them is a whole charge."""
    return settings(max_examples=max(1, round(share * EXAMPLES)), deadline=None)


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
ANY_PARAMETERS = st.sampled_from((*(4 * [CHEMISTRIES["lifepo4"]]), *CHEMISTRIES.values()))
"""Mostly those that fit the packs, or nearly every limit would be 0."""


def mostly(usual: st.SearchStrategy[T], other: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """`usual` four times of five."""
    return st.sampled_from((usual, usual, usual, usual, other)).flatmap(lambda chosen: chosen)


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
    return mostly(fitting_bms(), wide_bms())


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
    edge = draw(
        st.sampled_from(
            ("none", "high", "high", "low", "low", "temperature", "temperature", "event", "status")
        )
    )
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
    one = replace(draw(kinds), alternative=draw(st.none() | kinds))
    return replace(one, request="top_balance") if draw(st.booleans()) else one


TIMES = st.sampled_from((0.0, 0.1, 1.0, 5.0, 12.0, 40.0, 100.0, -3.0, math.nan, math.inf))
SEQUENCES = mostly(
    st.lists(
        st.tuples(calm_measurements(), st.sampled_from((0.0, 0.1, 1.0))), min_size=1, max_size=3
    ),
    st.lists(st.tuples(any_measurements(), TIMES), min_size=1, max_size=5),
)


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
