"""The peers' rules, held against the figures that are published for them."""

import pytest

from peers import dbus_serialbattery, diybms, plain, thieryfr, yambms
from peers.dbus_currents import BY_HIGHEST_V, CHARGE_BY_C, SlowCurrent, linear
from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.run import run
from tinybms_sim.loop.scenarios import scenario_for
from tinybms_sim.loop.view import Command, Controller, ControllerFactory, Site, View

SITE, REGISTERS = Site(), BmsRegisters()


def view(
    *odd_v: float, others_v: float = 3.40, soc_pct: float = 90.0, current_a: float = 10.0
) -> View:
    cells_v = [*odd_v, *[others_v] * (16 - len(odd_v))]
    return View(
        cell_voltages_v=cells_v,
        pack_voltage_v=sum(cells_v),
        pack_current_a=current_a,
        soc_pct=soc_pct,
    )


def after(controller: Controller, seen: View, seconds: int) -> Command:
    command = controller.step(seen, 1.0)
    for _ in range(seconds - 1):
        command = controller.step(seen, 1.0)
    assert command is not None
    return command


@pytest.mark.parametrize(
    ("volts", "part"), [(3.30, 1.0), (3.40, 0.25), (3.4375, 0.0275), (3.45, 0.005), (3.5, 0.0)]
)
def test_dbus_serialbattery_reduces_the_charge_by_the_highest_cell(
    volts: float, part: float
) -> None:
    assert linear(BY_HIGHEST_V, volts) == pytest.approx(part)


@pytest.mark.parametrize(("celsius", "part"), [(-5, 0.0), (2, 0.25), (25, 1.0), (42.5, 0.75)])
def test_dbus_serialbattery_reduces_the_charge_by_temperature(celsius: float, part: float) -> None:
    assert linear(CHARGE_BY_C, celsius) == pytest.approx(part)


def test_dbus_serialbattery_raises_a_current_after_30_s_by_5_a_a_second() -> None:
    current = SlowCurrent(60.0)
    assert current.next(0.1, 1.0) == pytest.approx(6.0)
    rising = [current.next(1.0, 1.0) for _ in range(40)]
    assert rising[29] == pytest.approx(6.0)
    assert rising[30] == pytest.approx(11.0)
    assert rising[-1] == pytest.approx(56.0)


def test_dbus_serialbattery_1_takes_what_is_over_the_target_from_the_sum() -> None:
    cvl_v, _, _ = after(dbus_serialbattery.mode_1(SITE, REGISTERS), view(3.50), 1)
    assert cvl_v == pytest.approx(15 * 3.40 + 3.45)


def test_dbus_serialbattery_2_integrates_with_a_fifth_and_10_mv() -> None:
    controller = dbus_serialbattery.mode_2(SITE, REGISTERS)
    assert after(controller, view(3.50), 1)[0] == pytest.approx(55.2 - 0.2 * 0.040)
    assert after(controller, view(3.50), 9)[0] == pytest.approx(55.2 - 10 * 0.2 * 0.040)


def test_dbus_serialbattery_3_clips_the_sum_and_adds_10_mv() -> None:
    cvl_v, _, _ = after(dbus_serialbattery.mode_3(SITE, REGISTERS), view(3.50), 1)
    assert cvl_v == pytest.approx(15 * 3.40 + 3.45 + 0.010)


def test_dbus_serialbattery_rises_a_millivolt_a_second_after_a_minute() -> None:
    controller = dbus_serialbattery.mode_1(SITE, REGISTERS)
    low_v = after(controller, view(3.50), 1)[0]
    assert after(controller, view(3.44), 60)[0] == pytest.approx(low_v)
    assert after(controller, view(3.44), 100)[0] == pytest.approx(low_v + 0.100)


def test_dbus_serialbattery_floats_after_900_s_at_a_level_top() -> None:
    controller = dbus_serialbattery.mode_1(SITE, REGISTERS)
    after(controller, view(others_v=3.45), 900)
    assert controller.state == "bulk"
    after(controller, view(others_v=3.45), 2)
    assert controller.state == "float"
    assert after(controller, view(others_v=3.45), 1300)[0] == pytest.approx(54.0)


def test_thieryfr_holds_its_float_100_mv_under_the_alarm_threshold() -> None:
    cvl_v, ccl_a, dcl_a = after(thieryfr.ThieryFr(SITE, REGISTERS), view(soc_pct=98.0), 1)
    assert (cvl_v, ccl_a, dcl_a) == pytest.approx((58.3, 5.0, 100.0))


def test_thieryfr_lowers_cvl_by_50_mv_at_200_mv_spread() -> None:
    cvl_v, ccl_a, _ = after(thieryfr.ThieryFr(SITE, REGISTERS), view(3.20), 1)
    assert (cvl_v, ccl_a) == pytest.approx((58.35, 5.0))


def test_thieryfr_drops_cvl_by_120_v_per_volt_of_the_highest_cell() -> None:
    seen = view(3.52, others_v=3.50, current_a=0.0)
    cvl_v, ccl_a, dcl_a = after(thieryfr.ThieryFr(SITE, REGISTERS), seen, 1)
    assert cvl_v == pytest.approx(58.4 - 120 * 0.02)
    assert (ccl_a / 60.0, dcl_a / 100.0) == pytest.approx((cvl_v / 58.4, cvl_v / 58.4))


