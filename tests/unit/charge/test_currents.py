from __future__ import annotations

from dataclasses import replace

import pytest

from fake_charge import (
    BMS,
    PARAMETERS,
    make_bms,
    make_measurement,
    make_parameters,
    one_cell,
    settled,
)
from tinybms_charge.measurement import Measurement
from tinybms_charge.state import ChargeState
from tinybms_charge.step import Step, step


def run(state: ChargeState, measurement: Measurement, seconds: int, dt_s: float = 1.0) -> Step:
    result = step(state, measurement, BMS, PARAMETERS, dt_s)
    for _ in range(int(seconds / dt_s) - 1):
        result = step(result.state, measurement, BMS, PARAMETERS, dt_s)
    return result


def ccl(measurement: Measurement, **bms: float | None) -> float:
    return settled(measurement, make_bms(**bms)).limits.charge_current_a


def dcl(measurement: Measurement, **bms: float | None) -> float:
    result = step(ChargeState(), measurement, make_bms(**bms), PARAMETERS, 0.1)
    return result.limits.discharge_current_a


def test_the_users_maxima_bind_when_nothing_else_does() -> None:
    limits = settled(make_measurement()).limits
    assert (limits.charge_current_a, limits.discharge_current_a) == (60.0, 100.0)
    assert limits.charge_reasons[0].text == "charge.max_charge_current_a (60 A)"


@pytest.mark.parametrize(
    ("register_318", "expected_a"), [(40, 36.0), (20, 18.0), (10, 8.0), (1, 0.0), (0, 0.0)]
)
def test_ccl_keeps_ten_percent_and_two_amperes_under_register_318(
    register_318: float, expected_a: float
) -> None:
    assert ccl(make_measurement(), charge_over_current_a=register_318) == expected_a


@pytest.mark.parametrize(
    ("register_317", "register_305", "expected_a"),
    [(80, 200, 72.0), (80, 60, 59.0), (80, None, 72.0), (80, 0, 0.0), (0, 200, 0.0)],
)
def test_dcl_keeps_under_registers_317_and_305_and_a_zero_stays_zero(
    register_317: float, register_305: float | None, expected_a: float
) -> None:
    bms: dict[str, float | None] = {
        "discharge_over_current_a": register_317,
        "peak_discharge_a": register_305,
    }
    assert dcl(make_measurement(), **bms) == expected_a


def test_a_maximum_of_zero_is_a_value() -> None:
    none = make_parameters(max_charge_current_a=0.0, max_discharge_current_a=0.0)
    limits = settled(make_measurement(), parameters=none).limits
    assert (limits.charge_current_a, limits.discharge_current_a) == (0, 0)
    assert limits.charge_reasons[0].code == limits.discharge_reasons[0].code == "user"
    assert limits.charge_voltage_v == 55.2


@pytest.mark.parametrize(
    ("celsius", "expected_a"),
    [(-5, 0.0), (0, 0.0), (1, 0.0), (1.5, 16.4), (5, 33.6), (15, 60.0), (54.9, 1.4), (55, 0.0)],
)
def test_ccl_follows_the_temperature_curve(celsius: float, expected_a: float) -> None:
    assert ccl(make_measurement(temperature_c=celsius)) == pytest.approx(expected_a, abs=0.01)


def test_the_reason_names_the_coldest_probe() -> None:
    measured = make_measurement(temperatures_c=((1, 12.0), (2, 3.4)))
    first = settled(measured).limits.charge_reasons[0]
    assert (first.code, first.text) == ("low_temperature", "low temperature (probe 2, 3.4 °C)")


def test_registers_319_and_320_stop_the_currents_with_their_margin() -> None:
    assert ccl(make_measurement(temperature_c=11.0), low_temperature_charge_c=10.0) == 0
    assert ccl(make_measurement(temperature_c=11.1), low_temperature_charge_c=10.0) > 0
    assert ccl(make_measurement(temperature_c=39.0), over_heat_c=40.0) == 0
    assert dcl(make_measurement(temperature_c=39.0), over_heat_c=40.0) == 0
    assert dcl(make_measurement(temperature_c=35.5), over_heat_c=40.0) == 50.0


