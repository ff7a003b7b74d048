"""What configuration and chemistry preset say about charging, checked as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Final

from tinybms_charge.presets import PRESETS, CellVoltages, Curve
from tinybms_config.model import Config
from tinybms_config.problems import ConfigError, Problem

SMALLEST_TAPER_V: Final = 0.05
"""A narrower reduction of a current makes chargers hunt."""

SMALLEST_FLOAT_ROOM_V: Final = 0.025
"""One CVL step (0.1 V) at four cells."""

CELL_KEYS: Final = tuple(field.name for field in fields(CellVoltages))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeParameters:
    """Resolved parameters: voltages per cell in V, curves in C over degC, ages in s."""

    chemistry: str
    cell: CellVoltages
    charge_curve: Curve
    discharge_curve: Curve
    lost_probe_factor: float
    max_charge_current_a: float
    max_discharge_current_a: float
    frozen_after_s: float
    stale_after_s: float
    alarm_after_s: float
    lost_after_s: float
    stale_discharge_zero: bool
    """Whether DCL becomes 0 at alarm_after_s in any case (can.stale_dcl = "zero")."""


def charge_parameters(config: Config, *, file: str = "gateway.toml") -> ChargeParameters:
    """The parameters that `config` asks for; raises ConfigError with every problem found."""
    charge = config.charge
    preset = PRESETS[charge.chemistry]
    unknown = [key for key in charge.cell if key not in CELL_KEYS]
    problems = [
        Problem(
            key=f"charge.cell.{key}",
            value=repr(charge.cell[key]),
            allowed="no such voltage; known here: " + ", ".join(CELL_KEYS),
        )
        for key in unknown
    ]
    known = {key: value for key, value in charge.cell.items() if key in CELL_KEYS}
    cell = replace(preset.cell, **known)
    problems.extend(_contradictions(cell, preset.cell.full_v))
    if problems:
        raise ConfigError(file, problems)
    return ChargeParameters(
        chemistry=charge.chemistry,
        cell=cell,
        charge_curve=preset.charge_curve,
        discharge_curve=preset.discharge_curve,
        lost_probe_factor=preset.lost_probe_factor,
        max_charge_current_a=charge.max_charge_current_a,
        max_discharge_current_a=charge.max_discharge_current_a,
        frozen_after_s=config.ageing.frozen_after_s,
        stale_after_s=config.ageing.stale_after_s,
        alarm_after_s=config.ageing.alarm_after_s,
        lost_after_s=config.ageing.lost_after_s,
        stale_discharge_zero=config.can.stale_dcl == "zero",
    )


_ORDER: Final = (
    ("discharge_stop_v", "discharge_taper_v", 0.02 + SMALLEST_TAPER_V),
    ("discharge_stop_v", "discharge_resume_v", SMALLEST_TAPER_V),
    ("discharge_taper_v", "low_v", 0.0),
    ("discharge_resume_v", "low_v", 0.0),
    ("low_v", "float_v", SMALLEST_FLOAT_ROOM_V),
    ("rest_v", "absorb_v", 0.0),
    ("rebulk_v", "float_v", 0.0),
    ("float_v", "absorb_v", 0.0),
    ("taper_v", "absorb_v", SMALLEST_TAPER_V),
    ("absorb_v", "top_balance_v", 0.0),
    ("top_balance_v", "full_v", 0.0),
)
"""(lower, higher, least distance): pairs that must keep their order."""


def _contradictions(cell: CellVoltages, highest_v: float) -> Iterator[Problem]:
    for lower, higher, room_v in _ORDER:
        low_v, high_v = getattr(cell, lower), getattr(cell, higher)
        short = high_v - low_v < room_v - 1e-9 if room_v else high_v <= low_v
        if short:
            by = f" by at least {room_v * 1000:.0f} mV" if room_v else ""
            yield Problem(
                key=f"charge.cell.{lower}",
                value=f"{low_v:.3f}",
                allowed=f"a voltage below {higher} ({high_v:.3f}){by}",
            )
    if cell.full_v > highest_v + 1e-9:
        yield Problem(
            key="charge.cell.full_v",
            value=f"{cell.full_v:.3f}",
            allowed=f"at most {highest_v:.3f}, the limit of this chemistry",
        )
