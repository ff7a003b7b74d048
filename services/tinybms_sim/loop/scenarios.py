"""The scenarios: what happens in each, and what the gateway must reach in it.

Names S1 to S18; a letter marks a variant (S8b). S10 is another battery, sun and load with each
seed, see `montecarlo`. The battery is a 16S LFP of 280 Ah at 92 %; the sun gives 65 A and the loads
take 5 A, unless a scenario says otherwise.
"""

from dataclasses import replace
from types import MappingProxyType
from typing import Final

from tinybms_sim.loop.montecarlo import random_scenario
from tinybms_sim.loop.pack import PackSpec
from tinybms_sim.loop.profiles import Days, Line, Square, Steady, Steps
from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.scenario import (
    BmsSpec,
    Criterion,
    Glitch,
    Happenings,
    Scenario,
)
from tinybms_sim.loop.thermal import ThermalSpec
from tinybms_sim.loop.victron import VictronSpec
from tinybms_sim.loop.view import Site

_RUNNER_1 = PackSpec(offsets_pct=((5, 1.0),))
_RUNNER_3 = PackSpec(offsets_pct=((5, 3.0),))
_LAGGARD_2 = PackSpec(offsets_pct=((5, -2.0),))

_NMC = BmsRegisters(
    series_cells=14,
    fully_charged_v=4.18,
    fully_discharged_v=3.00,
    early_balancing_v=4.00,
    over_voltage_v=4.25,
    under_voltage_v=2.70,
)

_BELOW_CUT_OFFS = (
    Criterion(metric="crossings_300", most=0.0),
    Criterion(metric="crossings_315", most=0.0),
)
_NO_TRIP = (*_BELOW_CUT_OFFS, Criterion(metric="switch_open_s", most=0.0))
_NO_TURN = Criterion(metric="cvl_reversals_h", most=0.0)


def _over(most_mv: float) -> Criterion:
    return Criterion(metric="overshoot_mv", most=most_mv)


def _float(most_h: float) -> Criterion:
    return Criterion(metric="float_h", most=most_h)


_UNBALANCED = (_over(15.0), *_NO_TRIP, _float(5.0))

_MONTH: Final = Scenario(
    name="S16",
    title="thirty days of sun and night, the BMS counts 0.9 % less each day",
    hours=720.0,
    dt_s=5.0,
    pack=PackSpec(start_soc_pct=70.0, offsets_pct=((5, 1.0),), soc_spread_pct=0.1),
    bms=BmsSpec(offset_a=-0.1),
    sun_a=Days(peak=60.0, weights=(1.0, 0.8, 0.3, 1.0, 0.9, 0.2, 1.0)),
    load_a=Days(peak=16.0, rise_h=0.0, set_h=24.0),
    criteria=(
        Criterion(metric="days_without_full", most=14.0),
        Criterion(metric="soc_spread_change_pct", most=0.0),
    ),
)

