"""The living battery and the protections that act on it."""

import struct

import pytest

from fake_charge import BMS, PARAMETERS, make_measurement
from tinybms_charge.state import ChargeState
from tinybms_charge.step import step
from tinybms_sim.battery import LivingBattery
from tinybms_sim.events import Event
from tinybms_sim.line import BmsLine, make_line

START_S = 50.0
STATUS, CURRENT, CELLS = 50, 38, range(16)


@pytest.fixture
def living() -> BmsLine:
    return make_line(start_s=START_S, paced=False)


def status_at(line: BmsLine, now_s: float) -> int:
    line.tick(now_s)
    return line.bms.image[STATUS]


def logged(line: BmsLine) -> list[int]:
    return [entry >> 24 for entry in line.bms.events.all()]


def test_one_seed_gives_one_battery_and_another_seed_another() -> None:
    times = [n * 7.3 for n in range(20)]
    one, again, other = (LivingBattery(seed=seed) for seed in (3, 3, 4))
    assert [one.at(t) for t in times] == [again.at(t) for t in times]
    assert [one.at(t) for t in times] != [other.at(t) for t in times]


def test_a_healthy_battery_stays_in_its_range_and_keeps_its_sums() -> None:
    battery = LivingBattery(seed=1)
    for t in range(0, 1200, 3):
        pack = battery.at(float(t))
        assert 52.5 < pack.pack_voltage_v < 54.2
        assert max(pack.cell_voltages_v) - min(pack.cell_voltages_v) < 0.015
        assert pack.current_a == 0.0 or 0.8 <= abs(pack.current_a) <= 41.0


def test_soc_counts_the_charge_that_flows() -> None:
    battery = LivingBattery(seed=1)
    flowed_as = sum(battery.at(n * 0.1).current_a * 0.1 for n in range(1000))
    moved_pct = battery.at(100.0).soc_pct - battery.at(0.0).soc_pct
    assert moved_pct == pytest.approx(flowed_as / 3600 / 280 * 100, abs=0.002)


def test_values_change_each_100_ms_and_not_within(living: BmsLine) -> None:
    living.tick(START_S + 1.01)
    first = living.bms.image.block(0, 56)
    living.tick(START_S + 1.09)
    assert living.bms.image.block(0, 56) == first
    living.tick(START_S + 1.11)
    assert living.bms.image.block(0, 56) != first


def test_pack_voltage_and_extremes_agree_with_the_cells(living: BmsLine) -> None:
    for n in range(50):
        living.tick(START_S + n)
        image = living.bms.image
        cells = image.block(0, 16)
        assert image.float32(36) == pytest.approx(sum(cells) / 10_000, abs=1e-4)
        assert (image[40], image[41]) == (round(min(cells) / 10), round(max(cells) / 10))
        assert image[104] == max(cells) - min(cells)


def test_charging_sessions_leave_their_events(living: BmsLine) -> None:
    for n in range(0, 620, 1):
        living.tick(START_S + n)
    assert {Event.CHARGER_CONNECTED, Event.CHARGING_STARTED, Event.CHARGER_DISCONNECTED} <= set(
        logged(living)
    )


def test_time_left_counts_only_while_discharging(living: BmsLine) -> None:
    seen = {0x91: False, 0x93: False}
    for n in range(300):
        status = status_at(living, START_S + n)
        image = living.bms.image
        if status == 0x93:
            assert image.u32(34) < 40 * 24 * 3600
        else:
            assert image.u32(34) == image.u32(46) // 2
        seen[status] = True
    assert seen[0x91]
    assert seen[0x93]


def test_over_voltage_stops_the_charge_and_recovers_by_itself(living: BmsLine) -> None:
    living.choose("over_voltage", START_S)
    assert status_at(living, START_S + 0.1) == 0x9B
    for n in range(100):
        living.tick(START_S + 1 + n)
        assert living.bms.image.float32(CURRENT) <= 0.0
    living.choose("normal", START_S + 101)
    assert status_at(living, START_S + 101.1) == 0x9B
    assert status_at(living, START_S + 106) != 0x9B
    assert logged(living).count(Event.OVER_VOLTAGE) == 1
    assert logged(living).count(Event.OVER_VOLTAGE_ENDED) == 1
    assert living.bms.image[106] == 1


def test_under_voltage_needs_a_charger_to_end(living: BmsLine) -> None:
    living.choose("under_voltage", START_S)
    assert status_at(living, START_S + 0.1) == 0x9B
    assert logged(living)[-2:] == [Event.FULLY_DISCHARGED, Event.UNDER_VOLTAGE]
    assert living.bms.image.float32(CURRENT) == 0.0
    living.choose("normal", START_S + 10)
    assert status_at(living, START_S + 600) == 0x9B
    living.bms.plant.protections.connect_charger()
    assert status_at(living, START_S + 601) != 0x9B
    assert Event.UNDER_VOLTAGE_ENDED in logged(living)


def test_cold_stops_the_charge_with_a_warning_and_no_fault(living: BmsLine) -> None:
    living.choose("low_temperature", START_S)
    for n in range(300):
        assert status_at(living, START_S + n) in (0x93, 0x97)
    assert Event.TOO_COLD_TO_CHARGE in logged(living)


def test_a_runaway_cell_climbs_until_the_fault_comes(living: BmsLine) -> None:
    living.choose("runaway_cell", START_S)
    assert status_at(living, START_S + 60) != 0x9B
    assert living.bms.image[0] > max(living.bms.image.block(1, 15))
    assert status_at(living, START_S + 600) == 0x9B


def test_an_empty_pack_may_sleep_in_its_fault(living: BmsLine) -> None:
    living.choose("empty", START_S)
    assert status_at(living, START_S + 0.1) == 0x9B
    assert living.bms.image.u32(46) == 0
    living.tick(START_S + 20)
    assert living.bms.asleep


def test_a_fixed_image_can_be_disturbed_and_comes_back_word_for_word() -> None:
    low, high = struct.unpack("<HH", struct.pack("<f", -5.0))
    cells = {0: 0, 1: 0, **dict.fromkeys(range(2, 16), 33_330)}
    line = make_line(start_s=START_S, overrides={**cells, 38: low, 39: high, 50: 0x93}, paced=False)
    before = line.bms.image.block(0, 32) + line.bms.image.block(34, 22)
    line.choose("over_voltage", START_S)
    assert status_at(line, START_S + 1) == 0x9B
    assert line.bms.image.block(0, 2) == [0, 0]
    line.choose("normal", START_S + 2)
    line.tick(START_S + 2.5)
    line.tick(START_S + 20)
    assert line.bms.image.block(0, 32) + line.bms.image.block(34, 22) == before


def test_reset_ends_every_fault(living: BmsLine) -> None:
    living.choose("under_voltage", START_S)
    living.tick(START_S + 1)
    living.choose("normal", START_S + 2)
    living.bms.reset(START_S + 2)
    assert status_at(living, START_S + 2.5) != 0x9B
    assert Event.STARTED in logged(living)


def test_at_62_percent_the_charge_control_finds_a_pack_in_bulk() -> None:
    for seed in range(1, 6):
        battery = LivingBattery(seed=seed)
        state = ChargeState()
        for second in range(300):
            pack = battery.at(float(second))
            measurement = make_measurement(
                cell_voltages_v=pack.cell_voltages_v,
                pack_current_a=pack.current_a,
                soc_pct=pack.soc_pct,
            )
            result = step(state, measurement, BMS, PARAMETERS, 1.0)
            state = result.state
            assert result.limits.system_state == "bulk"
            assert result.limits.charge_voltage_v == 55.2