def test_a_cold_stop_ends_two_degrees_warmer_and_then_ramps() -> None:
    cold = settled(make_measurement(temperature_c=0.9))
    still = run(cold.state, make_measurement(temperature_c=2.9), 60)
    assert still.limits.charge_current_a == 0
    assert still.limits.charge_reasons[0].text == "low temperature (probe 1, 2.9 °C)"
    warm = run(still.state, make_measurement(temperature_c=3.1), 300)
    assert warm.limits.charge_current_a > 0


def test_the_high_cell_taper_goes_from_full_to_floor_to_zero() -> None:
    assert ccl(make_measurement(cell_voltages_v=one_cell(3.40))) == 60.0
    assert ccl(make_measurement(cell_voltages_v=one_cell(3.425))) == pytest.approx(32.8)
    assert ccl(make_measurement(cell_voltages_v=one_cell(3.45))) == 5.6
    assert ccl(make_measurement(cell_voltages_v=one_cell(3.51))) == 2.8
    assert ccl(make_measurement(cell_voltages_v=one_cell(3.57))) == 0.0


def test_full_alone_never_makes_ccl_zero() -> None:
    result = settled(make_measurement(cell_v=3.45, status="fully_charged", soc_pct=100.0))
    assert result.limits.charge_current_a == 5.6


def test_the_hard_stop_of_a_high_cell_ends_30_mv_lower() -> None:
    stopped = settled(make_measurement(cell_voltages_v=one_cell(3.58)))
    still = run(stopped.state, make_measurement(cell_voltages_v=one_cell(3.545)), 100)
    assert still.limits.charge_current_a == 0
    released = run(still.state, make_measurement(cell_voltages_v=one_cell(3.53)), 100)
    assert released.limits.charge_current_a > 0


def test_ccl_starts_from_zero_falls_at_once_and_rises_after_thirty_seconds() -> None:
    first = step(ChargeState(), make_measurement(), BMS, PARAMETERS, 0.1)
    assert first.limits.charge_current_a == 0
    assert first.limits.charge_reasons[0].code == "recovery_ramp"
    assert first.limits.discharge_current_a == 100.0
    half = run(first.state, make_measurement(), 50)
    assert half.limits.charge_current_a == pytest.approx(30.0, abs=0.2)
    up = settled(make_measurement())
    down = step(up.state, make_measurement(temperature_c=1.5), BMS, PARAMETERS, 0.1)
    assert down.limits.charge_current_a == 16.4
    held = run(down.state, make_measurement(), 30)
    assert held.limits.charge_current_a == 16.4
    rising = run(held.state, make_measurement(), 10)
    assert rising.limits.charge_current_a == pytest.approx(22.4, abs=0.1)


def test_dcl_tapers_on_the_lowest_cell_to_a_floor_that_keeps_the_ac_on() -> None:
    assert dcl(make_measurement(cell_voltages_v=one_cell(3.11))) == 100.0
    assert dcl(make_measurement(cell_voltages_v=one_cell(3.01))) == 57.0
    assert dcl(make_measurement(cell_voltages_v=one_cell(2.91))) == 14.0
    assert dcl(make_measurement(cell_voltages_v=one_cell(2.85))) == 14.0


def test_the_sag_of_a_motor_start_is_partly_forgiven() -> None:
    resting = make_measurement(cell_voltages_v=one_cell(3.0))
    starting = make_measurement(cell_voltages_v=one_cell(3.0), pack_current_a=-140.0)
    assert dcl(starting) > dcl(resting)


def test_dcl_becomes_zero_ten_seconds_under_the_stop_voltage_and_says_which_cell() -> None:
    low = make_measurement(cell_voltages_v=one_cell(2.89))
    state = settled(make_measurement()).state
    assert run(state, low, 9).limits.discharge_current_a == 14.0
    stopped = run(state, low, 11)
    assert stopped.limits.discharge_current_a == 0
    assert stopped.limits.discharge_reasons[0].code == "low_cell_latched"
    assert "cell 6, 2.890 V" in stopped.limits.discharge_reasons[0].text
    assert stopped.limits.charge_current_a > 0