_TABLE: Final = (
    Scenario(
        name="S1",
        title="balanced pack, 60 A, no feed-in",
        criteria=(_over(10.0), _float(1.2), _NO_TURN),
    ),
    Scenario(name="S2", title="one cell 1 % ahead", pack=_RUNNER_1, criteria=_UNBALANCED),
    Scenario(name="S3", title="one cell 3 % ahead", pack=_RUNNER_3, criteria=_UNBALANCED),
    *(
        Scenario(
            name=f"S2{letter}",
            title=f"one cell 1 % ahead, {text}",
            pack=replace(_RUNNER_1, curve=curve),
            criteria=_UNBALANCED,
        )
        for letter, curve, text in (
            ("r", "lfp_rest", "a cell whose knee begins at 100 %"),
            ("e", "lfp_early", "a cell whose knee begins at 87 %"),
        )
    ),
    Scenario(
        name="S2n",
        title="one cell 1 % ahead, 14S NMC",
        pack=replace(_RUNNER_1, cells=14, curve="nmc", start_soc_pct=85.0),
        registers=_NMC,
        site=Site(cells=14, chemistry="nmc", absorb_v=4.10, float_v=4.05),
        criteria=_UNBALANCED,
    ),
    Scenario(name="S4", title="one cell 2 % behind", pack=_LAGGARD_2, criteria=_UNBALANCED),
    Scenario(
        name="S5",
        title="gusts: sun 100/15 A each 90 s, loads 45/5 A each 130 s",
        pack=_RUNNER_1,
        site=Site(max_charge_a=100.0),
        sun_a=Square(high=100.0, low=15.0, half_s=90.0),
        load_a=Square(high=45.0, low=5.0, half_s=130.0),
        criteria=(_over(20.0), Criterion(metric="made_reversals_h", most=6.0)),
    ),
    Scenario(
        name="S5b",
        title="island: a load of 80 A goes on and off each 10 min, sun 100 A",
        pack=_RUNNER_1,
        site=Site(max_charge_a=100.0),
        victron=VictronSpec(grid=False),
        sun_a=Steady(100.0),
        load_a=Square(high=80.0, low=5.0, half_s=600.0),
        criteria=(_over(20.0), *_NO_TRIP, Criterion(metric="ac_off_s", most=0.0)),
    ),
    Scenario(
        name="S6",
        title="feed-in up to 90 A, 117 A of sun, one cell 1 % ahead",
        pack=_RUNNER_1,
        victron=VictronSpec(feed_in=True, export_limit_a=90.0),
        sun_a=Steady(117.0),
        criteria=(_over(30.0), Criterion(metric="given_ah", most=5.0), *_NO_TRIP),
    ),
    Scenario(
        name="S6b",
        title="feed-in up to 40 A, 117 A of sun, one cell 1 % ahead",
        pack=_RUNNER_1,
        victron=VictronSpec(feed_in=True, export_limit_a=40.0),
        sun_a=Steady(117.0),
        criteria=(_over(30.0), Criterion(metric="given_ah", most=5.0), *_NO_TRIP),
    ),
    Scenario(
        name="S7",
        title="100 Ah pack at 1 C, one cell 1 % ahead",
        pack=replace(_RUNNER_1, capacity_ah=100.0),
        registers=BmsRegisters(capacity_ah=100.0),
        site=Site(capacity_ah=100.0, max_charge_a=100.0),
        sun_a=Steady(105.0),
        criteria=(_over(25.0),),
    ),
    Scenario(
        name="S8",
        title="chargers hold 0.2 V more than they show",
        pack=_RUNNER_1,
        victron=VictronSpec(charger_error_v=0.2),
        criteria=(_over(30.0), _float(8.0)),
    ),
    Scenario(
        name="S8b",
        title="chargers hold 0.2 V less than they show",
        pack=_RUNNER_1,
        victron=VictronSpec(charger_error_v=-0.2),
        criteria=(_over(30.0), _float(8.0)),
    ),
    Scenario(
        name="S8c",
        title="chargers that follow 45 s late",
        pack=_RUNNER_1,
        victron=VictronSpec(late_s=45.0),
        criteria=(_over(30.0), *_NO_TRIP),
    ),
    Scenario(
        name="S9",
        title="weak sun, 7.5 A to the battery",
        hours=12.0,
        pack=_RUNNER_1,
        sun_a=Steady(12.5),
        criteria=(Criterion(metric="full_h", most=12.0),),
    ),
    Scenario(
        name="S11",
        title="S2 with a restart of the gateway, at a minute that follows from the seed",
        pack=_RUNNER_1,
        seed_restart=True,
        criteria=(
            Criterion(metric="overshoot_mv", most=10.0, relative_to="S2"),
            Criterion(metric="full_h", most=1.0 / 6.0, relative_to="S2"),
        ),
    ),
    Scenario(
        name="S12",
        title="wrong readings: +0.5 V once, 19 V once, sum of the cells off by 3 V once",
        hours=0.25,
        pack=PackSpec(start_soc_pct=60.0),
        happenings=Happenings(
            glitches=(
                Glitch(at_s=300.0, added_v=0.5),
                Glitch(at_s=450.0, volts=19.0),
                Glitch(at_s=600.0, pack_too=False, pack_added_v=3.0),
            )
        ),
        criteria=(
            Criterion(metric="cvl_range_v", most=0.1001),
            Criterion(metric="ccl_zero_s", most=0.0),
        ),
    ),
    Scenario(
        name="S13",
        title="no data for 2, 5, 12, 25 and 40 s",
        hours=0.5,
        pack=PackSpec(start_soc_pct=60.0),
        happenings=Happenings(
            data_loss=((200, 2), (400, 5), (600, 12), (900, 25), (1300, 40)),
        ),
        criteria=(
            Criterion(metric="stale_charge_s", most=0.0),
            Criterion(metric="stale_rises", most=0.0),
            Criterion(metric="late_frames", most=0.0),
            Criterion(metric="silent_s", least=9.0, most=16.0),
        ),
    ),
    Scenario(
        name="S13b",
        title="one frame of ten never reaches the GX",
        pack=_RUNNER_1,
        victron=VictronSpec(frame_loss=0.1),
        criteria=(_over(15.0), *_NO_TRIP),
    ),
    Scenario(
        name="S14",
        title="temperature from -5 over 15 to 52 degC, give or take 0.5 degC",
        hours=3.0,
        pack=PackSpec(start_soc_pct=20.0),
        temperature_c=Line(((0.0, -5.0), (4800.0, 15.0), (10_200.0, 52.0))),
        temperature_noise_c=0.5,
        criteria=(
            Criterion(metric="ccl_toggles", most=1.0),
            Criterion(metric="ccl_reversals", most=1.0),
        ),
    ),
    Scenario(
        name="S14b",
        title="frosty morning: the pack at 3 degC, air from -8 to 12 degC, its own losses warm it",
        hours=6.0,
        pack=PackSpec(start_soc_pct=30.0),
        temperature_c=Line(((0.0, -8.0), (21_600.0, 12.0))),
        thermal=ThermalSpec(start_c=3.0),
        criteria=(Criterion(metric="ccl_toggles", most=2.0),),
    ),
    Scenario(
        name="S15",
        title="island: discharge to empty with motor starts of 0.5 C, sun from the fourth hour",
        hours=5.0,
        pack=PackSpec(start_soc_pct=10.0),
        site=Site(max_discharge_a=200.0),
        victron=VictronSpec(grid=False),
        sun_a=Steps(((0.0, 0.0), (14_400.0, 40.0))),
        load_a=Steps(
            tuple(
                point
                for start_s in range(0, 18_000, 300)
                for point in ((float(start_s), 14.0), (start_s + 290.0, 154.0))
            )
        ),
        criteria=(
            Criterion(metric="dcl_zero_open_v", most=2.93),
            Criterion(metric="dcl_zero_times", most=1.0),
            Criterion(metric="dcl_early_returns", most=0.0),
        ),
    ),
    _MONTH,
    replace(
        _MONTH,
        name="S16w",
        title="S16 with acquisition.allow_writes: SoC is set at each true full charge",
        site=Site(allow_writes=True),
        criteria=(*_MONTH.criteria, Criterion(metric="synced_soc_error_pct", most=3.0)),
    ),
    Scenario(
        name="S17",
        title="the BMS turns to fully charged in the middle of a charge",
        hours=3.0,
        pack=replace(_RUNNER_1, start_soc_pct=95.0),
        happenings=Happenings(full_at_s=1500.0),
        criteria=(Criterion(metric="cvl_end_v_per_cell", most=3.376), _over(15.0)),
    ),
    Scenario(
        name="S17b",
        title="the BMS's only switch is open for ten minutes of the absorption",
        hours=3.0,
        pack=replace(_RUNNER_1, start_soc_pct=95.0),
        happenings=Happenings(opened=((1500.0, 600.0),)),
        criteria=(_over(15.0), *_BELOW_CUT_OFFS),
    ),
    Scenario(
        name="S18",
        title="4S pack: one step of CVL is 25 mV per cell",
        pack=replace(PackSpec(offsets_pct=((2, 1.0),)), cells=4),
        registers=BmsRegisters(series_cells=4),
        site=Site(cells=4),
        criteria=(_over(30.0), Criterion(metric="cvl_reversals_h", most=1.0)),
    ),
)

SCENARIOS: Final = MappingProxyType({scenario.name: scenario for scenario in _TABLE})

MONTE_CARLO: Final = "S10"

NAMES: Final = (*SCENARIOS, MONTE_CARLO)


def scenario_for(name: str, seed: int) -> Scenario:
    """The scenario `name` as it runs with `seed`; raises ValueError with the names that exist."""
    if name == MONTE_CARLO:
        return random_scenario(seed)
    scenario = SCENARIOS.get(name)
    if scenario is None:
        raise ValueError(f"unknown scenario {name!r}; choose one of: {', '.join(NAMES)}")
    if scenario.seed_restart:
        # Minutes of the part in which something happens; 37 visits all of them in a mixed order.
        minute = 1 + seed * 37 % 80
        happenings = replace(scenario.happenings, restarts=((minute * 60.0, 5.0),))
        return replace(scenario, happenings=happenings)
    return scenario
