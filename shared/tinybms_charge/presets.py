"""Cell chemistry presets: voltages in V per cell, currents in C (1 C = the capacity in one hour).

A preset is a careful default for its chemistry, not a replacement for the cell's datasheet. Sources
are named per figure; "practice" means a value that several open charge controllers agree on.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

Curve = tuple[tuple[float, float], ...]
"""(temperature in degC, current in C), rising temperatures; held beyond both ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellVoltages:
    """Voltages of one cell; the names are those of [charge.cell]."""

    absorb_v: float
    """Charge target of the highest cell (CVL per cell while charging)."""
    top_balance_v: float
    """Target of an occasional top balancing run."""
    full_v: float
    """Charge voltage limit of the cell's datasheet: no target may lie above it."""
    rest_v: float
    """A rested cell at or above this is full."""
    float_v: float
    """CVL per cell once the battery is full."""
    low_v: float
    """CVL never goes below this: a lower one would drain the battery on purpose."""
    taper_v: float
    """From here up to absorb_v the highest cell reduces CCL."""
    rebulk_v: float
    """A rested cell at or below this asks for a new charge."""
    discharge_taper_v: float
    """From here down to discharge_stop_v the lowest cell reduces DCL."""
    discharge_stop_v: float
    """DCL becomes 0 when the lowest cell stays below this."""
    discharge_resume_v: float
    """DCL comes back when the lowest cell stays above this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Everything that follows from the chemistry alone."""

    name: str
    cell: CellVoltages
    charge_curve: Curve
    discharge_curve: Curve
    lost_probe_factor: float
    """What is left of CCL when a temperature probe that was there is lost."""


PRESETS: Final = MappingProxyType(
    {
        "lifepo4": Preset(
            name="lifepo4",
            cell=CellVoltages(
                absorb_v=3.450,  # practice; sheets allow 3.60-3.65 (Lishen 202 Ah, 26650 cells)
                top_balance_v=3.500,  # 50 mV over absorb, still under register 300
                full_v=3.65,  # charge limit: Lishen 202 Ah and 26650 data sheets
                rest_v=3.370,  # practice: charge-side rest voltage at 90 % and above
                float_v=3.375,  # practice 3.35-3.375; ageing grows with SoC (TUM study, 2018)
                low_v=3.300,  # a higher floor lets a 3 % runner overshoot by over 100 mV
                taper_v=3.400,  # practice; 50 mV wide, narrower tapers hunt
                rebulk_v=3.300,  # practice: 52.8 V at 16 cells
                discharge_taper_v=3.10,  # practice: knee of the discharge curve
                discharge_stop_v=2.90,  # practice; 2.5 V is the data sheet's end (Lishen)
                discharge_resume_v=3.15,  # over the rebound after a cut-off at 2.90 V
            ),
            # LFP data sheets (26650: 0-5 degC 0.2 C, 5-15 degC 0.5 C; Sony 0-45, Lishen 0-60 degC).
            charge_curve=(
                (0, 0),
                (1, 0.05),
                (5, 0.12),
                (10, 0.30),
                (15, 0.50),
                (45, 0.50),
                (50, 0.25),
                (55, 0),
            ),
            # LFP data sheets: -20 to 60 degC.
            discharge_curve=((-20, 0), (-10, 0.3), (0, 0.5), (5, 1), (50, 1), (55, 0.5), (60, 0)),
            lost_probe_factor=0.0,
        ),
        "nmc": Preset(
            name="nmc",
            cell=CellVoltages(
                absorb_v=4.100,  # 0.1 V under the sheet's 4.20 V, for cell life
                top_balance_v=4.150,
                full_v=4.20,  # Samsung INR21700-50E, INR18650-25R data sheets
                rest_v=4.040,  # 60 mV under absorb: NMC has no plateau
                float_v=4.050,  # 50 mV under absorb
                low_v=3.850,  # about 70 % SoC
                taper_v=4.000,
                rebulk_v=3.950,  # about 80 % SoC
                discharge_taper_v=3.40,
                discharge_stop_v=3.10,  # data sheets end at 2.5 V (Samsung)
                discharge_resume_v=3.45,
            ),
            # Li-ion data sheets: charge 0-45 degC (50E: to 50 degC).
            charge_curve=(
                (0, 0),
                (1, 0.05),
                (5, 0.10),
                (10, 0.30),
                (20, 0.50),
                (40, 0.50),
                (45, 0.25),
                (50, 0),
            ),
            # Li-ion data sheets: discharge -20 to 60 degC.
            discharge_curve=((-20, 0), (-10, 0.3), (0, 0.5), (5, 1), (50, 1), (60, 0)),
            lost_probe_factor=0.0,
        ),
        "lto": Preset(
            name="lto",
            cell=CellVoltages(
                absorb_v=2.650,  # 0.15 V under the maker's 2.8 V
                top_balance_v=2.700,
                full_v=2.80,  # operating limit: Toshiba SCiB
                rest_v=2.55,
                float_v=2.550,
                low_v=2.400,  # nominal 2.3-2.4 V
                taper_v=2.550,
                rebulk_v=2.400,
                discharge_taper_v=2.10,
                discharge_stop_v=1.90,  # maker's end 1.5 V (Toshiba)
                discharge_resume_v=2.20,
            ),
            # Maker: standard 0-45 degC, limits -40 to 50 degC.
            charge_curve=((-20, 0), (-10, 0.2), (0, 0.5), (10, 1), (45, 1), (50, 0.5), (55, 0)),
            discharge_curve=((-30, 0), (-20, 0.5), (0, 1), (50, 1), (60, 0)),
            lost_probe_factor=0.5,
        ),
    }
)


def curve_value(curve: Curve, temperature_c: float) -> float:
    """Current in C that `curve` allows at `temperature_c`, linear between its points."""
    left_c, left = curve[0]
    if temperature_c <= left_c:
        return left
    for right_c, right in curve[1:]:
        if temperature_c <= right_c:
            return left + (right - left) * (temperature_c - left_c) / (right_c - left_c)
        left_c, left = right_c, right
    return left


def next_point_c(curve: Curve, temperature_c: float, *, warmer: bool) -> float:
    """The next temperature, warmer or colder, at which `curve` has a point; its end beyond it."""
    points = [celsius for celsius, _ in curve]
    if warmer:
        return min((celsius for celsius in points if celsius > temperature_c), default=points[-1])
    return max((celsius for celsius in points if celsius < temperature_c), default=points[0])


def zero_below_c(curve: Curve) -> float:
    """At and below this temperature `curve` allows nothing."""
    return curve[0][0]


def zero_above_c(curve: Curve) -> float:
    """At and above this temperature `curve` allows nothing."""
    return curve[-1][0]


def flat_zone_c(curve: Curve) -> tuple[float, float]:
    """(lowest, highest) temperature at which `curve` allows its most."""
    most = max(current for _, current in curve)
    flat = [temperature for temperature, current in curve if current == most]
    return flat[0], flat[-1]
