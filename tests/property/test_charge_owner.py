"""Whatever an owner asks for, from whatever state: no limit is ever higher for it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fake_charge import BMS, PARAMETERS, make_measurement
from tinybms_charge.measurement import Measurement, OwnerCap
from tinybms_charge.state import ChargeState
from tinybms_charge.step import step

CURRENTS = st.floats() | st.floats(min_value=0, max_value=120) | st.just(0.0)
CAPS = st.lists(
    CURRENTS.map(lambda value_a: OwnerCap(value_a=value_a, text="the owner (test)")), max_size=3
).map(tuple)


@st.composite
def readings(draw: st.DrawFn) -> Measurement:
    cell_v = draw(st.floats(min_value=2.7, max_value=3.62))
    high_v = cell_v + draw(st.floats(min_value=0, max_value=0.2))
    return replace(
        make_measurement(
            cell_voltages_v=(high_v, *((cell_v,) * 15)),
            pack_current_a=draw(st.floats(min_value=-100, max_value=60)),
            temperature_c=draw(st.floats(min_value=-10, max_value=60)),
            status=draw(st.sampled_from(("idle", "charging", "discharging", "fault"))),
            event_ids=draw(st.frozensets(st.sampled_from((0x02, 0x03, 0x05, 0x37)), max_size=1)),
        ),
        request=draw(st.sampled_from(("", "top_balance"))),
    )


STEPS = st.lists(st.tuples(readings(), CAPS, CAPS, st.sampled_from((0.1, 1.0, 40.0))), max_size=8)


@given(before=STEPS, reading=readings(), charge=CAPS, discharge=CAPS)
def test_caps_of_the_owner_only_lower_and_bind(
    before: list[tuple[Measurement, tuple[OwnerCap, ...], tuple[OwnerCap, ...], float]],
    reading: Measurement,
    charge: tuple[OwnerCap, ...],
    discharge: tuple[OwnerCap, ...],
) -> None:
    state = ChargeState(charge_current_a=1000.0)
    for measured, ccl, dcl, dt_s in before:
        capped = replace(measured, charge_caps=ccl, discharge_caps=dcl)
        state = step(state, capped, BMS, PARAMETERS, dt_s).state
    free = step(state, reading, BMS, PARAMETERS, 0.1).limits
    asked = replace(reading, charge_caps=charge, discharge_caps=discharge)
    held = step(state, asked, BMS, PARAMETERS, 0.1).limits
    assert held.charge_voltage_v == free.charge_voltage_v
    assert held.charge_current_a <= free.charge_current_a
    assert held.discharge_current_a <= free.discharge_current_a
    for caps, limit_a in (
        (charge, held.charge_current_a),
        (discharge, held.discharge_current_a),
    ):
        for cap in caps:
            allowed_a = cap.value_a if 0 <= cap.value_a <= 1000 else 0.0
            assert 0 <= limit_a <= allowed_a


@given(before=STEPS, reading=readings())
def test_a_top_balance_stays_under_what_the_bms_cuts_off_at(
    before: list[tuple[Measurement, tuple[OwnerCap, ...], tuple[OwnerCap, ...], float]],
    reading: Measurement,
) -> None:
    state = ChargeState()
    for measured, ccl, dcl, dt_s in before:
        capped = replace(measured, charge_caps=ccl, discharge_caps=dcl)
        state = step(state, capped, BMS, PARAMETERS, dt_s).state
    asked = replace(reading, request="top_balance")
    limits = step(state, asked, BMS, PARAMETERS, 0.1).limits
    highest_v = 16 * min(PARAMETERS.cell.top_balance_v, BMS.fully_charged_v - 0.03)
    assert limits.charge_voltage_v <= highest_v + 1e-6