def test_thieryfr_decides_each_20_s() -> None:
    controller = thieryfr.ThieryFr(SITE, REGISTERS)
    first = after(controller, view(), 1)
    assert after(controller, view(soc_pct=98.0), 19) == first
    assert after(controller, view(soc_pct=98.0), 1) != first


def test_yambms_ends_the_charge_by_current_then_minute_or_half_hour() -> None:
    level, uneven = yambms.default(SITE, REGISTERS), yambms.by_timer(SITE, REGISTERS)
    for controller, seconds in ((level, 69), (uneven, 1809)):
        assert after(controller, view(others_v=3.45, current_a=3.0), seconds - 1)[0] == 55.2
        assert after(controller, view(others_v=3.45, current_a=3.0), 2)[0] == pytest.approx(53.6)


def test_yambms_does_not_end_the_charge_while_current_flows() -> None:
    controller = yambms.default(SITE, REGISTERS)
    after(controller, view(others_v=3.45, current_a=5.0), 4000)
    assert controller.state == "bulk"


def test_yambms_auto_ccl_bends_down_to_nothing_at_half_way_to_over_voltage() -> None:
    for volts, amperes in ((3.35, 60.0), (3.45, 46.0), (3.55, 0.0)):
        controller = yambms.auto_cvl_ccl(SITE, REGISTERS)
        assert after(controller, view(volts, others_v=3.34), 1)[1] == amperes


def test_yambms_auto_cvl_integrates_half_of_the_error_each_second() -> None:
    controller = yambms.auto_cvl_ccl(SITE, REGISTERS)
    assert after(controller, view(3.47), 1)[0] == pytest.approx(55.2 - 0.05 * 0.02 - 0.5 * 0.02)
    assert after(controller, view(3.47), 9)[0] == pytest.approx(55.2 - 0.05 * 0.02 - 5.0 * 0.02)


def test_diybms_clips_the_sum_at_the_limit_and_follows_the_pack_beyond_it() -> None:
    controller = diybms.DiyBms(SITE, REGISTERS)
    cvl_v, ccl_a, _ = after(controller, view(3.45), 1)
    assert (cvl_v, ccl_a) == pytest.approx((54.4, 0.6))
    cvl_v, ccl_a, _ = after(diybms.DiyBms(SITE, REGISTERS), view(3.60), 1)
    assert (cvl_v, ccl_a) == pytest.approx((54.6, 0.0))


def test_diybms_goes_from_absorption_to_float_after_an_hour() -> None:
    controller = diybms.DiyBms(SITE, REGISTERS)
    after(controller, view(soc_pct=99.0), 3600)
    assert controller.state == "absorb"
    assert after(controller, view(soc_pct=99.0), 6)[0] == pytest.approx(52.8)


def test_the_latch_lets_go_only_far_below() -> None:
    controller = plain.CellLatch(SITE, REGISTERS)
    currents = [after(controller, view(v), 1)[1] for v in (3.54, 3.55, 3.45, 3.41, 3.40)]
    assert currents == [60.0, 0.0, 0.0, 0.0, 60.0]


PUBLISHED: list[tuple[str, ControllerFactory, tuple[int, int, int]]] = [
    ("fixed", plain.Fixed, (29, 269, 1003)),
    ("thieryfr", thieryfr.ThieryFr, (77, 88, 95)),
    ("dbus-serialbattery 1", dbus_serialbattery.mode_1, (0, 0, 0)),
    ("dbus-serialbattery 2", dbus_serialbattery.mode_2, (14, 19, 21)),
    ("dbus-serialbattery 3", dbus_serialbattery.mode_3, (5, 4, 5)),
    ("YamBMS", yambms.by_timer, (29, 261, 982)),
    ("YamBMS Auto", yambms.auto_by_timer, (12, 29, 48)),
    ("diyBMS", diybms.DiyBms, (-11, -19, -16)),
    ("latch", plain.CellLatch, (113, 113, 113)),
]
"""Overshoot in mV on S1, S2 and S3 that an earlier comparison on another plant gives."""


def overshoot_mv(factory: ControllerFactory, name: str, hours: float) -> float:
    scenario = scenario_for(name, 1)
    fields = {field: getattr(scenario, field) for field in scenario.__dataclass_fields__}
    shorter = type(scenario)(**(fields | {"hours": hours}))
    result = run(shorter, factory, 1, switch_acts=False)
    return result.metrics["overshoot_mv"] or 0.0


@pytest.mark.long
@pytest.mark.parametrize(("name", "factory", "published_mv"), PUBLISHED)
def test_this_plant_gives_each_peer_the_overshoot_that_is_known_of_it(
    name: str, factory: ControllerFactory, published_mv: tuple[int, int, int]
) -> None:
    found_mv = [overshoot_mv(factory, scenario, 8.0) for scenario in ("S1", "S2", "S3")]
    for found, published in zip(found_mv, published_mv, strict=True):
        assert found == pytest.approx(published, abs=10.0, rel=0.15), f"{name}: {found_mv}"


@pytest.mark.parametrize(
    ("factory", "name", "published_mv"),
    [(plain.Fixed, "S1", 29), (thieryfr.ThieryFr, "S2", 88), (dbus_serialbattery.mode_2, "S3", 21)],
)
def test_an_hour_and_a_half_is_enough_to_see_three_of_them(
    factory: ControllerFactory, name: str, published_mv: int
) -> None:
    assert overshoot_mv(factory, name, 1.5) == pytest.approx(published_mv, abs=10.0, rel=0.15)
