"""Open-circuit voltage of a cell over its state of charge, as tables for quick look-up."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

STEP_PCT: Final = 0.1
FIRST_PCT: Final = -20.0
LAST_PCT: Final = 150.0

Points = tuple[tuple[float, float], ...]

LFP_CHARGE: Final[Points] = (
    (0, 2.70), (1, 2.90), (2, 2.98), (5, 3.08), (10, 3.19), (15, 3.225), (20, 3.245),
    (30, 3.280), (40, 3.292), (50, 3.296), (60, 3.305), (65, 3.322), (70, 3.330), (80, 3.333),
    (90, 3.335), (95, 3.337), (97, 3.345), (98, 3.360), (98.5, 3.375), (99, 3.400),
    (99.3, 3.430), (99.6, 3.480), (99.8, 3.530), (100, 3.600), (100.3, 3.72), (100.6, 3.90),
)  # fmt: skip
"""Charge side of a lithium iron phosphate cell, drawn together from several public tables."""

LFP_REST: Final[Points] = (
    (0, 2.80), (5, 3.00), (10, 3.13), (20, 3.21), (30, 3.25), (40, 3.27), (50, 3.285),
    (60, 3.30), (70, 3.315), (80, 3.33), (90, 3.34), (99, 3.40), (100, 3.45), (100.6, 3.90),
)  # fmt: skip
"""A rest table of a cell maker: flatter at the top, its knee begins only at 100 %."""

LFP_EARLY: Final[Points] = (
    (0, 2.80), (5, 3.00), (10, 3.13), (20, 3.21), (30, 3.25), (40, 3.27), (50, 3.285),
    (60, 3.30), (70, 3.315), (80, 3.335), (87, 3.35), (90, 3.37), (94, 3.40), (97, 3.45),
    (99, 3.50), (100, 3.65), (100.6, 3.95),
)  # fmt: skip
"""A charge-end table whose knee begins at 87 %: the slowest rise of the three."""

NMC: Final[Points] = (
    (0, 3.18), (5, 3.427), (10, 3.459), (20, 3.548), (30, 3.600), (40, 3.627), (50, 3.662),
    (60, 3.749), (70, 3.830), (80, 3.929), (90, 4.040), (100, 4.172),
)  # fmt: skip

CURVES: Final = {"lfp": LFP_CHARGE, "lfp_rest": LFP_REST, "lfp_early": LFP_EARLY, "nmc": NMC}


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveTable:
    """Voltage at each STEP_PCT from FIRST_PCT on, and the rise to the next; straight beyond."""

    volts: list[float]
    rise: list[float]


@lru_cache(maxsize=8)
def curve_table(name: str) -> CurveTable:
    """The table of one of CURVES; raises KeyError for another name."""
    points = CURVES[name]
    steps = round((LAST_PCT - FIRST_PCT) / STEP_PCT)
    volts = [_voltage(points, FIRST_PCT + STEP_PCT * i) for i in range(steps + 1)]
    return CurveTable(volts=volts, rise=[b - a for a, b in pairwise(volts)])


def open_circuit_v(name: str, soc_pct: float) -> float:
    """Voltage of a rested cell at `soc_pct`; used where speed does not matter."""
    return _voltage(CURVES[name], soc_pct)


def _voltage(points: Points, soc_pct: float) -> float:
    right = next((i for i, (soc, _) in enumerate(points) if soc > soc_pct), len(points) - 1)
    right = max(right, 1)
    (soc_a, volt_a), (soc_b, volt_b) = points[right - 1], points[right]
    return volt_a + (volt_b - volt_a) * (soc_pct - soc_a) / (soc_b - soc_a)
