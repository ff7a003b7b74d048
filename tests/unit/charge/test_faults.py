from __future__ import annotations

import pytest

from fake_charge import BMS, PARAMETERS, make_measurement, settled
from tinybms_charge.faults import fault_view
from tinybms_charge.step import Step, step
from tinybms_messages.live import AlarmName


def with_events(*numbers: int, status: str = "fault") -> Step:
    """The very next step after a calm pack reports these events."""
    calm = settled(make_measurement())
    measured = make_measurement(status=status, event_ids=frozenset(numbers))
    return step(calm.state, measured, BMS, PARAMETERS, 0.1)


def levels(result: Step) -> dict[str, int]:
    return {alarm.name.value: alarm.level for alarm in result.alarms if alarm.level}


@pytest.mark.parametrize("number", [0x04, 0x05, 0x06, 0x07, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F])
def test_a_fault_of_both_directions_stops_both_in_the_same_step(number: int) -> None:
    limits = with_events(number).limits
    assert (limits.charge_current_a, limits.discharge_current_a) == (0, 0)
    assert limits.charge_voltage_v == 54.0
    assert limits.system_state == "fault"
    assert f"0x{number:02X}" in limits.charge_reasons[0].text


def test_cvl_does_not_rise_while_such_a_fault_lasts() -> None:
    low = settled(make_measurement(status="fully_charged"))
    fault = make_measurement(status="fault", event_ids=frozenset({0x04}))
    assert settled(fault, state=low.state).limits.charge_voltage_v <= 54.0


def test_over_voltage_stops_charge_only() -> None:
    result = with_events(0x03)
    assert result.limits.charge_current_a == 0
    assert result.limits.discharge_current_a == 100.0
    assert result.limits.charge_voltage_v == 54.0
    assert levels(result) == {"high_voltage": 2}


@pytest.mark.parametrize(("number", "status", "level"), [(0x02, "fault", 2), (0x31, "idle", 1)])
def test_under_voltage_stops_discharge_only(number: int, status: str, level: int) -> None:
    result = with_events(number, status=status)
    assert result.limits.charge_current_a == 60.0
    assert result.limits.discharge_current_a == 0
    assert result.limits.charge_voltage_v == 55.2
    assert levels(result) == {"low_voltage": level, "low_cell_voltage": level}


def test_too_cold_to_charge_stops_charge_and_brings_cvl_to_float() -> None:
    result = with_events(0x37, status="idle")
    assert result.limits.charge_current_a == 0
    assert result.limits.discharge_current_a == 100.0
    assert result.limits.charge_voltage_v == 54.0
    assert levels(result) == {"low_charge_temperature": 1}


@pytest.mark.parametrize("numbers", [(), (0x31,), (0x37,)])
def test_a_fault_without_a_cause_stops_both_and_is_called_unknown(numbers: tuple[int]) -> None:
    result = with_events(*numbers)
    assert (result.limits.charge_current_a, result.limits.discharge_current_a) == (0, 0)
    assert levels(result)["internal_failure"] == 2
    texts = {alarm.name: alarm.text for alarm in result.alarms}
    assert texts[AlarmName.INTERNAL_FAILURE].startswith("unknown fault")


def test_a_fault_number_that_the_protocol_lacks_is_shown_with_its_number() -> None:
    result = with_events(0x21)
    assert (result.limits.charge_current_a, result.limits.discharge_current_a) == (0, 0)
    assert "0x21" in result.limits.charge_reasons[0].text
    assert levels(result) == {"internal_failure": 2}


def test_several_faults_at_once_stop_what_each_of_them_stops() -> None:
    result = with_events(0x02, 0x03, 0x31)
    assert (result.limits.charge_current_a, result.limits.discharge_current_a) == (0, 0)
    assert levels(result) == {"high_voltage": 2, "low_voltage": 2, "low_cell_voltage": 2}


@pytest.mark.parametrize("status", ["idle", "charging", "fully_charged", "discharging"])
def test_a_fault_left_in_the_log_does_not_hold_while_the_status_is_well(status: str) -> None:
    result = with_events(0x05, status=status)
    assert result.limits.discharge_current_a == 100.0
    assert levels(result) == {}


def test_an_unknown_status_is_no_fault_but_keeps_the_faults_of_the_log() -> None:
    assert with_events(status="unknown").limits.discharge_current_a == 100.0
    assert with_events(0x05, status="unknown").limits.discharge_current_a == 0


def test_warnings_about_the_charger_stop_nothing() -> None:
    view = fault_view("fully_charged", frozenset({0x38, 0x39}))
    assert (view.charge, view.discharge, view.voltage) == ("", "", "")
