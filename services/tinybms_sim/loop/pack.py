"""A pack of cells in series: charge, voltage and resistance of each, and what a BMS reads of it.

A cell is an open-circuit voltage behind a resistance and two RC branches. All three resistances of
a cell deviate by one factor, so that the branches are kept once for the pack.
"""

import math
import random
from dataclasses import dataclass
from typing import Final

from tinybms_sim.loop.curves import FIRST_PCT, STEP_PCT, curve_table

OHMIC_OHM: Final = 0.40e-3
"""Cell and bar at 280 Ah; resistances scale with 280 Ah / capacity."""
FAST_OHM: Final = 0.30e-3
FAST_S: Final = 60.0
SLOW_OHM: Final = 0.50e-3
SLOW_S: Final = 1200.0
_REFERENCE_AH: Final = 280.0

_NOISE_VALUES: Final = 4099
_NOISE_STRIDE: Final = 37


@dataclass(frozen=True, slots=True, kw_only=True)
class PackSpec:
    """What a pack is made of; spreads are standard deviations, `offsets_pct` single odd cells."""

    cells: int = 16
    capacity_ah: float = 280.0
    curve: str = "lfp"
    start_soc_pct: float = 92.0
    offsets_pct: tuple[tuple[int, float], ...] = ()
    """(cell index, state of charge relative to the others in %)."""
    soc_spread_pct: float = 0.05
    capacity_spread_pct: float = 1.5
    resistance_spread: float = 0.2
    """Each cell's factor is drawn evenly from 1 - spread to 1 + spread."""
    resistance_factor: float = 1.0
    noise_mv: float = 1.5


class Pack:
    """State of the cells; `cell_v` are the true voltages at the terminals."""

    def __init__(self, spec: PackSpec, rng: random.Random) -> None:
        count = spec.cells
        start = [spec.start_soc_pct + rng.gauss(0.0, spec.soc_spread_pct) for _ in range(count)]
        for index, offset_pct in spec.offsets_pct:
            start[index] += offset_pct
        spread = spec.capacity_spread_pct / 100.0
        self._capacity_ah = [
            spec.capacity_ah * (1.0 + rng.gauss(0.0, spread)) for _ in range(count)
        ]
        low = 1.0 - spec.resistance_spread
        high = 1.0 + spec.resistance_spread
        self._factors = [rng.uniform(low, high) for _ in range(count)]
        self._factor_sum = sum(self._factors)
        scale = spec.resistance_factor * _REFERENCE_AH / spec.capacity_ah
        self._ohmic = OHMIC_OHM * scale
        self._fast_ohm = FAST_OHM * scale
        self._slow_ohm = SLOW_OHM * scale
        table = curve_table(spec.curve)
        self._volts = table.volts
        self._rise = table.rise
        self._last = float(len(table.rise) - 1)
        self._x = [(soc - FIRST_PCT) / STEP_PCT for soc in start]
        self._steps_per_as = [100.0 / (ah * 3600.0 * STEP_PCT) for ah in self._capacity_ah]
        self._noise = [rng.gauss(0.0, spec.noise_mv) + 0.5 for _ in range(_NOISE_VALUES + count)]
        self._noise_at = 0
        self._fast_v = self._slow_v = 0.0
        self._decay_dt_s = -1.0
        self._fast_keep = self._slow_keep = 0.0
        self.cells = count
        self.bled_ah = 0.0
        self.resistance_ohm = self._ohmic * self._factor_sum
        """Ohmic part of the whole pack."""
        self.source_v = 0.0
        """Pack voltage without the ohmic drop of the present current."""
        self.cell_v: list[float] = []
        self.step(0.0, 1.0)

    def step(
        self, current_a: float, dt_s: float, bleed_a: float = 0.0, bleeding: tuple[int, ...] = ()
    ) -> None:
        """Let `current_a` flow for `dt_s`, and `bleed_a` out of each cell of `bleeding`."""
        if dt_s != self._decay_dt_s:
            self._decay_dt_s = dt_s
            self._fast_keep = math.exp(-dt_s / FAST_S)
            self._slow_keep = math.exp(-dt_s / SLOW_S)
        fast = self._fast_ohm * current_a
        slow = self._slow_ohm * current_a
        self._fast_v = fast + (self._fast_v - fast) * self._fast_keep
        self._slow_v = slow + (self._slow_v - slow) * self._slow_keep
        charge_as = current_a * dt_s
        xs = [x + charge_as * gain for x, gain in zip(self._x, self._steps_per_as, strict=True)]
        for index in bleeding:
            xs[index] -= bleed_a * dt_s * self._steps_per_as[index]
            self.bled_ah += bleed_a * dt_s / 3600.0
        if min(xs) < 0.0 or max(xs) > self._last:
            xs = [min(max(x, 0.0), self._last) for x in xs]
        self._x = xs
        volts, rise = self._volts, self._rise
        open_v = [volts[j := int(x)] + rise[j] * (x - j) for x in xs]
        lag_v = self._fast_v + self._slow_v
        self.source_v = sum(open_v) + self._factor_sum * lag_v
        over_v = self._ohmic * current_a + lag_v
        self.cell_v = [v + over_v * factor for v, factor in zip(open_v, self._factors, strict=True)]

    def measured_v(self) -> list[float]:
        """What the BMS reads: noise added, in steps of 1 mV."""
        at = self._noise_at = (self._noise_at + _NOISE_STRIDE) % _NOISE_VALUES
        noise = self._noise[at : at + self.cells]
        return [int(v * 1000.0 + n) / 1000.0 for v, n in zip(self.cell_v, noise, strict=True)]

    def soc_pct(self) -> list[float]:
        """True state of charge of each cell, of its own capacity."""
        return [FIRST_PCT + STEP_PCT * x for x in self._x]

    def charge_ah(self) -> float:
        """Charge in all cells together, counted from 0 %."""
        return sum(
            soc * ah / 100.0 for soc, ah in zip(self.soc_pct(), self._capacity_ah, strict=True)
        )

    def lowest_open_v(self) -> float:
        """Open-circuit voltage of the emptiest cell."""
        lowest = min(self._x)
        return self._volts[int(lowest)] + self._rise[int(lowest)] * (lowest - int(lowest))
