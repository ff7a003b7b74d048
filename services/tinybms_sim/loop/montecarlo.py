"""S10: a random battery under a random sky, made by the seed alone."""

import random
from typing import Final

from tinybms_sim.loop.pack import PackSpec
from tinybms_sim.loop.profiles import gusts
from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.scenario import BmsSpec, Criterion, Scenario
from tinybms_sim.loop.victron import VictronSpec
from tinybms_sim.loop.view import Site

HOURS: Final = 3.0
ODD_CELLS_PCT: Final = (-2.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0)
LOW_SHARE: Final = 0.15
"""What the sun and the loads fall to, as a share of their highest value."""
_SALT: Final = 7_919


def random_scenario(seed: int) -> Scenario:
    """The scenario of `seed`: 4, 8 or 16 cells, 20-300 Ah, 0.15-1 C, with feed-in or without."""
    rng = random.Random(seed * 1_000_003 + _SALT)
    cells = rng.choice((4, 8, 16))
    capacity_ah = round(rng.uniform(20.0, 300.0), 1)
    rate = rng.uniform(0.15, 1.0)
    charge_a = round(rate * capacity_ah, 1)
    feed_in = rng.random() < 0.5
    odd_cell = rng.randrange(cells)
    odd_pct = rng.choice(ODD_CELLS_PCT)
    load_peak_a = charge_a * rng.uniform(0.2, 0.6)
    # So that the battery gets its rate, and no more where CCL is not looked at.
    sun_peak_a = charge_a + LOW_SHARE * load_peak_a
    return Scenario(
        name="S10",
        title=(
            f"{cells} cells of {capacity_ah:g} Ah at {rate:.2f} C, "
            f"{'with' if feed_in else 'no'} feed-in, cell {odd_cell + 1} {odd_pct:+g} %"
        ),
        hours=HOURS,
        pack=PackSpec(
            cells=cells,
            capacity_ah=capacity_ah,
            start_soc_pct=rng.uniform(85.0, 96.0),
            offsets_pct=((odd_cell, odd_pct),),
            capacity_spread_pct=rng.uniform(0.0, 2.0),
            resistance_factor=rng.uniform(0.7, 2.0),
            noise_mv=2.0,
        ),
        registers=BmsRegisters(series_cells=cells, capacity_ah=capacity_ah),
        site=Site(
            cells=cells,
            capacity_ah=capacity_ah,
            max_charge_a=charge_a,
            max_discharge_a=capacity_ah,
        ),
        bms=BmsSpec(balance_a=rng.choice((0.15, 0.3)), gain_error=rng.uniform(-0.005, 0.005)),
        victron=VictronSpec(
            feed_in=feed_in,
            export_limit_a=sun_peak_a * rng.uniform(0.2, 1.0),
            charger_error_v=rng.uniform(-0.05, 0.05) * cells / 16,
        ),
        sun_a=gusts(rng, HOURS * 3600.0, LOW_SHARE * sun_peak_a, sun_peak_a, rng.uniform(45, 180)),
        load_a=gusts(
            rng, HOURS * 3600.0, LOW_SHARE * load_peak_a, load_peak_a, rng.uniform(65, 260)
        ),
        criteria=(
            Criterion(metric="overshoot_mv", most=60.0),
            Criterion(metric="crossings_300", most=0.0),
        ),
    )