def test_a_short_dip_under_the_stop_voltage_cuts_nothing() -> None:
    state = settled(make_measurement()).state
    for _ in range(5):
        state = run(state, make_measurement(cell_voltages_v=one_cell(2.89)), 8).state
        result = run(state, make_measurement(cell_voltages_v=one_cell(2.95)), 2)
        assert result.limits.discharge_current_a > 0
        state = result.state


def test_a_cell_near_register_301_stops_the_discharge_at_once() -> None:
    assert dcl(make_measurement(cell_voltages_v=one_cell(2.819))) == 0
    assert dcl(make_measurement(cell_voltages_v=one_cell(2.821))) > 0


def test_a_latched_dcl_comes_back_after_a_minute_over_the_resume_voltage() -> None:
    stopped = settled(make_measurement(cell_voltages_v=one_cell(2.80)))
    rebound = run(stopped.state, make_measurement(cell_voltages_v=one_cell(3.14)), 300)
    assert rebound.limits.discharge_current_a == 0
    nearly = run(rebound.state, make_measurement(cell_voltages_v=one_cell(3.16)), 60)
    assert nearly.limits.discharge_current_a == 0
    back = run(nearly.state, make_measurement(cell_voltages_v=one_cell(3.16)), 2)
    assert back.limits.discharge_current_a == 100.0


def test_one_percent_of_net_charge_ends_the_latch_too() -> None:
    stopped = settled(make_measurement(cell_voltages_v=one_cell(2.80)))
    charging = make_measurement(cell_voltages_v=one_cell(3.0), pack_current_a=50.0)
    assert run(stopped.state, charging, 200).limits.discharge_current_a == 0
    assert run(stopped.state, charging, 203).limits.discharge_current_a > 0


def test_a_lost_probe_counts_with_its_last_value_and_stops_charge_after_a_minute() -> None:
    both = settled(make_measurement(temperatures_c=((1, 20.0), (2, 3.0))))
    one = make_measurement(temperatures_c=((1, 20.0),))
    soon = run(both.state, one, 59)
    assert soon.limits.charge_current_a == both.limits.charge_current_a
    late = run(both.state, one, 62)
    assert late.limits.charge_current_a == 0
    assert late.limits.charge_reasons[0].text == "probe 2 no longer answers"
    assert late.limits.discharge_current_a == both.limits.discharge_current_a


def test_lto_keeps_half_when_a_probe_is_lost() -> None:
    parameters = make_parameters(chemistry="lto")
    bms = make_bms(
        fully_charged_v=2.78,
        over_voltage_v=2.85,
        fully_discharged_v=1.8,
        under_voltage_v=1.6,
        early_balancing_v=2.55,
    )
    both = settled(
        make_measurement(cell_v=2.4, temperatures_c=((1, 20.0), (2, 20.0))), bms, parameters
    )
    one = settled(make_measurement(cell_v=2.4), bms, parameters, state=both.state)
    assert one.limits.charge_current_a == both.limits.charge_current_a / 2 == 30.0


def test_the_board_sensor_alone_allows_a_fifth_of_c_and_nothing_in_the_cold() -> None:
    small = make_bms(capacity_ah=100.0)
    warm = settled(make_measurement(temperatures_c=((0, 20.0),)), small)
    assert warm.limits.charge_current_a == 20.0
    assert warm.limits.charge_reasons[0].code == "sensor_missing"
    cold = settled(make_measurement(temperatures_c=((0, 4.9),)), small)
    assert cold.limits.charge_current_a == 0
    assert cold.limits.charge_reasons[0].text == "low temperature (BMS board, 4.9 °C)"


