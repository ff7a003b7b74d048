from __future__ import annotations

import msgspec
import pytest

from fake_charge import PARAMETERS, make_parameters
from tinybms_charge.ageing import Aged, aged
from tinybms_messages.live import (
    ActiveFault,
    Alarm,
    AlarmName,
    Limits,
    LiveData,
    Reason,
    Sample,
)

SAMPLE = Sample(
    seq=1,
    boottime_ns=1,
    wall_ns=1,
    time_ok=True,
    cell_voltages_v=(3.32,) * 16,
    cells_balancing=(False,) * 16,
    pack_voltage_v=53.12,
    pack_current_a=-12.0,
    soc_pct=70.0,
    soh_pct=99.0,
    battery_temperature_c=21.0,
    external_temperature_1_c=21.0,
    external_temperature_2_c=None,
    internal_temperature_c=28.0,
    online_status_raw=0x93,
    online_status="discharging",
    time_to_go_s=None,
    lifetime_s=1000,
)
LIMITS = Limits(
    charge_voltage_v=55.2,
    charge_current_a=60.0,
    discharge_current_a=100.0,
    discharge_voltage_v=44.8,
    system_state="bulk",
    charge_reasons=(Reason(code="user", text="user", value=60.0),),
)
LIVE = LiveData(sample=SAMPLE, limits=LIMITS, alarms=(Alarm(name=AlarmName.LOW_SOC, level=1),))


def at(age_s: float, live: LiveData = LIVE, *, stale_dcl: str = "hold") -> Aged:
    return aged(live, age_s, make_parameters(stale_dcl=stale_dcl))


def limits_at(age_s: float, live: LiveData = LIVE, *, stale_dcl: str = "hold") -> Limits:
    limits = at(age_s, live, stale_dcl=stale_dcl).limits
    assert limits is not None
    return limits


def with_sample(**changes: object) -> LiveData:
    return msgspec.structs.replace(LIVE, sample=msgspec.structs.replace(SAMPLE, **changes))


def cable(result: Aged) -> int:
    return {alarm.name: alarm.level for alarm in result.alarms}[AlarmName.BMS_CABLE]


@pytest.mark.parametrize("age_s", [0.0, 2.9, 3.0, 9.999])
def test_under_ten_seconds_limits_stand_as_they_are(age_s: float) -> None:
    result = at(age_s)
    assert (result.data_state, result.send, result.alarm_level) == ("fresh", True, 0)
    assert result.limits == LIMITS
    assert cable(result) == 0


@pytest.mark.parametrize("age_s", [10.0, 15.0, 19.999])
def test_from_ten_seconds_charge_stops_and_discharge_holds_with_a_warning(age_s: float) -> None:
    result = at(age_s)
    assert (result.data_state, result.send, result.alarm_level) == ("stale", True, 1)
    limits = limits_at(age_s)
    assert (limits.charge_current_a, limits.discharge_current_a) == (0, 100.0)
    assert limits.charge_voltage_v == 54.0
    assert limits.charge_reasons[0].code == "stale"
    assert limits.discharge_reasons == ()
    assert cable(result) == 1


@pytest.mark.parametrize("age_s", [20.0, 25.0, 30.0])
def test_from_twenty_seconds_it_is_an_alarm_and_a_calm_pack_goes_on_to_discharge(
    age_s: float,
) -> None:
    result = at(age_s)
    assert (result.data_state, result.send, result.alarm_level) == ("stale", True, 2)
    limits = limits_at(age_s)
    assert (limits.charge_current_a, limits.discharge_current_a) == (0, 100.0)
    assert cable(result) == 2


@pytest.mark.parametrize("age_s", [30.001, 31.0, 1e9, float("inf"), float("nan"), -0.5])
def test_over_thirty_seconds_and_for_no_true_age_nothing_is_sent(age_s: float) -> None:
    result = at(age_s)
    assert (result.data_state, result.send, result.limits) == ("lost", False, None)
    assert cable(result) == 2


