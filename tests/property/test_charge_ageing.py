"""Invariants 8 and 12: the ladder of ageing for any limits and any age."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fake_charge import BMS, PARAMETERS, make_parameters
from fake_charge_any import invariant, odd_measurements
from tinybms_charge.ageing import aged
from tinybms_charge.measurement import Measurement
from tinybms_charge.state import ChargeState
from tinybms_charge.step import step
from tinybms_messages.live import AlarmName, Limits, LiveData, Sample

AGES = st.floats(min_value=0, max_value=200) | st.sampled_from(
    (0.0, 3.0, 9.999999, 10.0, 19.999999, 20.0, 30.0, 30.000001)
)


@st.composite
def lives(draw: st.DrawFn) -> LiveData:
    count = draw(st.integers(4, 16))
    voltages = draw(st.lists(st.floats(2.5, 3.7), min_size=count, max_size=count))
    tenths = st.integers(0, 1000).map(lambda tenth: tenth / 10)
    sample = Sample(
        seq=0,
        boottime_ns=0,
        wall_ns=0,
        time_ok=True,
        cell_voltages_v=tuple(voltages),
        cells_balancing=(False,) * count,
        pack_voltage_v=draw(st.floats(0, 70) | st.just(float("nan"))),
        pack_current_a=0.0,
        soc_pct=50.0,
        soh_pct=None,
        battery_temperature_c=None,
        external_temperature_1_c=draw(st.none() | st.floats(-30, 70)),
        external_temperature_2_c=None,
        internal_temperature_c=draw(st.none() | st.floats(-30, 70)),
        online_status_raw=0,
        online_status=draw(st.sampled_from(("idle", "charging", "fault", "unknown"))),
        time_to_go_s=None,
        lifetime_s=0,
    )
    limits = Limits(
        charge_voltage_v=draw(st.integers(400, 600).map(lambda tenth: tenth / 10)),
        charge_current_a=draw(tenths),
        discharge_current_a=draw(tenths),
        discharge_voltage_v=40.0,
        system_state="bulk",
    )
    return LiveData(sample=sample, limits=limits, asleep=draw(st.booleans()))


@invariant()
@given(live=lives(), first=AGES, second=AGES, stale_dcl=st.sampled_from(("hold", "zero")))
def test_invariant_8_an_older_age_never_raises_a_limit_and_never_lowers_the_alarm(
    live: LiveData, first: float, second: float, stale_dcl: str
) -> None:
    parameters = make_parameters(stale_dcl=stale_dcl)
    young, old = (aged(live, age_s, parameters) for age_s in sorted((first, second)))
    assert young.send >= old.send
    assert young.alarm_level <= old.alarm_level
    if young.limits is not None and old.limits is not None:
        assert old.limits.charge_voltage_v <= young.limits.charge_voltage_v
        assert old.limits.charge_current_a <= young.limits.charge_current_a
        assert old.limits.discharge_current_a <= young.limits.discharge_current_a


@invariant()
@given(live=lives(), age_s=AGES | st.floats())
def test_invariant_12_the_ladder_is_exact(live: LiveData, age_s: float) -> None:
    result = aged(live, age_s, PARAMETERS)
    assert result.send == (0 <= age_s <= 30)
    assert result.send == (result.limits is not None)
    assert [alarm.name for alarm in result.alarms] == list(AlarmName)
    if live.asleep:
        assert result.data_state == "asleep"
        return
    expected = "lost" if not result.send else "fresh" if age_s < 10 else "stale"
    assert result.data_state == expected
    assert result.alarm_level == {"fresh": 0}.get(expected, 1 if 10 <= age_s < 20 else 2)


@invariant()
@given(live=lives())
def test_invariant_12_while_fresh_the_limits_are_those_that_were_computed(live: LiveData) -> None:
    for age_s in (0.0, 2.999, 3.0, 9.999):
        assert aged(live, age_s, PARAMETERS).limits == live.limits
    assert aged(msgspec.structs.replace(live, limits=None), 0.0, PARAMETERS).limits is None


@invariant()
@given(measurement=odd_measurements(), age_s=AGES)
def test_invariant_12_nothing_is_sent_before_the_first_valid_sample(
    measurement: Measurement, age_s: float
) -> None:
    # Readings that can't be used may have moved the memory; without a sample they give no frame.
    result = step(ChargeState(), measurement, BMS, PARAMETERS, 0.1)
    live = LiveData(sample=None, limits=result.limits, alarms=result.alarms)
    for shown in (live, LiveData(), None):
        after = aged(shown, age_s, PARAMETERS)
        assert not after.send
        assert after.limits is None
    assert not aged(live, None, PARAMETERS).send
