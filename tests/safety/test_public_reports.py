"""What owners of other gateways reported in public, each as a test of this charge control.

Each name says what was seen; the test shows that it can't happen here. The closed loop of battery,
BMS and chargers is used where the report is about what chargers make of a limit.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import msgspec
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
from fake_live import fake_live, fake_sample
from tinybms_charge.ageing import aged
from tinybms_charge.measurement import Measurement, OwnerCap
from tinybms_charge.reasons import ReasonCode
from tinybms_charge.state import ChargeMode, ChargeState, Cycle
from tinybms_charge.step import Step, step
from tinybms_config.problems import ConfigError
from tinybms_messages.live import AlarmName, LiveData
from tinybms_sim.loop.gateway import gateway
from tinybms_sim.loop.metrics import Metrics
from tinybms_sim.loop.run import run
from tinybms_sim.loop.scenario import Scenario
from tinybms_sim.loop.scenarios import scenario_for

FLOAT_V = 54.0
TARGET_V = 55.2
LOWEST_V = 52.8


def after(
    measurement: Measurement, seconds: float, state: ChargeState | None = None, dt_s: float = 5.0
) -> Step:
    """The result when `measurement` stays for `seconds`."""
    result = step(state or ChargeState(), measurement, BMS, PARAMETERS, 0.0)
    for _ in range(int(seconds / dt_s)):
        result = step(result.state, measurement, BMS, PARAMETERS, dt_s)
    return result


def in_mode(mode: ChargeMode, **cycle: float) -> ChargeState:
    """A state of 16 cells in `mode`."""
    known = msgspec.structs.replace(Cycle(mode=mode), **cycle)
    return ChargeState(cell_count=16, cycle=known, charge_current_a=60.0)


def looped(scenario: Scenario, *, dt_s: float = 1.0) -> Metrics:
    """Figures of a charge in the closed loop."""
    return run(scenario, gateway, 1, dt_s=dt_s).metrics


def near_full(name: str, hours: float = 1.5) -> Scenario:
    """A scenario that begins shortly before the knee."""
    scenario = scenario_for(name, 1)
    return replace(scenario, hours=hours, pack=replace(scenario.pack, start_soc_pct=96.0))


# Chargers and the limits


def test_a_full_battery_lowers_cvl_and_leaves_ccl() -> None:
    limits = after(make_measurement(cell_v=3.375), 400.0, in_mode(ChargeMode.FLOAT)).limits
    assert limits.charge_voltage_v == FLOAT_V
    assert limits.charge_current_a > 0


@pytest.mark.parametrize("allowed_a", [60.0, 2.0])
def test_chargers_that_ignore_ccl_are_held_by_cvl_alone(allowed_a: float) -> None:
    scenario = near_full("S6b")
    scenario = replace(scenario, site=replace(scenario.site, max_charge_a=allowed_a))
    metrics = looped(scenario)
    assert (metrics["overshoot_mv"] or 0.0) <= 30.0
    assert metrics["crossings_300"] == 0


def test_a_cell_that_stops_ccl_brings_cvl_down_as_well() -> None:
    limits = after(make_measurement(cell_voltages_v=one_cell(3.58)), 30.0, dt_s=1.0).limits
    assert limits.charge_current_a == 0
    assert limits.charge_voltage_v < TARGET_V


def test_0_4_v_more_than_cvl_reach_no_cut_off() -> None:
    for single_port in (False, True):
        bms = make_bms(fully_charged_v=3.50, over_voltage_v=3.55, single_port=single_port)
        limits = settled(make_measurement(), bms).limits
        assert (limits.charge_voltage_v + 0.4) / 16 < 3.50


def test_0_4_v_more_than_cvl_do_not_make_ccl_zero() -> None:
    # A CCL of 0 at full would be the sign for a GX to end its feed-in.
    limits = settled(make_measurement(cell_v=3.475)).limits
    assert limits.charge_current_a > 0


@pytest.mark.parametrize(
    "blocked",
    [
        make_measurement(temperature_c=-5.0),
        make_measurement(status="fault", event_ids=frozenset({0x0B})),
        make_measurement(cell_voltages_v=one_cell(3.64)),
        replace(make_measurement(), charge_caps=(OwnerCap(value_a=0.0, text="charge off"),)),
        make_measurement(cell_voltages_v=(None, *(15 * (3.3,)))),
    ],
)
def test_a_charge_that_is_blocked_never_sends_a_cvl_that_drains_the_battery(
    blocked: Measurement,
) -> None:
    limits = settled(blocked).limits
    assert limits.charge_current_a == 0
    assert limits.charge_voltage_v >= LOWEST_V


def test_a_late_charger_meets_a_taper_and_no_cliff() -> None:
    metrics = looped(near_full("S8c"))
    assert metrics["ccl_zero_s"] == 0
    assert metrics["crossings_300"] == 0


# Overshoot and oscillation


def test_a_fresh_installation_charges_to_no_higher_target_unasked() -> None:
    for volts in (2.9, 3.2, 3.33, 3.44, 3.5):
        limits = after(make_measurement(cell_v=volts), 3600.0).limits
        assert limits.charge_voltage_v <= TARGET_V


def test_reaching_the_target_starts_no_discharge_and_no_second_rise() -> None:
    metrics = looped(near_full("S1"))
    assert metrics["cvl_reversals_h"] == 0
    assert (metrics["given_ah"] or 0.0) <= 3.0


def test_a_taper_of_a_few_millivolts_is_refused() -> None:
    with pytest.raises(ConfigError, match="taper_v"):
        make_parameters(cell={"taper_v": 3.436})


def test_ccl_falls_over_50_mv_and_not_within_14() -> None:
    amperes = [
        settled(make_measurement(cell_voltages_v=one_cell(3.40 + mv / 1000))).limits
        for mv in range(0, 51, 5)
    ]
    falls = [limits.charge_current_a for limits in amperes]
    assert falls == sorted(falls, reverse=True)
    assert max(a - b for a, b in pairwise(falls)) <= 6.0


def test_a_cloudy_day_makes_no_ringing() -> None:
    metrics = looped(near_full("S5"))
    assert (metrics["overshoot_mv"] or 0.0) <= 20.0
    assert metrics["cvl_reversals_h"] == 0


def test_two_batteries_share_no_memory() -> None:
    high, low = make_measurement(cell_voltages_v=one_cell(3.5)), make_measurement(cell_v=3.3)
    alone = after(high, 60.0, dt_s=1.0)
    one = other = ChargeState()
    one = step(one, high, BMS, PARAMETERS, 0.0).state
    for _ in range(60):
        other = step(other, low, BMS, PARAMETERS, 1.0).state
        one = step(one, high, BMS, PARAMETERS, 1.0).state
    assert one == alone.state


def test_a_pack_far_over_its_target_does_not_lift_cvl() -> None:
    for status in ("charging", "fault"):
        limits = settled(make_measurement(cell_v=3.64, status=status)).limits
        assert limits.charge_voltage_v <= TARGET_V


def test_a_low_cvl_says_which_cell_and_why() -> None:
    limits = after(make_measurement(cell_voltages_v=one_cell(3.5)), 30.0, dt_s=1.0).limits
    assert limits.voltage_sentence.startswith(
        f"Charge voltage limited to {limits.charge_voltage_v}"
    )
    assert "cell 6, 3.500 V" in limits.voltage_sentence


def test_a_wrong_soc_moves_no_current() -> None:
    limits = [settled(make_measurement(soc_pct=soc)).limits for soc in (0.0, 70.0, 100.0)]
    assert len({(one.charge_current_a, one.discharge_current_a) for one in limits}) == 1


def test_after_a_stop_ccl_ramps_up() -> None:
    cold = settled(make_measurement(temperature_c=-5.0))
    warm = after(make_measurement(), 35.0, cold.state, dt_s=1.0).limits
    assert 0 < warm.charge_current_a <= 0.01 * 60.0 * 36


def test_every_output_shows_one_set_of_limits() -> None:
    live = fake_live()
    assert aged(live, 12.0, PARAMETERS) == aged(live, 12.0, PARAMETERS)


# The end of a charge


def test_clouds_do_not_restart_the_absorption() -> None:
    state = in_mode(ChargeMode.BULK)
    at_target = make_measurement(cell_v=3.45, pack_current_a=20.0)
    cloud = make_measurement(cell_v=3.36, pack_current_a=2.0)
    for _ in range(8):
        state = after(at_target, 960.0, state).state
        state = after(cloud, 300.0, state).state
    assert state.cycle.mode in {ChargeMode.FLOAT_DESCENT, ChargeMode.FLOAT}


@pytest.mark.parametrize("spread_v", [0.285, 0.030])
def test_unequal_cells_do_not_keep_the_battery_from_float(spread_v: float) -> None:
    cells = one_cell(3.45, others_v=3.45 - spread_v)
    result = after(make_measurement(cell_voltages_v=cells, pack_current_a=6.0), 7300.0)
    assert result.state.cycle.mode in {ChargeMode.FLOAT_DESCENT, ChargeMode.FLOAT}


def test_a_bms_that_says_full_ends_the_absorption() -> None:
    result = after(
        make_measurement(cell_v=3.44, status="fully_charged"), 5.0, in_mode(ChargeMode.ABSORB)
    )
    assert result.state.cycle.mode is ChargeMode.FLOAT_DESCENT


def test_weak_sun_that_never_reaches_the_target_ends_in_float() -> None:
    result = after(make_measurement(cell_v=3.385, pack_current_a=0.6), 2000.0)
    assert result.state.cycle.mode in {ChargeMode.FLOAT_DESCENT, ChargeMode.FLOAT}


def test_a_current_that_our_own_limit_made_small_is_no_sign_of_full() -> None:
    cells = one_cell(3.43, others_v=3.33)
    state = replace_ccl(in_mode(ChargeMode.ABSORB), 0.5)
    measurement = replace(
        make_measurement(cell_voltages_v=cells, pack_current_a=0.5),
        charge_caps=(OwnerCap(value_a=0.5, text="0.5 A"),),
    )
    assert after(measurement, 1200.0, state).state.cycle.tail_s == 0


def replace_ccl(state: ChargeState, amperes: float) -> ChargeState:
    """`state` after a CCL of `amperes`."""
    return ChargeState(cell_count=16, cycle=state.cycle, charge_current_a=amperes)


def test_a_dip_of_a_second_is_no_end_of_charge() -> None:
    state = after(
        make_measurement(cell_v=3.45, pack_current_a=30.0), 60.0, in_mode(ChargeMode.ABSORB)
    ).state
    dip = after(make_measurement(cell_v=3.45, pack_current_a=0.0), 1.0, state, dt_s=1.0)
    assert dip.state.cycle.mode is ChargeMode.ABSORB


def test_at_the_target_ccl_keeps_what_balancing_needs() -> None:
    limits = settled(make_measurement(cell_voltages_v=one_cell(3.45))).limits
    assert limits.charge_current_a == 5.6


# Float and the next charge


def test_on_the_way_to_float_cvl_takes_small_steps() -> None:
    state = in_mode(ChargeMode.ABSORB)
    full = make_measurement(cell_v=3.45, pack_current_a=1.0)
    sent = []
    for _ in range(3600):
        result = step(state, full, BMS, PARAMETERS, 1.0)
        state = result.state
        if state.cycle.mode is ChargeMode.FLOAT_DESCENT:
            sent.append(result.limits.charge_voltage_v)
    assert sent
    assert max(a - b for a, b in pairwise(sent)) <= 0.1 + 1e-6


def test_a_pack_that_does_not_follow_holds_the_way_to_float_for_half_an_hour_at_most() -> None:
    state = in_mode(ChargeMode.FLOAT_DESCENT, descent_v=54.8)
    high = make_measurement(cell_v=3.45, pack_current_a=5.0)
    result = after(high, 1800.0 + 300.0, state)
    assert result.limits.charge_voltage_v <= 54.7 + 1e-6


def test_a_balanced_pack_leaves_float_by_the_charge_taken_out() -> None:
    drawn = make_measurement(cell_v=3.32, pack_current_a=-100.0, soc_pct=99.0)
    assert after(drawn, 1100.0, in_mode(ChargeMode.FLOAT)).state.cycle.mode is ChargeMode.BULK


def test_a_soc_under_90_percent_ends_float() -> None:
    drawn = make_measurement(cell_v=3.32, pack_current_a=-100.0, soc_pct=89.0)
    assert after(drawn, 300.0, in_mode(ChargeMode.FLOAT)).state.cycle.mode is ChargeMode.BULK


def test_a_fortnight_after_a_full_charge_the_next_one_begins() -> None:
    state = in_mode(ChargeMode.FLOAT, since_full_s=14 * 86_400.0 - 5.0)
    assert after(make_measurement(cell_v=3.34), 10.0, state).state.cycle.mode is ChargeMode.BULK


def test_float_on_shore_power_has_no_end() -> None:
    state = in_mode(ChargeMode.FLOAT, mode_s=10 * 86_400.0, since_full_s=10 * 86_400.0)
    result = after(make_measurement(cell_v=3.375, pack_current_a=0.1), 3600.0, state)
    assert result.state.cycle.mode is ChargeMode.FLOAT
    assert result.limits.charge_voltage_v == FLOAT_V


# Balancing


def test_a_target_under_the_balancing_threshold_is_advised_against() -> None:
    result = settled(make_measurement(), make_bms(early_balancing_v=3.44))
    assert any("register 303" in advice for advice in result.advisories)
    assert not any("register 303" in advice for advice in settled(make_measurement()).advisories)


# Discharge, temperature, data and restart


def test_a_rebound_after_a_low_cell_does_not_let_the_discharge_begin_again() -> None:
    low = settled(make_measurement(cell_voltages_v=one_cell(2.85)))
    rebound = after(make_measurement(cell_voltages_v=one_cell(3.10)), 3600.0, low.state)
    assert rebound.limits.discharge_current_a == 0
    back = after(make_measurement(cell_voltages_v=one_cell(3.20)), 65.0, rebound.state)
    assert back.limits.discharge_current_a > 0


def test_an_under_voltage_does_not_stop_the_charge() -> None:
    empty = make_measurement(cell_v=2.6, status="fault", event_ids=frozenset({0x02}))
    limits = settled(empty).limits
    assert limits.discharge_current_a == 0
    assert limits.charge_current_a > 0


def test_below_zero_only_the_charge_stops() -> None:
    limits = settled(make_measurement(temperature_c=-5.0)).limits
    assert limits.charge_current_a == 0
    assert limits.discharge_current_a > 0


def test_the_warm_board_of_the_bms_does_not_reduce_a_pack_with_probes() -> None:
    sample = fake_sample(
        external_temperature_1_c=20.0, external_temperature_2_c=None, internal_temperature_c=75.0
    )
    assert sample.cell_temperatures_c == ((1, 20.0),)


def test_one_absurd_cell_voltage_leaves_no_latch_and_no_alarm() -> None:
    calm = settled(make_measurement())
    absurd = replace(
        make_measurement(), alternative=make_measurement(cell_voltages_v=one_cell(19.0))
    )
    once = step(calm.state, absurd, BMS, PARAMETERS, 0.1)
    assert all(alarm.level == 0 for alarm in once.alarms)
    later = after(make_measurement(), 130.0, once.state, dt_s=1.0)
    assert later.limits.charge_current_a == calm.limits.charge_current_a


def test_a_restart_in_the_cold_sends_frames_and_allows_the_discharge() -> None:
    result = step(ChargeState(), make_measurement(temperature_c=-5.0), BMS, PARAMETERS, 0.1)
    shown = aged(fake_live(limits=result.limits, alarms=result.alarms), 0.1, PARAMETERS)
    assert shown.send
    assert shown.limits is not None
    assert (shown.limits.charge_current_a, shown.limits.discharge_current_a > 0) == (0.0, True)


def test_a_start_sends_nothing_and_raises_no_alarm_before_the_first_sample() -> None:
    shown = aged(LiveData(), None, PARAMETERS)
    assert not shown.send
    assert all(alarm.level == 0 for alarm in shown.alarms)


def test_a_bms_asleep_does_not_block_the_discharge_that_would_wake_it() -> None:
    shown = aged(fake_live(asleep=True), 5.0, PARAMETERS)
    assert shown.limits is not None
    assert shown.limits.discharge_current_a > 0
    cable = next(alarm for alarm in shown.alarms if alarm.name is AlarmName.BMS_CABLE)
    assert cable.level == 0


def test_a_battery_that_vanished_is_not_shown_for_ever() -> None:
    assert not aged(fake_live(), 30.1, PARAMETERS).send


def test_a_reduction_that_has_ended_shows_that_it_only_ramps_up() -> None:
    cold = settled(make_measurement(temperature_c=-5.0))
    warm = after(make_measurement(), 60.0, cold.state, dt_s=1.0).limits
    assert warm.charge_reasons[0].code == ReasonCode.RECOVERY_RAMP
    assert after(make_measurement(), 300.0, cold.state).limits.charge_reasons[0].code == "user"