@pytest.mark.parametrize(
    ("pack_voltage_v", "cvl_v"),
    [(53.12, 54.0), (54.5, 54.4), (55.5, 55.2), (0.0, 54.0), (float("nan"), 54.0)],
)
def test_stale_cvl_lies_just_under_the_last_pack_voltage_and_not_under_float(
    pack_voltage_v: float, cvl_v: float
) -> None:
    assert limits_at(12.0, with_sample(pack_voltage_v=pack_voltage_v)).charge_voltage_v == cvl_v


def test_stale_cvl_is_never_above_the_last_one() -> None:
    low = msgspec.structs.replace(LIMITS, charge_voltage_v=53.3)
    live = msgspec.structs.replace(LIVE, limits=low)
    assert limits_at(12.0, live).charge_voltage_v == 53.3


@pytest.mark.parametrize(
    "live",
    [
        with_sample(cell_voltages_v=(*(3.32,) * 15, 3.05)),
        with_sample(cell_voltages_v=(*(3.32,) * 15, 3.50)),
        with_sample(cell_voltages_v=(*(3.32,) * 15, float("nan"))),
        with_sample(external_temperature_1_c=1.0),
        with_sample(external_temperature_1_c=52.0),
        with_sample(external_temperature_1_c=None, internal_temperature_c=None),
        with_sample(online_status="fault"),
        with_sample(online_status="unknown"),
        msgspec.structs.replace(
            LIVE, faults=(ActiveFault(number=5, kind="fault", text="", wall_ns=None),)
        ),
        msgspec.structs.replace(LIVE, sample=msgspec.structs.replace(SAMPLE, cell_voltages_v=())),
    ],
)
def test_a_pack_near_an_end_or_in_fault_loses_dcl_at_twenty_seconds(live: LiveData) -> None:
    assert limits_at(19.9, live).discharge_current_a == 100.0
    assert limits_at(20.0, live).discharge_current_a == 0
    assert limits_at(20.0, live).discharge_reasons[0].code == "stale"


def test_a_warning_about_the_charger_does_not_end_the_hold() -> None:
    ended = ActiveFault(number=0x38, kind="warning", text="", wall_ns=None)
    live = msgspec.structs.replace(LIVE, faults=(ended,))
    assert limits_at(25.0, live).discharge_current_a == 100.0


def test_stale_dcl_zero_ends_the_discharge_at_twenty_seconds_in_any_case() -> None:
    assert limits_at(19.9, stale_dcl="zero").discharge_current_a == 100.0
    assert limits_at(20.0, stale_dcl="zero").discharge_current_a == 0


@pytest.mark.parametrize(
    ("live", "age_s", "state"),
    [
        (None, None, "unknown"),
        (None, 1.0, "unknown"),
        (LiveData(), 1.0, "unknown"),
        (LIVE, None, "unknown"),
        (msgspec.structs.replace(LIVE, limits=None), 1.0, "unknown"),
        (LiveData(asleep=True), None, "asleep"),
    ],
)
def test_nothing_is_sent_before_the_first_sample(
    live: LiveData | None, age_s: float | None, state: str
) -> None:
    result = aged(live, age_s, PARAMETERS)
    assert (result.data_state, result.send, result.limits) == (state, False, None)
    assert [alarm.name for alarm in result.alarms] == list(AlarmName)


def test_a_battery_that_sleeps_on_purpose_is_no_cable_fault_but_ages_alike() -> None:
    live = msgspec.structs.replace(LIVE, asleep=True)
    result = at(15.0, live)
    assert (result.data_state, result.send, cable(result)) == ("asleep", True, 0)
    assert limits_at(15.0, live).charge_current_a == 0
    assert not at(45.0, live).send


def test_other_alarms_stay_at_any_age_and_a_cable_alarm_is_not_lowered() -> None:
    kept = {alarm.name: alarm.level for alarm in at(100.0).alarms}
    assert kept[AlarmName.LOW_SOC] == 1
    raised = msgspec.structs.replace(LIVE, alarms=(Alarm(name=AlarmName.BMS_CABLE, level=2),))
    assert cable(at(1.0, raised)) == 2