def test_the_board_does_not_take_the_place_of_a_probe_that_was_there() -> None:
    probe = settled(make_measurement(temperature_c=2.0))
    board = settled(make_measurement(temperatures_c=((0, 25.0),)), state=probe.state, seconds=30)
    assert board.limits.charge_current_a <= probe.limits.charge_current_a


def test_a_doubtful_reading_lowers_a_limit_at_once_and_raises_none() -> None:
    calm = settled(make_measurement())
    doubt = make_measurement(alternative=make_measurement(temperature_c=-3.0))
    lowered = step(calm.state, doubt, BMS, PARAMETERS, 0.1)
    assert lowered.limits.charge_current_a == 0
    assert lowered.limits.charge_reasons[0].text.endswith("(probe 1, -3.0 °C), not yet confirmed")
    assert not any(alarm.level for alarm in lowered.alarms)
    cold = settled(make_measurement(temperature_c=-3.0))
    warm_doubt = make_measurement(temperature_c=-3.0, alternative=make_measurement())
    assert step(cold.state, warm_doubt, BMS, PARAMETERS, 0.1).limits.charge_current_a == 0


def test_a_doubtful_low_cell_leaves_no_latch_behind() -> None:
    calm = settled(make_measurement())
    glitch = make_measurement(alternative=make_measurement(cell_voltages_v=one_cell(2.0)))
    assert step(calm.state, glitch, BMS, PARAMETERS, 0.1).limits.discharge_current_a == 0
    state = step(calm.state, glitch, BMS, PARAMETERS, 0.1).state
    after = step(state, make_measurement(), BMS, PARAMETERS, 0.1)
    assert after.limits.discharge_current_a == 100.0


@pytest.mark.parametrize("absurd", [None, float("nan"), float("inf"), -1.0, 0.0, 19.0])
def test_an_impossible_cell_voltage_closes_both_currents_and_lifts_no_cvl(
    absurd: float | None,
) -> None:
    voltages = (absurd, *(3.3,) * 15)
    result = settled(
        make_measurement(cell_voltages_v=voltages),
        state=settled(make_measurement(status="fully_charged")).state,
    )
    assert result.limits.charge_current_a == result.limits.discharge_current_a == 0
    assert result.limits.charge_voltage_v <= 54.0
    assert result.limits.charge_reasons[0].code == "bad_reading"


def test_cells_that_contradict_the_pack_voltage_are_taken_the_careful_way() -> None:
    cells = (3.38,) * 16
    agree = make_measurement(cell_voltages_v=cells)
    high = Measurement(
        cell_voltages_v=cells,
        pack_voltage_v=16 * 3.44,
        pack_current_a=0.0,
        soc_pct=60.0,
        temperatures_c=((1, 25.0),),
        status="idle",
    )
    assert settled(high).limits.charge_current_a < settled(agree).limits.charge_current_a


def test_an_impossible_temperature_of_a_probe_never_seen_closes_both_currents() -> None:
    limits = settled(make_measurement(temperatures_c=((1, 20.0), (2, 151.0)))).limits
    assert limits.charge_current_a == limits.discharge_current_a == 0
    assert limits.charge_reasons[0].text == "a temperature is impossible"


def test_a_doubt_that_is_not_confirmed_costs_one_sample_and_no_ramp() -> None:
    calm = settled(make_measurement())
    doubt = replace(make_measurement(), alternative=make_measurement(cell_voltages_v=one_cell(3.9)))
    during = step(calm.state, doubt, BMS, PARAMETERS, 0.1)
    assert during.limits.charge_current_a == 0
    again = step(during.state, make_measurement(), BMS, PARAMETERS, 0.1)
    assert again.limits.charge_current_a == calm.limits.charge_current_a
    # Confirmed it is the main reading: then CCL ramps up.
    real = make_measurement(cell_voltages_v=one_cell(3.9))
    stopped = step(during.state, real, BMS, PARAMETERS, 0.1)
    back = step(stopped.state, make_measurement(), BMS, PARAMETERS, 0.1)
    assert back.limits.charge_current_a == 0
