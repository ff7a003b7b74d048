"""Switches, balancing, state of charge and status of the simulated BMS."""

import pytest

from tinybms_sim.loop.bms_behaviour import (
    CHARGE_OVER_CURRENT,
    CHARGING,
    DISCHARGE_OVER_CURRENT,
    DISCHARGING,
    FAULT,
    FULLY_CHARGED,
    FULLY_DISCHARGED,
    IDLE,
    OVER_HEAT,
    OVER_VOLTAGE,
    TOO_COLD_TO_CHARGE,
    UNDER_VOLTAGE,
    Bms,
)
from tinybms_sim.loop.registers import BmsRegisters

WARM_C = 25.0
LEVEL = [3.33] * 16


def make_bms(*, soc_pct: float = 60.0, gain_error: float = 0.0, **changes: object) -> Bms:
    plain = BmsRegisters()
    values = {field: getattr(plain, field) for field in BmsRegisters.__dataclass_fields__}
    return Bms(BmsRegisters(**(values | changes)), soc_pct=soc_pct, gain_error=gain_error)


def switches(bms: Bms) -> tuple[bool, bool]:
    """Whether charge and discharge are let through."""
    return bms.charge_on, bms.discharge_on


def bled(bms: Bms, cells_v: list[float], current_a: float) -> tuple[int, ...]:
    """The cells that are bled after one reading."""
    bms.step(cells_v, current_a, WARM_C, 1.0)
    return bms.bleeding


def cells(*odd: tuple[int, float], others_v: float = 3.33) -> list[float]:
    found = dict(odd)
    return [found.get(i, others_v) for i in range(16)]


def settle(bms: Bms, cells_v: list[float], current_a: float = 0.0, seconds: int = 20) -> None:
    for _ in range(seconds):
        bms.step(cells_v, current_a, WARM_C, 1.0)


@pytest.mark.parametrize(
    ("high_power", "current_a", "status", "shown_a"),
    [
        (True, 0.79, IDLE, 0.0),
        (True, 0.81, CHARGING, 0.81),
        (True, -0.79, IDLE, 0.0),
        (True, -0.81, DISCHARGING, -0.81),
        (False, 0.07, IDLE, 0.0),
        (False, 0.09, CHARGING, 0.09),
    ],
)
def test_small_currents_are_shown_as_none(
    high_power: bool, current_a: float, status: int, shown_a: float
) -> None:
    bms = make_bms(high_power=high_power)
    bms.step(LEVEL, current_a, WARM_C, 1.0)
    assert (bms.status, bms.shown_current_a) == (status, shown_a)


def test_state_of_charge_counts_what_flows_with_its_error() -> None:
    bms = make_bms(soc_pct=50.0, gain_error=0.01)
    for _ in range(3600):
        bms.step(LEVEL, 28.0, WARM_C, 1.0)
    assert bms.soc_pct == pytest.approx(60.1)


def test_the_offset_of_the_current_sensor_is_shown_and_counted_as_current() -> None:
    bms = Bms(BmsRegisters(), soc_pct=50.0, offset_a=-0.1)
    for _ in range(36_000):
        bms.step(LEVEL, 10.0, WARM_C, 1.0)
    assert bms.shown_current_a == pytest.approx(9.9)
    assert bms.soc_pct == pytest.approx(50.0 + 99.0 / 2.8)
    bms.step(LEVEL, 0.0, WARM_C, 1.0)
    assert bms.shown_current_a == 0.0


@pytest.mark.parametrize(
    ("cells_v", "current_a", "full"),
    [
        (cells((3, 3.60), others_v=3.58), 2.0, False),
        ([3.60] * 16, 10.0, False),
        ([3.601] * 16, 2.0, True),
    ],
)
def test_full_needs_all_cells_at_register_300_level_and_nearly_no_current(
    cells_v: list[float], current_a: float, full: bool
) -> None:
    bms = make_bms(soc_pct=97.0)
    bms.step(cells_v, current_a, WARM_C, 1.0)
    assert (bms.full, bms.soc_pct == 100.0) == (full, full)


def test_a_full_battery_may_be_discharged_but_not_charged() -> None:
    bms = make_bms(soc_pct=97.0)
    bms.step([3.601] * 16, 2.0, WARM_C, 1.0)
    bms.step([3.55] * 16, 0.0, WARM_C, 1.0)
    assert bms.status == FULLY_CHARGED
    assert switches(bms) == (False, True)


@pytest.mark.parametrize(("enabled", "full"), [(True, False), (False, True)])
def test_full_ends_below_the_restart_level_only_where_that_is_enabled(
    enabled: bool, full: bool
) -> None:
    bms = make_bms(charge_restart_enabled=enabled)
    bms.force_full()
    bms.write_soc(89.0)
    bms.step(LEVEL, -5.0, WARM_C, 1.0)
    assert bms.full is full
    bms.step([2.80] * 16, -5.0, WARM_C, 1.0)
    assert not bms.full


