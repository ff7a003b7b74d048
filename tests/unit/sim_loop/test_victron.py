"""Chargers, inverter and GX between the limits and the battery."""

import random
from itertools import pairwise

import pytest

from tinybms_sim.loop.victron import Victron, VictronSpec
from tinybms_sim.loop.view import Command

OPEN: Command = (55.2, 60.0, 100.0)
SOURCE_V, PACK_OHM = 53.0, 0.0064


class Bench:
    """A battery of constant voltage on an installation."""

    def __init__(self, **spec: object) -> None:
        values = {
            field: getattr(VictronSpec(), field) for field in VictronSpec.__dataclass_fields__
        }
        self.victron = Victron(VictronSpec(**(values | spec)), 16, random.Random(1))
        self.time_s = 0.0

    def run(
        self,
        seconds: int,
        command: Command | None = OPEN,
        *,
        sun_a: float = 65.0,
        load_a: float = 5.0,
        source_v: float = SOURCE_V,
    ) -> list[float]:
        currents = []
        for _ in range(seconds):
            currents.append(
                self.victron.step(self.time_s, 1.0, command, source_v, PACK_OHM, sun_a, load_a)
            )
            self.time_s += 1.0
        return currents


def test_nothing_charges_before_the_first_frame_has_come_through() -> None:
    currents = Bench().run(20)
    assert currents[:4] == [0.0] * 4
    assert currents[-1] == pytest.approx(60.0)


def test_the_sun_less_the_loads_charges_the_battery() -> None:
    assert Bench().run(40)[-1] == pytest.approx(60.0)
    assert Bench().run(40, sun_a=20.0)[-1] == pytest.approx(15.0)
    assert Bench().run(40, sun_a=0.0)[-1] == pytest.approx(-5.0)


def test_ccl_and_the_load_together_bound_the_chargers() -> None:
    currents = Bench().run(60, (55.2, 10.0, 100.0), load_a=20.0)
    assert currents[-1] == pytest.approx(10.0)


def test_ccl_zero_lets_the_chargers_carry_the_loads_alone() -> None:
    assert Bench().run(60, (55.2, 0.0, 100.0), load_a=20.0)[-1] == pytest.approx(0.0, abs=1.0)


def test_a_lower_cvl_takes_effect_after_four_to_seven_seconds() -> None:
    delays = set()
    for phase in range(3):
        bench = Bench()
        bench.run(30 + phase)
        currents = bench.run(20, (52.0, 60.0, 100.0))
        delays.add(next(i for i, amps in enumerate(currents) if amps < 59.0))
    assert delays <= {4, 5, 6, 7}
    assert len(delays) > 1


def test_without_the_ess_path_it_takes_three_seconds_less() -> None:
    delays = []
    for ess_path in (True, False):
        bench = Bench(ess_path=ess_path)
        bench.run(30)
        currents = bench.run(20, (52.0, 60.0, 100.0))
        delays.append(next(i for i, amps in enumerate(currents) if amps < 59.0))
    assert delays[0] - delays[1] == 3


def test_a_slow_charger_goes_on_for_45_seconds_more() -> None:
    bench = Bench(late_s=45.0)
    bench.run(120)
    currents = bench.run(80, (52.0, 60.0, 100.0))
    assert min(currents[:48]) == pytest.approx(60.0)
    assert currents[-1] == pytest.approx(-5.0)


def test_a_cvl_under_the_battery_makes_it_carry_the_loads_but_no_more() -> None:
    assert Bench().run(60, (48.0, 60.0, 100.0))[-1] == pytest.approx(-5.0)


def test_the_voltage_held_is_cvl_and_the_error_of_the_charger() -> None:
    for error_v in (0.0, 0.2, -0.2):
        amps = Bench(charger_error_v=error_v).run(60, source_v=55.0)[-1]
        expected_a = min(max((55.2 + error_v - 55.0) / (PACK_OHM + 0.002), -5.0), 60.0)
        assert amps == pytest.approx(expected_a)


def test_feed_in_ignores_ccl() -> None:
    assert Bench(feed_in=True).run(60, (56.0, 0.0, 100.0))[-1] == pytest.approx(60.0)


def test_feed_in_takes_what_the_battery_does_not_want() -> None:
    bench = Bench(feed_in=True, export_limit_a=90.0)
    assert bench.run(60, source_v=55.2)[-1] == pytest.approx(0.0, abs=1e-9)


def test_feed_in_discharges_the_battery_down_to_cvl() -> None:
    bench = Bench(feed_in=True, export_limit_a=90.0)
    with_sun = bench.run(60, (54.8, 60.0, 100.0), source_v=55.0)[-1]
    assert with_sun == pytest.approx((54.8 - 55.0) / (PACK_OHM + 0.002))
    chargers_cut = bench.run(60, (53.0, 60.0, 100.0), source_v=55.0)[-1]
    assert chargers_cut == pytest.approx(-5.0 - 90.0)


def test_what_the_inverter_can_not_export_pushes_the_battery_over_cvl() -> None:
    bench = Bench(feed_in=True, export_limit_a=30.0)
    amps = bench.run(60, source_v=55.4)[-1]
    assert amps == pytest.approx((55.2 + 0.4 - 55.4) / (PACK_OHM + 0.002))
    assert bench.run(60, source_v=55.7)[-1] < 0.0


def test_current_rises_by_15_and_falls_by_40_ampere_a_second() -> None:
    bench = Bench()
    currents = bench.run(20)
    rises = [b - a for a, b in pairwise(currents)]
    assert max(rises[7:]) <= 15.0
    falls = bench.run(20, (48.0, 60.0, 100.0))
    assert min(b - a for a, b in pairwise(falls)) >= -40.0


def test_a_load_that_is_switched_off_goes_into_the_battery_for_some_seconds() -> None:
    bench = Bench()
    bench.run(60, (55.2, 10.0, 100.0), sun_a=100.0, load_a=60.0)
    currents = bench.run(30, (55.2, 10.0, 100.0), sun_a=100.0, load_a=0.0)
    assert max(currents) > 50.0
    assert currents[-1] == pytest.approx(10.0, abs=1.0)


def test_dcl_zero_ends_the_ac_output_of_an_island_and_it_comes_back() -> None:
    island = Bench(grid=False)
    island.run(20, sun_a=0.0)
    assert island.run(20, (55.2, 60.0, 0.0), sun_a=0.0)[-1] == 0.0
    assert island.victron.ac_off
    assert island.run(30, sun_a=0.0)[-1] == pytest.approx(-5.0)
    assert not island.victron.ac_off


def test_dcl_zero_on_the_grid_leaves_the_loads_to_it() -> None:
    on_grid = Bench()
    assert on_grid.run(30, (55.2, 60.0, 0.0), sun_a=0.0)[-1] == 0.0
    assert not on_grid.victron.ac_off


def test_silence_of_more_than_three_seconds_ends_charge_and_discharge() -> None:
    bench = Bench(grid=False)
    bench.run(30)
    currents = bench.run(6, None)
    assert [amps > 0 for amps in currents] == [True, True, True, False, False, False]
    assert bench.victron.ac_off
    assert bench.run(30)[-1] == pytest.approx(60.0)


def test_a_few_lost_frames_change_little() -> None:
    currents = Bench(frame_loss=0.2).run(600)
    assert sum(currents) / len(currents) > 50.0
