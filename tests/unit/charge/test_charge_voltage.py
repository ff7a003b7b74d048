from __future__ import annotations

import struct
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
from tinybms_charge.state import ChargeState
from tinybms_charge.step import step
from tinybms_messages.live import AlarmName


def cvl_of(**bms: float | None) -> float:
    return settled(make_measurement(), make_bms(**bms)).limits.charge_voltage_v


def test_sixteen_lfp_cells_with_register_315_at_3650_get_55_2_v() -> None:
    limits = step(ChargeState(), make_measurement(), BMS, PARAMETERS, 0.1).limits
    assert limits.charge_voltage_v == 55.2
    assert struct.pack("<H", round(limits.charge_voltage_v * 10)) == bytes.fromhex("2802")


@pytest.mark.parametrize(
    ("bms", "cvl_v"),
    [
        ({"fully_charged_v": 3.47}, 55.0),  # 16 x 3.440 = 55.04
        ({"fully_charged_v": 3.47, "single_port": True}, 54.6),  # 16 x 3.415 = 54.64
        ({"fully_charged_v": 3.505, "single_port": True}, 55.2),
        ({"fully_charged_v": 3.504, "single_port": True}, 55.1),  # 16 x 3.449 = 55.184
        ({"over_voltage_v": 3.49}, 55.0),
    ],
)
def test_targets_stay_under_the_cut_offs_of_the_bms(
    bms: dict[str, float | None], cvl_v: float
) -> None:
    assert cvl_of(**bms) == cvl_v


def test_the_reason_names_the_register_that_binds() -> None:
    result = settled(make_measurement(), make_bms(fully_charged_v=3.47, single_port=True))
    first = result.limits.voltage_reasons[0]
    assert first.code == "bms_full_voltage_margin"
    assert first.text == "55 mV under register 300 (3.470 V, single port)"
    assert any("3.415 V per cell instead of 3.450 V" in text for text in result.advisories)


def test_fully_charged_means_float_until_charge_was_taken_out() -> None:
    full = step(ChargeState(), make_measurement(status="fully_charged"), BMS, PARAMETERS, 0.1)
    assert full.limits.charge_voltage_v == 54.0
    assert full.limits.system_state == "float"
    assert full.limits.voltage_reasons[0].code == "float"
    unknown = settled(make_measurement(status="unknown"), state=full.state)
    assert unknown.limits.charge_voltage_v == 54.0
    idle = settled(make_measurement(), state=full.state)
    assert idle.limits.charge_voltage_v == 54.0
    drained = settled(make_measurement(pack_current_a=-100.0), state=idle.state, seconds=1500)
    assert drained.limits.system_state == "bulk"
    assert drained.limits.charge_voltage_v == 55.2


def test_cvl_rises_by_one_step_in_twenty_seconds_and_falls_at_once() -> None:
    full = make_measurement(status="fully_charged")
    wanted = replace(make_measurement(), request="charge")
    result = step(ChargeState(), full, BMS, PARAMETERS, 0.1)
    seen = []
    for _ in range(60):
        result = step(result.state, wanted, BMS, PARAMETERS, 1.0)
        seen.append(result.limits.charge_voltage_v)
    assert seen[18:20] == [54.0, 54.1]
    assert seen[38:40] == [54.1, 54.2]
    assert result.limits.voltage_reasons[0].code == "slow_rise"
    assert result.limits.voltage_reasons[1].code == "absorb_target"
    cold = make_measurement(event_ids=frozenset({0x37}))
    result = step(result.state, cold, BMS, PARAMETERS, 1.0)
    assert result.limits.charge_voltage_v == 54.0


def test_cvl_follows_neither_pack_voltage_nor_current() -> None:
    for volts in (2.95, 3.2, 3.34):
        for amperes in (-80.0, 0.0, 55.0):
            measured = make_measurement(cell_v=volts, pack_current_a=amperes)
            limits = step(ChargeState(), measured, BMS, PARAMETERS, 0.1).limits
            assert limits.charge_voltage_v == 55.2


def test_a_cell_near_its_over_voltage_cut_off_brings_cvl_to_float_and_ccl_to_zero() -> None:
    result = settled(make_measurement(cell_voltages_v=one_cell(3.641)))
    assert result.limits.charge_voltage_v <= 54.0
    assert result.limits.charge_current_a == 0
    assert result.limits.discharge_current_a == 100.0
    reasons = {reason.text: reason.value for reason in result.limits.voltage_reasons}
    assert reasons["over-voltage (cell 6, 3.641 V)"] == 54.0


def test_settings_of_another_chemistry_close_the_charge_and_say_so() -> None:
    lto = make_bms(fully_charged_v=2.78, over_voltage_v=2.85, fully_discharged_v=1.8)
    result = settled(make_measurement(cell_v=2.4), lto)
    assert result.limits.charge_current_a == 0
    assert 0 < result.limits.charge_voltage_v <= 16 * 2.75
    assert "check charge.chemistry" in result.advisories[0]
    lfp_as_lto = settled(make_measurement(), parameters=make_parameters(chemistry="lto"))
    assert lfp_as_lto.limits.charge_current_a == lfp_as_lto.limits.discharge_current_a == 0
    assert {a.name: a.level for a in lfp_as_lto.alarms}[AlarmName.INTERNAL_FAILURE] == 2


def test_the_discharge_voltage_limit_is_register_301_for_the_pack_and_never_zero() -> None:
    assert settled(make_measurement()).limits.discharge_voltage_v == 44.8
    unusable = settled(make_measurement(), make_bms(fully_discharged_v=0.0))
    assert unusable.limits.discharge_voltage_v > 0
    assert unusable.limits.discharge_current_a == 0


@pytest.mark.parametrize("dt_s", [-5.0, float("nan"), float("inf"), 61.0, 1e12])
def test_a_gap_or_a_broken_clock_restarts_the_ramp(dt_s: float) -> None:
    before = settled(make_measurement())
    assert before.limits.charge_current_a == 60.0
    after = step(before.state, make_measurement(), BMS, PARAMETERS, dt_s)
    assert after.limits.charge_current_a <= 60.0 * 0.01 * 5
    assert 54.0 <= after.limits.charge_voltage_v <= before.limits.charge_voltage_v
    assert after.limits.discharge_current_a == 100.0


def test_after_a_stale_gap_cvl_goes_on_from_what_ageing_sent() -> None:
    before = settled(make_measurement(cell_v=3.35))
    after = step(before.state, make_measurement(cell_v=3.35), BMS, PARAMETERS, 15.0)
    assert after.limits.charge_voltage_v == 54.0
