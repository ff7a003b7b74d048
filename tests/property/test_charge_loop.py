"""Invariants of the charge control with a battery, its BMS and Victron's chargers around it."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_charge import BMS, PARAMETERS, make_measurement, settled
from fake_watched import watched
from tinybms_charge.state import ChargeMode, ChargeState, Cycle
from tinybms_charge.step import step
from tinybms_sim.loop.gateway import GatewayController
from tinybms_sim.loop.pack import PackSpec
from tinybms_sim.loop.profiles import Steps
from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.run import run
from tinybms_sim.loop.scenario import Happenings, Scenario
from tinybms_sim.loop.scenarios import scenario_for
from tinybms_sim.loop.victron import VictronSpec
from tinybms_sim.loop.view import Command, Site, View

SEEDS = st.integers(min_value=1, max_value=100_000)
ABSORB_V = 3.45
FULL = {"float", "float_descent"}


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_cvl_never_pulls_the_pack_down(seed: int) -> None:
    scenario = replace(scenario_for("S10", seed), hours=0.5)
    cells = scenario.site.cells
    pushed_v = 0.025 * cells if scenario.victron.feed_in else 0.0
    under_s = longest_s = worst_v = 0.0

    def look(view: View, command: Command, gateway: GatewayController) -> None:
        nonlocal under_s, longest_s, worst_v
        over_v = sum(max(0.0, v - ABSORB_V) for v in view.cell_voltages_v)
        offset_v = max(pushed_v, gateway.memory.trim.offset_v)
        allowed_v = offset_v + over_v + 0.010 * cells + 0.2
        under_s = under_s + 1.0 if view.pack_voltage_v - command[0] > allowed_v else 0.0
        longest_s = max(longest_s, under_s)
        worst_v = max(worst_v, view.pack_voltage_v - command[0] - allowed_v)

    run(scenario, watched(look), seed)
    # Chargers need seven seconds to follow a CVL that fell, and some more to slow down.
    assert longest_s <= 12.0
    assert worst_v <= 0.025 * cells


@settings(max_examples=8, deadline=None)
@given(
    seed=SEEDS,
    odd_pct=st.floats(min_value=-3, max_value=3),
    rate=st.floats(min_value=0.04, max_value=0.5),
    cells=st.sampled_from((4, 8, 16)),
    feed_in=st.booleans(),
)
def test_every_pack_reaches_float_and_begins_anew_when_it_was_emptied(
    seed: int, odd_pct: float, rate: float, cells: int, feed_in: bool
) -> None:
    sun_a = rate * 280.0
    hours = 0.14 / rate + 6.0
    scenario = Scenario(
        name="live",
        title="",
        hours=hours + 1.5,
        dt_s=5.0,
        pack=PackSpec(cells=cells, start_soc_pct=90.0, offsets_pct=((1, odd_pct),)),
        registers=BmsRegisters(series_cells=cells),
        site=Site(cells=cells, max_charge_a=140.0),
        victron=VictronSpec(feed_in=feed_in, export_limit_a=sun_a),
        sun_a=Steps(((0.0, sun_a), (hours * 3600.0, 0.0))),
        load_a=Steps(((0.0, 0.0), (hours * 3600.0, 40.0))),
    )
    modes: list[str] = []

    def look(_view: View, _command: Command, gateway: GatewayController) -> None:
        if not modes or modes[-1] != gateway.state:
            modes.append(gateway.state)

    metrics = run(scenario, watched(look), seed).metrics
    assert metrics["float_h"] is not None
    assert metrics["float_h"] <= hours
    assert metrics["crossings_300"] == 0
    assert modes[-1] == "bulk"
    # Once full it stays full until charge was taken out.
    assert sum(a in FULL and b not in FULL for a, b in pairwise(modes)) == 1


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS, minute=st.integers(min_value=1, max_value=110))
def test_a_lost_memory_lets_cvl_rise_by_0_4_v_at_most_at_first(seed: int, minute: int) -> None:
    at_s = minute * 60.0
    scenario = replace(
        scenario_for("S2", seed),
        hours=at_s / 3600.0 + 0.25,
        happenings=Happenings(restarts=((at_s, 5.0),)),
    )
    sent: list[tuple[float, float, float]] = []

    def look(view: View, command: Command, _gateway: GatewayController) -> None:
        sent.append((view.time_s, max(view.cell_voltages_v), command[0]))

    metrics = run(scenario, watched(look, forgets=True), seed).metrics
    before_v = [cvl_v for time_s, _, cvl_v in sent if time_s < at_s][-1]
    first = [cvl_v for time_s, _, cvl_v in sent if at_s <= time_s <= at_s + 85.0]
    near_full = any(high_v >= 3.35 for time_s, high_v, _ in sent if at_s <= time_s <= at_s + 6.0)
    if near_full:
        # It begins at float at most: lower would drain a pack that was only loaded.
        assert max(first) <= max(before_v, 16 * 3.375) + 0.4 + 1e-6
    assert (metrics["overshoot_mv"] or 0.0) <= 25.0
    assert metrics["crossings_300"] == 0


@settings(max_examples=100, deadline=None)
@given(
    # Away from the edge at which the trim begins: there a reading more or less decides.
    high_v=st.floats(min_value=3.30, max_value=3.39) | st.floats(min_value=3.48, max_value=3.50),
    moved_v=st.floats(min_value=-0.02, max_value=0.02),
    others_v=st.floats(min_value=3.30, max_value=3.46),
    current_a=st.floats(min_value=-60, max_value=60),
    parts=st.sampled_from((2, 4, 40)),
)
def test_one_long_step_is_as_many_short_ones(
    high_v: float, moved_v: float, others_v: float, current_a: float, parts: int
) -> None:
    def cells(volts: float) -> tuple[float, ...]:
        return (volts, *(15 * (others_v,)))

    start = step(
        ChargeState(charge_voltage_v=54.6, cell_count=16, cycle=Cycle(mode=ChargeMode.BULK)),
        make_measurement(cell_voltages_v=cells(high_v), pack_current_a=current_a),
        BMS,
        PARAMETERS,
        0.0,
    ).state
    start = msgspec.structs.replace(start, charge_current_a=50.0)
    before = make_measurement(cell_voltages_v=cells(high_v), pack_current_a=current_a)
    for _ in range(60):
        start = step(start, before, BMS, PARAMETERS, 1.0).state
    after = make_measurement(cell_voltages_v=cells(high_v + moved_v), pack_current_a=current_a)
    long = step(start, after, BMS, PARAMETERS, 4.0)
    short = step(start, after, BMS, PARAMETERS, 4.0 / parts)
    for _ in range(parts - 1):
        short = step(short.state, after, BMS, PARAMETERS, 4.0 / parts)
    assert abs(long.limits.charge_voltage_v - short.limits.charge_voltage_v) <= 0.1 + 1e-6
    assert math.isclose(long.state.cycle.out_ah, short.state.cycle.out_ah, abs_tol=1e-9)
    assert math.isclose(long.state.cycle.near_s, short.state.cycle.near_s, abs_tol=4.1)


@settings(max_examples=40, deadline=None)
@given(
    high_v=st.floats(min_value=3.2, max_value=3.6),
    others_v=st.floats(min_value=3.2, max_value=3.46),
    current_a=st.floats(min_value=-60, max_value=60),
    mode=st.sampled_from(ChargeMode),
)
def test_a_constant_reading_changes_the_mode_three_times_at_most(
    high_v: float, others_v: float, current_a: float, mode: ChargeMode
) -> None:
    measurement = make_measurement(
        cell_voltages_v=(high_v, *(15 * (others_v,))), pack_current_a=current_a, soc_pct=95.0
    )
    state = ChargeState(cycle=Cycle(mode=mode), cell_count=16)
    modes = [mode]
    # Five hours, but not so long that the current itself empties the battery.
    for _ in range(min(3600, int(0.08 * 280 * 720 / max(1.0, -current_a)))):
        state = step(state, measurement, BMS, PARAMETERS, 5.0).state
        if state.cycle.mode is not modes[-1]:
            modes.append(state.cycle.mode)
    assert len(modes) - 1 - (mode is ChargeMode.INIT) <= 3


@settings(max_examples=100, deadline=None)
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
