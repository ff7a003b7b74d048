"""Invariants 7, 13 and 17, with a battery, its BMS and Victron's chargers around the control."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_charge import make_measurement, settled
from fake_charge_any import invariant
from fake_watched import watched
from tinybms_charge.state import ChargeMode, ChargeState, Cycle
from tinybms_sim.loop.gateway import GatewayController
from tinybms_sim.loop.pack import PackSpec
from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.run import run
from tinybms_sim.loop.scenario import BmsSpec, Happenings, Scenario
from tinybms_sim.loop.scenarios import scenario_for
from tinybms_sim.loop.victron import VictronSpec
from tinybms_sim.loop.view import Command, Site, View

pytestmark = pytest.mark.timeout(1800)
"""The long run takes seven times the examples."""

SEEDS = st.integers(min_value=1, max_value=100_000)
ABSORB_V = 3.45
FULL = {"float", "float_descent"}


@invariant()
@given(seed=SEEDS, below_pct=st.floats(min_value=0.1, max_value=1.0))
def test_invariant_7_cvl_never_pulls_the_pack_down(seed: int, below_pct: float) -> None:
    scenario = scenario_for("S10", seed)
    # The first cell comes to its target within the run. One that is there at the start makes CVL
    # begin at float, and the pack has to come down to that.
    ahead_pct = max(0.0, *(odd_pct for _, odd_pct in scenario.pack.offsets_pct))
    pack = replace(scenario.pack, start_soc_pct=97.5 - below_pct - ahead_pct)
    scenario = replace(scenario, hours=0.125, pack=pack)
    cells = scenario.site.cells
    pushed_v = 0.025 * cells if scenario.victron.feed_in else 0.0
    worst_v = -math.inf

    def look(view: View, command: Command, gateway: GatewayController) -> None:
        nonlocal worst_v
        over_v = sum(max(0.0, v - ABSORB_V) for v in view.cell_voltages_v)
        offset_v = max(pushed_v, gateway.memory.trim.offset_v)
        # Rounding down takes 0.1 V, a step of the descent to float as much.
        allowed_v = offset_v + over_v + 0.010 * cells + 0.2
        worst_v = max(worst_v, view.pack_voltage_v - command[0] - allowed_v)

    run(scenario, watched(look), seed)
    assert worst_v <= 1e-6


class Done(Exception):
    """All was seen; the rest of a run would change nothing."""


class Day:
    """Sun until the battery is full, then loads."""

    def __init__(self, sun_a: float, load_a: float) -> None:
        self.full = False
        self.sun = Switched(self, sun_a, on=True)
        self.load = Switched(self, load_a, on=False)


class Switched:
    """A current that flows before the battery is full, or after."""

    def __init__(self, day: Day, value: float, *, on: bool) -> None:
        self._day, self._value, self._on = day, value, on

    def at(self, _time_s: float, /) -> float:
        """The current now."""
        return self._value if self._day.full != self._on else 0.0


@invariant()
@given(
    seed=SEEDS,
    odd_pct=st.floats(min_value=-3, max_value=3),
    rate=st.floats(min_value=0.1, max_value=0.5),
    feed_in=st.booleans(),
)
def test_invariant_17_a_pack_near_full_reaches_float_and_begins_anew_when_it_was_emptied(
    seed: int, odd_pct: float, rate: float, feed_in: bool
) -> None:
    check_a_day(
        seed, start_pct=97.8 - max(0.0, odd_pct), odd_pct=odd_pct, rate=rate, feed_in=feed_in
    )


@invariant(share=0.03)
@given(seed=SEEDS, rate=st.floats(min_value=0.1, max_value=0.5))
def test_invariant_17_a_current_sensor_that_is_off_keeps_no_pack_from_float(
    seed: int, rate: float
) -> None:
    """It shows 8 A more, so that the current never looks small: two hours at the target count."""
    check_a_day(seed, start_pct=97.0, odd_pct=1.0, rate=rate, feed_in=False, offset_a=8.0)


@pytest.mark.long
@invariant(share=0.15)
@given(
    seed=SEEDS,
    odd_pct=st.floats(min_value=-3, max_value=3),
    rate=st.floats(min_value=0.02, max_value=0.5),
    cells=st.sampled_from((4, 8, 16)),
    feed_in=st.booleans(),
    offset_a=st.sampled_from((0.0, 0.0, 0.0, 8.0)),
)
def test_invariant_17_every_pack_reaches_float_and_begins_anew_when_it_was_emptied(
    seed: int, odd_pct: float, rate: float, cells: int, feed_in: bool, offset_a: float
) -> None:
    check_a_day(
        seed,
        start_pct=96.0,
        odd_pct=odd_pct,
        rate=rate,
        feed_in=feed_in,
        cells=cells,
        offset_a=offset_a,
    )


def check_a_day(
    seed: int,
    *,
    start_pct: float,
    odd_pct: float,
    rate: float,
    feed_in: bool,
    cells: int = 4,
    offset_a: float = 0.0,
) -> None:
    """Sun until float, then loads: float within six hours, bulk once a tenth is out."""
    day = Day(rate * 280.0, 140.0)
    scenario = Scenario(
        name="live",
        title="",
        hours=48.0,
        dt_s=5.0,
        pack=PackSpec(cells=cells, start_soc_pct=start_pct, offsets_pct=((1, odd_pct),)),
        registers=BmsRegisters(series_cells=cells),
        bms=BmsSpec(offset_a=offset_a),
        site=Site(cells=cells, max_charge_a=140.0, max_discharge_a=280.0),
        victron=VictronSpec(feed_in=feed_in, export_limit_a=rate * 280.0),
        sun_a=day.sun,
        load_a=day.load,
    )
    modes: list[str] = []
    near_s: list[float] = []
    full_s: list[float] = []
    bulk_s: list[float] = []

    def look(view: View, _command: Command, gateway: GatewayController) -> None:
        if not modes or modes[-1] != gateway.state:
            modes.append(gateway.state)
        if not near_s and max(view.cell_voltages_v) >= ABSORB_V - 0.015:
            near_s.append(view.time_s)
        if gateway.state == "float" and not full_s:
            full_s.append(view.time_s)
            day.full = True
        assert full_s or not near_s or view.time_s <= near_s[0] + 6 * 3600.0
        if full_s and gateway.state == "bulk":
            bulk_s.append(view.time_s)
        if bulk_s and view.time_s >= bulk_s[0] + 120.0:
            raise Done
        # A tenth is drained in 12 minutes.
        assert bulk_s or not full_s or view.time_s <= full_s[0] + 1200.0

    with pytest.raises(Done):
        run(scenario, watched(look), seed)
    # Once full it stays full until charge was taken out.
    assert sum(a in FULL and b not in FULL for a, b in pairwise(modes)) == 1


@invariant()
@given(
    seed=SEEDS,
    start_pct=st.floats(min_value=92.0, max_value=97.8),
    minute=st.integers(min_value=1, max_value=3),
)
def test_invariant_13_a_lost_memory_lets_cvl_and_ccl_rise_slowly(
    seed: int, start_pct: float, minute: int
) -> None:
    base = scenario_for("S2", seed)
    scenario = replace(base, pack=replace(base.pack, start_soc_pct=start_pct))
    check_lost_memory(scenario, seed, at_s=60.0 * minute, after_s=100.0)


@pytest.mark.long
@invariant(share=0.05)
@given(seed=SEEDS, minute=st.integers(min_value=1, max_value=110))
def test_invariant_13_a_memory_lost_at_any_minute_of_a_charge_lets_them_rise_slowly(
    seed: int, minute: int
) -> None:
    check_lost_memory(scenario_for("S2", seed), seed, at_s=60.0 * minute, after_s=900.0)


def check_lost_memory(scenario: Scenario, seed: int, *, at_s: float, after_s: float) -> None:
    """A restart at `at_s` that finds nothing saved."""
    cells = scenario.site.cells
    scenario = replace(
        scenario,
        hours=(at_s + after_s) / 3600.0,
        happenings=Happenings(restarts=((at_s, 5.0),)),
    )
    sent: list[tuple[float, float, Command]] = []

    def look(view: View, command: Command, _gateway: GatewayController) -> None:
        sent.append((view.time_s, max(view.cell_voltages_v), command))

    metrics = run(scenario, watched(look, forgets=True), seed).metrics
    before = next(command for time_s, _, command in reversed(sent) if time_s < at_s)
    first = [(time_s, command) for time_s, _, command in sent if at_s <= time_s <= at_s + 85.0]
    first_high_v = next(high_v for time_s, high_v, _ in sent if time_s >= at_s)
    if first_high_v >= 3.35:
        # It begins at float at most, since what was in force is not known; and not lower, for that
        # would drain a pack which was only loaded.
        most_v = max(before[0], cells * 3.375) + 0.4 + 1e-6
        assert max(command[0] for _, command in first) <= most_v
    for time_s, command in first:
        assert command[1] <= 0.01 * scenario.site.max_charge_a * (time_s - at_s) + 1e-6
    assert (metrics["overshoot_mv"] or 0.0) <= 25.0
    assert metrics["crossings_300"] == 0


@invariant(share=0.3)
@given(
    mode=st.sampled_from((ChargeMode.FLOAT, ChargeMode.FLOAT_DESCENT)),
    out_ah=st.floats(min_value=0, max_value=0.0199 * 280),
    soc_pct=st.floats(min_value=0, max_value=100),
    spread_v=st.floats(min_value=0, max_value=0.2),
)
def test_neither_soc_nor_spread_alone_ends_float(
    mode: ChargeMode, out_ah: float, soc_pct: float, spread_v: float
) -> None:
    cells = (3.34 - spread_v / 4, *(14 * (3.34,)), 3.34 + spread_v)
    measurement = make_measurement(cell_voltages_v=cells, soc_pct=soc_pct)
    state = ChargeState(cycle=Cycle(mode=mode, out_ah=out_ah, soc_pct=soc_pct), cell_count=16)
    after = settled(measurement, state=state, seconds=800.0)
    assert after.state.cycle.mode in FULL
