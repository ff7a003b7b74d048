"""Single-port mode: register 300 opens the only switch, so that no cell may come there."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from fake_charge import make_bms, make_measurement, one_cell, settled
from fake_live import fake_live
from tinybms_messages.live import AlarmName
from tinybms_sim.loop.gateway import gateway
from tinybms_sim.loop.run import run
from tinybms_sim.loop.scenario import Scenario
from tinybms_sim.loop.scenarios import NAMES, scenario_for
from tinybms_victron.frames import encode_frame
from tinybms_victron.pack_view import pack_view
from tinybms_victron.signals import BY_ID

FEEDING = ("S6", "S6b")


def test_the_scenarios_with_feed_in_are_all_here_and_in_single_port_mode() -> None:
    feeding = [name for name in NAMES if scenario_for(name, 2).victron.feed_in]
    assert [name for name in feeding if name != "S10"] == list(FEEDING)
    assert all(scenario_for(name, 1).registers.single_port for name in NAMES)


def checked(scenario: Scenario, seed: int) -> None:
    metrics = run(scenario, gateway, seed).metrics
    assert metrics["crossings_300"] == 0
    assert metrics["switch_open_s"] == 0


@pytest.mark.parametrize("name", FEEDING)
@pytest.mark.parametrize("full_v", [3.60, 3.50])
def test_with_feed_in_no_cell_reaches_register_300(name: str, full_v: float) -> None:
    scenario = scenario_for(name, 1)
    registers = replace(scenario.registers, fully_charged_v=full_v, over_voltage_v=full_v + 0.05)
    pack = replace(scenario.pack, start_soc_pct=96.0)
    checked(replace(scenario, hours=1.5, registers=registers, pack=pack), 1)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_with_feed_in_no_cell_of_a_random_battery_reaches_register_300() -> None:
    for seed in range(1, 101):
        scenario = scenario_for("S10", seed)
        if scenario.victron.feed_in:
            checked(scenario, seed)


def test_a_cell_at_register_300_is_an_alarm_and_0x372_blocks_the_charge() -> None:
    measurement = make_measurement(cell_voltages_v=one_cell(3.60), status="charging")
    result = settled(measurement, make_bms(single_port=True), seconds=10.0)
    levels = {alarm.name: alarm for alarm in result.alarms}
    assert levels[AlarmName.HIGH_VOLTAGE].level >= 1
    assert "cell 6 at 3.600 V" in levels[AlarmName.HIGH_VOLTAGE].text
    live = fake_live(limits=result.limits, alarms=result.alarms)
    view = pack_view(live, result.limits, result.alarms, device="tinybms")
    assert view is not None
    frame = encode_frame(BY_ID[0x372], view)
    assert frame is not None
    online, blocking_charge, blocking_discharge, offline = struct.unpack("<4H", frame)
    assert (online, blocking_charge, blocking_discharge, offline) == (1, 1, 0, 0)
