"""The pack as one lump of heat: warmed by its own losses, drawn to the air around it."""

import math
from dataclasses import dataclass
from typing import Final

from tinybms_sim.loop.pack import FAST_OHM, OHMIC_OHM, SLOW_OHM

LOSS_FACTOR: Final = (OHMIC_OHM + FAST_OHM + SLOW_OHM) / OHMIC_OHM
"""Losses of a lasting current over those of the ohmic part alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermalSpec:
    """Sixteen LFP cells of 280 Ah weigh 86 kg at about 1 kJ/(kg K); their box leaks 10 W/K."""

    start_c: float = 20.0
    heat_capacity_j_per_k: float = 86_000.0
    leak_w_per_k: float = 10.0


class ThermalNode:
    """Temperature of the pack in `celsius`."""

    def __init__(self, spec: ThermalSpec, resistance_ohm: float) -> None:
        self._leak = spec.leak_w_per_k
        self._time_constant_s = spec.heat_capacity_j_per_k / spec.leak_w_per_k
        self._ohm = resistance_ohm * LOSS_FACTOR
        self.celsius = spec.start_c

    def step(self, current_a: float, ambient_c: float, dt_s: float) -> float:
        """The temperature after `dt_s` of a current in air of `ambient_c`."""
        end_c = ambient_c + current_a * current_a * self._ohm / self._leak
        keep = math.exp(-dt_s / self._time_constant_s)
        self.celsius = end_c + (self.celsius - end_c) * keep
        return self.celsius
