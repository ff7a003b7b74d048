"""The charge control in the closed loop: what each scenario and random batteries must show."""

from __future__ import annotations

from statistics import median, quantiles

import pytest

from tinybms_sim.loop.gateway import gateway
from tinybms_sim.loop.run import judge, run
from tinybms_sim.loop.scenarios import scenario_for

QUICK = ("S1", "S2", "S3", "S4", "S6", "S6b", "S7", "S8", "S9")
SLOW = (
    "S2r",
    "S2e",
    "S2n",
    "S8b",
    "S8c",
    "S11",
    "S13",
    "S13b",
    "S14",
    "S14b",
    "S15",
    "S17",
    "S17b",
    "S18",
)
P95_MV = 35.0
MOST_MV = 60.0
HIGH_CELL_V = 3.60
TURNS_H = 1.0


def failures(name: str, *, seed: int = 1, dt_s: float | None = None) -> list[str]:
    """The criteria of a scenario that were not reached, in words."""
    result = run(scenario_for(name, seed), gateway, seed, dt_s=dt_s)
    return [
        f"{verdict.criterion} was {verdict.value} (base {verdict.base})"
        for verdict in judge(result, gateway, dt_s=dt_s)
        if not verdict.passed
    ]


@pytest.mark.parametrize("name", QUICK)
def test_a_scenario_is_passed(name: str) -> None:
    assert failures(name) == []


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SLOW)
def test_a_longer_scenario_is_passed(name: str) -> None:
    assert failures(name) == []


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", QUICK)
def test_a_scenario_is_passed_with_ten_readings_a_second(name: str) -> None:
    assert failures(name, dt_s=0.1) == []


def check_random_batteries(seeds: range) -> None:
    runs = [run(scenario_for("S10", seed), gateway, seed).metrics for seed in seeds]
    over_mv = [metrics["overshoot_mv"] or 0.0 for metrics in runs]
    assert max(over_mv) <= MOST_MV
    assert quantiles(over_mv, n=20, method="inclusive")[-1] <= P95_MV
    assert max(metrics["highest_v"] or 9.0 for metrics in runs) < HIGH_CELL_V
    assert sum(metrics["crossings_300"] or 0.0 for metrics in runs) == 0
    assert median(metrics["cvl_small_reversals_h"] or 0.0 for metrics in runs) <= TURNS_H
    floats = [metrics for metrics in runs if metrics["rest_h"] is not None]
    assert len(floats) >= 0.6 * len(runs)


def test_ten_random_batteries_keep_their_highest_cell() -> None:
    check_random_batteries(range(1, 11))


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_hundred_random_batteries_keep_their_highest_cell() -> None:
    check_random_batteries(range(1, 101))


@pytest.mark.parametrize("scenario", ["S5", "S5b"])
def test_gusts_and_load_steps_do_not_carry_a_cell_near_its_cut_off(scenario: str) -> None:
    metrics = run(scenario_for(scenario, 1), gateway, 1).metrics
    assert (metrics["overshoot_mv"] or 0.0) <= P95_MV
    assert metrics["crossings_300"] == 0
    assert metrics["cvl_reversals_h"] == 0
    assert metrics["float_h"] is not None


@pytest.mark.long
@pytest.mark.timeout(600)
def test_thirty_days_have_a_full_charge_each_fortnight() -> None:
    metrics = run(scenario_for("S16", 1), gateway, 1).metrics
    assert (metrics["days_without_full"] or 99.0) <= 14.0
    assert (metrics["overshoot_mv"] or 99.0) <= P95_MV
    assert metrics["crossings_300"] == 0
