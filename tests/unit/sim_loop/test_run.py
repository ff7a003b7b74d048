"""A whole run: one seed gives one result, and what happens is what the scenario says."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from fake_controller import FakeController, steady
from tinybms_sim.loop.bms_behaviour import FULLY_CHARGED
from tinybms_sim.loop.gateway import gateway
from tinybms_sim.loop.metrics import Crossings, Reversals
from tinybms_sim.loop.run import judge, run
from tinybms_sim.loop.scenario import Criterion, Glitch, Happenings, Scenario
from tinybms_sim.loop.scenarios import NAMES, scenario_for
from tinybms_sim.loop.view import Command

FIXED: Command = (55.2, 60.0, 100.0)


def short(name: str, seed: int = 1, hours: float = 0.5, **changes: object) -> Scenario:
    scenario = scenario_for(name, seed)
    fields = {field: getattr(scenario, field) for field in Scenario.__dataclass_fields__}
    return Scenario(**(fields | {"hours": hours} | changes))


def test_one_seed_gives_one_result_and_another_seed_another() -> None:
    for name in ("S5", "S10"):
        first, again = (run(short(name, 7), gateway, 7).metrics for _ in range(2))
        other = run(short(name, 8), gateway, 8).metrics
        assert first == again
        assert first != other


@pytest.mark.parametrize("name", NAMES)
def test_every_scenario_runs_and_names_figures_that_exist(name: str) -> None:
    scenario = short(name, 3, hours=0.05)
    result = run(scenario, gateway, 3)
    assert scenario.criteria
    assert {criterion.metric for criterion in scenario.criteria} <= set(result.metrics)
    assert result.metrics["hours"] == pytest.approx(0.05, rel=0.03)


def test_an_unknown_scenario_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"'S99'; choose one of: S1, S2"):
        scenario_for("S99", 1)


def test_random_batteries_keep_to_their_ranges_and_differ() -> None:
    scenarios = [scenario_for("S10", seed) for seed in range(1, 101)]
    assert {scenario.pack.cells for scenario in scenarios} == {4, 8, 16}
    assert all(20 <= s.pack.capacity_ah <= 300 for s in scenarios)
    assert all(0.149 <= s.site.max_charge_a / s.pack.capacity_ah <= 1.001 for s in scenarios)
    assert 35 <= sum(s.victron.feed_in for s in scenarios) <= 65
    assert len({s.pack.capacity_ah for s in scenarios}) > 90


def test_a_finer_step_gives_nearly_the_same() -> None:
    coarse, fine = (
        run(short("S2", hours=0.6), gateway, 1, dt_s=dt_s).metrics for dt_s in (1.0, 0.25)
    )
    assert coarse["end_soc_pct"] == pytest.approx(fine["end_soc_pct"], abs=0.1)
    assert coarse["highest_v"] == pytest.approx(fine["highest_v"], abs=0.02)


def test_charge_in_the_cells_is_what_flowed() -> None:
    result = run(short("S1", hours=0.5), steady(55.2), 1, trace_every_s=1.0)
    flowed_ah = sum(moment.current_a for moment in result.trace) / 3600.0
    gained_pct = result.trace[-1].soc_pct - result.trace[0].soc_pct
    assert gained_pct == pytest.approx(flowed_ah / 280.0 * 100.0, abs=0.15)
    assert flowed_ah > 10.0


def test_a_fixed_target_lets_a_cell_reach_register_300_and_the_one_switch_opens() -> None:
    open_, shut = (
        run(short("S2", hours=1.0), steady(55.2), 1, switch_acts=acts).metrics
        for acts in (True, False)
    )
    assert open_["crossings_300"] == 1
    assert (open_["switch_open_s"] or 0) > 300
    assert open_["overshoot_mv"] == pytest.approx(150.0, abs=10.0)
    assert shut["switch_open_s"] == 0
    assert (shut["overshoot_mv"] or 0) > 200


def test_data_that_do_not_come_call_no_step_and_age() -> None:
    controller = FakeController(lambda _view: FIXED)
    ages: list[float] = []

    def missing(age_s: float) -> Command | None:
        ages.append(age_s)
        return None if age_s > 3 else FIXED

    controller.missing = missing  # type: ignore[attr-defined]
    scenario = short("S1", hours=60 / 3600, happenings=Happenings(data_loss=((20.0, 5.0),)))
    result = run(scenario, controller, 1)
    assert ages == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert controller.steps == [1.0] * 20 + [6.0] + [1.0] * 34
    assert result.metrics["silent_s"] == 2.0


def test_a_restart_sends_nothing_and_forgets_what_was_not_kept() -> None:
    controller = steady(55.2)
    scenario = short("S1", hours=60 / 3600, happenings=Happenings(restarts=((20.0, 5.0),)))
    result = run(scenario, controller, 1)
    assert controller.resets == 2
    assert result.metrics["silent_s"] == 5.0


def test_the_minute_of_the_restart_follows_from_the_seed() -> None:
    starts = {scenario_for("S11", seed).happenings.restarts[0][0] for seed in range(80)}
    assert starts == {60.0 * minute for minute in range(1, 81)}


@pytest.mark.parametrize(
    ("glitch", "shown"),
    [
        (Glitch(at_s=10.0, volts=19.0), lambda v: v == 19.0),
        (Glitch(at_s=10.0, added_v=0.5), lambda v: 3.7 < v < 3.95),
    ],
)
def test_a_wrong_reading_is_shown_once(glitch: Glitch, shown: Callable[[float], bool]) -> None:
    controller = steady(55.2)
    scenario = short("S12", hours=30 / 3600, happenings=Happenings(glitches=(glitch,)))
    run(scenario, controller, 1)
    assert [i for i, v in enumerate(controller.highest_v) if shown(v)] == [10]
    assert (run(scenario, steady(55.2), 1).metrics["highest_v"] or 9.0) < 3.5


def test_a_bms_that_turns_full_says_so_from_then_on() -> None:
    controller = steady(55.2)
    scenario = short("S17", hours=60 / 3600, happenings=Happenings(full_at_s=30.0))
    run(scenario, controller, 1)
    first = controller.statuses.index(FULLY_CHARGED)
    assert 30 <= first <= 33


def test_a_written_state_of_charge_is_counted_from() -> None:
    controller = steady(55.2)
    wanted = [None, None, 42.0]
    controller.take_soc_write = lambda: wanted.pop() if wanted else None  # type: ignore[attr-defined]
    result = run(short("S1", hours=20 / 3600), controller, 1, trace_every_s=1.0)
    assert result.trace[-1].counted_soc_pct == pytest.approx(42.0, abs=0.2)


def test_criteria_are_judged_against_bounds_and_other_scenarios() -> None:
    scenario = short("S1", hours=0.01)
    wanted = (
        Criterion(metric="hours", most=1.0),
        Criterion(metric="hours", least=1.0),
        Criterion(metric="float_h", most=1.0),
        Criterion(metric="highest_v", most=0.5, relative_to="S12"),
        Criterion(metric="highest_v", most=-3.0, relative_to="S12"),
    )
    result = run(replace(scenario, criteria=wanted), steady(55.2), 1)
    verdicts = judge(result, steady(55.2))
    assert [verdict.passed for verdict in verdicts] == [True, False, False, True, False]


@pytest.mark.parametrize(
    ("values", "turns"),
    [
        ([0, 1, 2, 3], 0),
        ([0, 3, 0], 1),
        ([0, 3, 0, 3, 0], 3),
        ([0, 3, 2.5, 3, 2.5], 0),
        ([3, 0, 3], 1),
        ([0, 0.6, 1.2, 0.6, 0.0], 1),
    ],
)
def test_a_reversal_is_a_turn_of_more_than_the_threshold(values: list[float], turns: int) -> None:
    reversals = Reversals(1.0)
    for value in values:
        reversals.add(value)
    assert reversals.count == turns


def test_a_crossing_counts_once_until_the_value_is_back() -> None:
    crossings = Crossings(1.0)
    for value in (0.0, 1.0, 2.0, 1.5, 0.9, 1.1):
        crossings.add(value)
    assert crossings.count == 2