@pytest.mark.parametrize(("single_port", "discharge_on"), [(True, False), (False, True)])
def test_the_switch_opens_when_one_cell_reaches_register_300(
    single_port: bool, discharge_on: bool
) -> None:
    bms = make_bms(single_port=single_port)
    bms.step(cells((3, 3.599)), 30.0, WARM_C, 1.0)
    assert bms.charge_on
    bms.step(cells((3, 3.60)), 30.0, WARM_C, 1.0)
    assert switches(bms) == (False, discharge_on)


def test_the_open_switch_closes_again_when_the_cells_are_level() -> None:
    bms = make_bms()
    bms.step(cells((3, 3.60)), 30.0, WARM_C, 1.0)
    settle(bms, cells((3, 3.45)))
    assert switches(bms) == (False, False)
    assert bms.bleeding == (3,)
    settle(bms, cells((3, 3.344)), seconds=1)
    assert switches(bms) == (True, True)


def test_a_bms_whose_switch_does_not_act_lets_everything_through() -> None:
    bms = Bms(BmsRegisters(), soc_pct=50.0, switch_acts=False)
    bms.step(cells((3, 3.8)), 30.0, WARM_C, 1.0)
    assert switches(bms) == (True, True)
    assert bms.status == FAULT


@pytest.mark.parametrize(
    ("cells_v", "current_a", "celsius", "event", "charge_on", "discharge_on", "status"),
    [
        (cells((3, 3.651)), 0.0, 25.0, OVER_VOLTAGE, False, True, FAULT),
        (cells((3, 2.79)), 0.0, 25.0, FULLY_DISCHARGED, True, False, IDLE),
        (cells((3, 2.49)), 0.0, 25.0, UNDER_VOLTAGE, False, False, FAULT),
        (LEVEL, 0.0, -0.1, TOO_COLD_TO_CHARGE, False, True, IDLE),
        (LEVEL, 0.0, 60.0, OVER_HEAT, False, False, FAULT),
        (LEVEL, 301.0, 25.0, CHARGE_OVER_CURRENT, False, False, FAULT),
        (LEVEL, -751.0, 25.0, DISCHARGE_OVER_CURRENT, False, False, FAULT),
    ],
)
def test_each_protection_opens_its_switch_and_recovers_by_itself(
    cells_v: list[float],
    current_a: float,
    celsius: float,
    event: int,
    charge_on: bool,
    discharge_on: bool,
    status: int,
) -> None:
    bms = make_bms()
    bms.step(cells_v, current_a, celsius, 1.0)
    assert event in bms.event_ids
    assert (bms.charge_on, bms.discharge_on, bms.status) == (charge_on, discharge_on, status)
    settle(bms, LEVEL, seconds=5)
    assert event in bms.event_ids
    settle(bms, LEVEL, seconds=2)
    assert not bms.event_ids
    assert switches(bms) == (True, True)


def test_under_voltage_waits_for_a_charger() -> None:
    bms = make_bms()
    bms.step(cells((3, 2.4)), 0.0, WARM_C, 1.0, charger_present=False)
    for _ in range(100):
        bms.step(LEVEL, 0.0, WARM_C, 1.0, charger_present=False)
    assert UNDER_VOLTAGE in bms.event_ids
    settle(bms, LEVEL, seconds=7)
    assert not bms.event_ids


def test_a_discharge_over_current_has_its_time() -> None:
    bms = make_bms()
    settle(bms, LEVEL, -301.0, seconds=5)
    assert not bms.event_ids
    settle(bms, LEVEL, -301.0, seconds=1)
    assert DISCHARGE_OVER_CURRENT in bms.event_ids


def test_balancing_needs_a_charging_current() -> None:
    bms = make_bms()
    assert bled(bms, cells((3, 3.45)), 0.7) == ()
    assert bled(bms, cells((3, 3.45)), 0.9) == (3,)


def test_balancing_needs_a_cell_over_the_threshold_that_stands_out() -> None:
    bms = make_bms()
    assert bled(bms, cells((3, 3.40)), 30.0) == ()
    assert bled(bms, cells((3, 3.41), others_v=3.395), 30.0) == ()
    assert bled(bms, cells((3, 3.415), others_v=3.395), 30.0) == (3,)


def test_several_cells_are_bled_a_third_at_a_time() -> None:
    bms = make_bms()
    seen = []
    for _ in range(30):
        bms.step(cells((3, 3.45), (4, 3.45), (6, 3.45)), 30.0, WARM_C, 1.0)
        seen.append(bms.bleeding)
    assert set(seen) == {(3, 6), (4,), ()}
    assert seen.count((3, 6)) == seen.count((4,)) == seen.count(()) == 10
