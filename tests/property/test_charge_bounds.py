"""Invariants 1 to 6, 11 and 16: what bounds the limits for any measurement, state and settings."""

from __future__ import annotations

import math
import struct
from dataclasses import asdict, replace

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fake_charge import PARAMETERS, make_bms, make_measurement
from fake_charge_any import (
    ANY_PARAMETERS,
    SEQUENCES,
    good_bms,
    invariant,
    mostly,
    odd_bms,
    plain_measurements,
    reached,
    steady,
    steps,
)
from tinybms_charge.bms import BmsLimits
from tinybms_charge.measurement import Measurement
from tinybms_charge.parameters import ChargeParameters
from tinybms_charge.state import from_bytes, to_bytes
from tinybms_charge.step import step
from tinybms_messages.live import AlarmName, Limits

pytestmark = pytest.mark.timeout(1800)
"""The long run takes seven times the examples."""


@invariant()
@given(sequence=SEQUENCES, bms=mostly(good_bms(), odd_bms()), parameters=ANY_PARAMETERS)
def test_invariant_1_every_output_is_finite_and_fits_its_field(
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


@invariant()
@given(sequence=SEQUENCES, bms=good_bms(), parameters=ANY_PARAMETERS)
def test_invariant_2_cvl_stays_under_every_cut_off_of_the_bms(
    sequence: list[tuple[Measurement, float]], bms: BmsLimits, parameters: ChargeParameters
) -> None:
    margin_v = 0.055 if bms.single_port else 0.030
    asked = any(measurement.request == "top_balance" for measurement, _ in sequence)
    most_v = parameters.cell.top_balance_v if asked else parameters.cell.absorb_v
    highest_v = min(most_v, bms.fully_charged_v - margin_v, bms.over_voltage_v - 0.050)
    for result in steps(sequence, bms, parameters):
        limits = result.limits
        assert limits.charge_voltage_v <= result.state.cell_count * highest_v + 1e-6
        assert (
            round(limits.charge_voltage_v * 10) <= 10 * result.state.cell_count * highest_v + 1e-5
        )


@invariant()
@given(sequence=SEQUENCES, bms=good_bms(), parameters=ANY_PARAMETERS)
def test_invariant_3_cvl_never_falls_under_its_floor_and_is_never_zero(
    sequence: list[tuple[Measurement, float]], bms: BmsLimits, parameters: ChargeParameters
) -> None:
    room_v = 0.055 if bms.single_port else 0.030
    cut_off_v = min(bms.fully_charged_v - room_v, bms.over_voltage_v - 0.050)
    for result in steps(sequence, bms, parameters):
        limits = result.limits
        assert limits.charge_voltage_v > 0
        # Where the BMS cuts off under the floor its margin goes first; a step is 25 mV at 4S.
        if cut_off_v >= parameters.cell.low_v + 0.025:
            floor_v = result.state.cell_count * parameters.cell.low_v
            assert limits.charge_voltage_v >= floor_v - 1e-6


@invariant()
@given(sequence=SEQUENCES, bms=good_bms(), parameters=ANY_PARAMETERS)
def test_invariant_4_currents_stay_under_the_owner_s_and_the_bms_s(
    sequence: list[tuple[Measurement, float]], bms: BmsLimits, parameters: ChargeParameters
) -> None:
    for result in steps(sequence, bms, parameters):
        limits = result.limits
        assert limits.charge_current_a <= parameters.max_charge_current_a
        assert limits.discharge_current_a <= parameters.max_discharge_current_a
        assert limits.charge_current_a <= 0.9 * bms.charge_over_current_a + 1e-6
        assert limits.discharge_current_a <= 0.9 * bms.discharge_over_current_a + 1e-6
        if bms.peak_discharge_a is not None:
            assert limits.discharge_current_a <= bms.peak_discharge_a


@invariant()
@given(sequence=SEQUENCES, bms=good_bms(), measurement=plain_measurements())
def test_invariant_5_a_fault_or_a_temperature_closes_its_limit_in_the_same_step(
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


@invariant()
@given(
    sequence=SEQUENCES,
    bms=good_bms(),
    over_c=st.floats(min_value=0.0, max_value=3.0),
    probe=st.sampled_from((1, 2)),
)
def test_invariant_5_a_probe_just_past_a_cut_off_closes_charge(
    sequence: list[tuple[Measurement, float]], bms: BmsLimits, over_c: float, probe: int
) -> None:
    state = reached(sequence, bms)
    for celsius in (bms.low_temperature_charge_c + 1 - over_c, bms.over_heat_c - 1 + over_c):
        measurement = make_measurement(temperatures_c=((probe, celsius), (3 - probe, 20.0)))
        limits = step(state, measurement, bms, PARAMETERS, 0.1).limits
        assert limits.charge_current_a == 0


@invariant()
@given(
    sequence=SEQUENCES,
    bms=good_bms(),
    past_v=st.floats(min_value=0.0, max_value=0.03),
    where=st.integers(min_value=0, max_value=15),
)
def test_invariant_6_a_cell_just_past_its_bound_closes_its_current_in_the_same_step(
    sequence: list[tuple[Measurement, float]], bms: BmsLimits, past_v: float, where: int
) -> None:
    state = reached(sequence, bms)
    margin_v = 0.055 if bms.single_port else 0.030
    target_v = min(3.45, bms.fully_charged_v - margin_v, bms.over_voltage_v - 0.050)
    hard_v = min(bms.fully_charged_v - 0.020, target_v + 0.120)

    def limits_at(volts: float) -> Limits:
        cells = tuple(volts if cell == where else 3.3 for cell in range(16))
        measurement = make_measurement(cell_voltages_v=cells)
        return step(state, measurement, bms, PARAMETERS, 0.1).limits

    assert limits_at(hard_v + past_v).charge_current_a == 0
    assert limits_at(bms.fully_discharged_v + 0.020 - 1e-6 - past_v).discharge_current_a == 0


@invariant()
@given(
    bms=good_bms(),
    measurement=plain_measurements(),
    closed=st.sampled_from(
        ("user", "charge_over_current_a", "discharge_over_current_a", "peak_discharge_a")
    ),
    sequence=SEQUENCES,
)
def test_invariant_11_a_cap_of_zero_is_a_limit_of_zero(
    bms: BmsLimits,
    measurement: Measurement,
    closed: str,
    sequence: list[tuple[Measurement, float]],
) -> None:
    parameters = PARAMETERS
    if closed == "user":
        parameters = replace(PARAMETERS, max_charge_current_a=0.0, max_discharge_current_a=0.0)
    else:
        bms = msgspec.convert(asdict(bms) | {closed: 0.0}, BmsLimits)
    for result in steps([*sequence, (measurement, 1.0)], bms, parameters):
        if closed in {"user", "charge_over_current_a"}:
            assert result.limits.charge_current_a == 0
        if closed != "charge_over_current_a":
            assert result.limits.discharge_current_a == 0


@invariant()
@given(cells=st.integers(min_value=4, max_value=16), cell_v=st.floats(3.0, 3.34))
def test_invariant_16_register_315_is_millivolts_of_a_cell(cells: int, cell_v: float) -> None:
    limits = steady(make_measurement(cells=cells, cell_v=cell_v), make_bms(), PARAMETERS)
    assert limits.charge_voltage_v == math.floor(cells * 34.5 + 1e-6) / 10
    if cells == 16:
        assert struct.pack("<H", round(limits.charge_voltage_v * 10)) == bytes.fromhex("2802")


@invariant()
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
