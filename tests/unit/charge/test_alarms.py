from __future__ import annotations

import pytest

from fake_charge import (
    BMS,
    PARAMETERS,
    make_bms,
    make_measurement,
    one_cell,
    settled,
)
from tinybms_charge.measurement import Measurement
from tinybms_charge.state import ChargeState
from tinybms_charge.step import Step, step
from tinybms_messages.live import AlarmName


def level(result: Step, name: str) -> int:
    return {alarm.name.value: alarm.level for alarm in result.alarms}[name]


def first(measurement: Measurement) -> Step:
    return step(ChargeState(), measurement, BMS, PARAMETERS, 0.1)


def test_all_names_are_always_there_in_one_order() -> None:
    for measured in (make_measurement(), make_measurement(status="fault")):
        assert [alarm.name for alarm in first(measured).alarms] == list(AlarmName)
    assert not any(alarm.level or alarm.text for alarm in first(make_measurement()).alarms)


def test_dcl_zero_for_a_low_cell_is_never_silent() -> None:
    low = make_measurement(cell_voltages_v=one_cell(2.88))
    result = first(make_measurement())
    for _ in range(300):
        result = step(result.state, low, BMS, PARAMETERS, 0.1)
        stopped = result.limits.discharge_current_a == 0
        assert stopped == (level(result, "low_cell_voltage") == 1)
        assert stopped == (level(result, "low_voltage") == 1)
    assert stopped


def test_ccl_zero_for_a_high_cell_is_never_silent() -> None:
    result = first(make_measurement(cell_voltages_v=one_cell(3.58)))
    assert result.limits.charge_current_a == 0
    assert level(result, "high_voltage") == 1
    assert level(result, "low_voltage") == level(result, "low_cell_voltage") == 0


@pytest.mark.parametrize(
    ("cell_v", "name"), [(3.65, "high_voltage"), (2.51, "low_voltage"), (2.51, "low_cell_voltage")]
)
def test_a_cell_near_its_cut_off_is_an_alarm_after_two_seconds(cell_v: float, name: str) -> None:
    measured = make_measurement(cell_voltages_v=one_cell(cell_v))
    assert level(first(measured), name) == 1
    assert level(settled(measured, seconds=10), name) == 2


@pytest.mark.parametrize(
    ("soc_pct", "expected"), [(50.0, 0), (10.1, 0), (10.0, 1), (5.1, 1), (5.0, 2), (0.0, 2)]
)
def test_low_soc_warns_at_ten_and_alarms_at_five_percent(soc_pct: float, expected: int) -> None:
    assert level(settled(make_measurement(soc_pct=soc_pct)), "low_soc") == expected


def test_low_soc_ends_three_percent_higher_and_an_unknown_soc_changes_nothing() -> None:
    low = settled(make_measurement(soc_pct=9.0))
    for soc_pct, expected in ((12.0, 1), (None, 1), (float("nan"), 1), (13.1, 0)):
        result = settled(make_measurement(soc_pct=soc_pct), state=low.state)
        assert level(result, "low_soc") == expected


def test_imbalance_has_to_last_a_minute() -> None:
    apart = make_measurement(cell_voltages_v=one_cell(3.10))
    assert level(settled(apart, seconds=50), "cell_imbalance") == 0
    assert level(settled(apart, seconds=70), "cell_imbalance") == 1
    far = make_measurement(cell_voltages_v=one_cell(2.98))
    assert level(settled(far, seconds=70), "cell_imbalance") == 2


@pytest.mark.parametrize(
    ("celsius", "name", "expected"),
    [
        (0.5, "low_charge_temperature", 1),
        (55.0, "high_charge_temperature", 1),
        (-20.0, "low_temperature", 1),
        (55.0, "high_temperature", 1),
        (60.0, "high_temperature", 2),
        (25.0, "high_temperature", 0),
    ],
)
def test_temperatures_that_stop_a_current_are_told(
    celsius: float, name: str, expected: int
) -> None:
    assert level(settled(make_measurement(temperature_c=celsius)), name) == expected


@pytest.mark.parametrize(
    ("current_a", "name"),
    [(115.0, "high_charge_current"), (-145.0, "high_discharge_current")],
)
def test_a_current_near_the_cut_off_warns(current_a: float, name: str) -> None:
    assert level(settled(make_measurement(pack_current_a=current_a)), name) == 1
    assert level(settled(make_measurement(pack_current_a=current_a / 2)), name) == 0


def test_a_start_invents_no_alarm_that_needs_time() -> None:
    measured = make_measurement(
        cell_voltages_v=one_cell(3.0), soc_pct=3.0, temperature_c=62.0, pack_current_a=-149.0
    )
    for dt_s in (0.0, 0.1, 5.0, 59.0, 1e9):
        result = step(ChargeState(), measured, BMS, PARAMETERS, dt_s)
        assert not any(alarm.level for alarm in result.alarms)


def test_unusable_readings_and_settings_are_an_internal_failure() -> None:
    absurd = make_measurement(cell_voltages_v=(None,) * 16)
    assert level(settled(absurd), "internal_failure") == 2
    unusable = settled(make_measurement(), make_bms(over_voltage_v=0.0))
    assert level(unusable, "internal_failure") == 2
    assert "register 315" in unusable.advisories[0]
    assert unusable.limits.charge_current_a == 0
