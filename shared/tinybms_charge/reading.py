"""A measurement, checked: what can't be true is marked as such and never makes a limit higher."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, TypeGuard

from tinybms_charge.measurement import Measurement
from tinybms_charge.state import Probe

LOWEST_CELL_V: Final = 0.5
HIGHEST_CELL_V: Final = 5.0
HIGHEST_PACK_V: Final = 100.0
HIGHEST_CURRENT_A: Final = 1000.0
LOWEST_TEMPERATURE_C: Final = -60.0
HIGHEST_TEMPERATURE_C: Final = 150.0
SUM_TOLERANCE_V: Final = 0.3
SUM_TOLERANCE: Final = 0.01
MOST_CELLS: Final = 16

BOARD: Final = 0
"""Probe number of the sensor on the BMS board."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The measurement as the caps see it; voltages in V, current + = charge.

    `bad`: why cells, pack voltage or temperature can't be used, empty when they can. `highest_v`
    and `lowest_v` are corrected outwards when the cells' sum contradicts the pack voltage.
    """

    cells: int
    voltages_v: tuple[float, ...]
    """Those of the cells that can be true."""
    highest_v: float
    highest_cell: int
    lowest_v: float
    lowest_cell: int
    pack_voltage_v: float
    current_a: float | None
    soc_pct: float | None
    probes: tuple[Probe, ...]
    status: str
    bad: str

    @property
    def spread_v(self) -> float:
        """Highest minus lowest cell."""
        return self.highest_v - self.lowest_v


def read(
    measurement: Measurement, known_probes: tuple[Probe, ...], cells_before: int, dt_s: float
) -> Reading:
    """`measurement`, checked; a probe that does not answer keeps its last value and ages."""
    probes = _probes(measurement.temperatures_c, known_probes, dt_s)
    voltages: list[float] = [v for v in measurement.cell_voltages_v if _is_cell(v)]
    pack_v = measurement.pack_voltage_v
    bad = ""
    if len(voltages) != len(measurement.cell_voltages_v) or not voltages:
        bad = "a cell voltage is missing or impossible"
    elif len(voltages) > MOST_CELLS:
        bad = f"{len(voltages)} cells"
    elif pack_v is None or not 0 < pack_v <= HIGHEST_PACK_V:
        bad = "the pack voltage is missing or impossible"
    elif not probes:
        bad = "no temperature is known"
    elif any(
        not _is_temperature(celsius) and number not in {probe.number for probe in probes}
        for number, celsius in measurement.temperatures_c
    ):
        bad = "a temperature is impossible"
    highest_v = max(voltages, default=0.0)
    lowest_v = min(voltages, default=0.0)
    highest_cell = voltages.index(highest_v) + 1 if voltages else 0
    lowest_cell = voltages.index(lowest_v) + 1 if voltages else 0
    if not bad and pack_v is not None:
        total_v = math.fsum(voltages)
        if abs(total_v - pack_v) > max(SUM_TOLERANCE_V, SUM_TOLERANCE * pack_v):
            factor = pack_v / total_v
            highest_v *= max(1.0, factor)
            lowest_v *= min(1.0, factor)
    return Reading(
        cells=min(len(measurement.cell_voltages_v), MOST_CELLS) or cells_before or 4,
        voltages_v=tuple(voltages),
        highest_v=highest_v,
        highest_cell=highest_cell,
        lowest_v=lowest_v,
        lowest_cell=lowest_cell,
        pack_voltage_v=pack_v if pack_v is not None and not bad else 0.0,
        current_a=_within(measurement.pack_current_a, -HIGHEST_CURRENT_A, HIGHEST_CURRENT_A),
        soc_pct=_within(measurement.soc_pct, 0.0, 110.0),
        probes=probes,
        status=measurement.status,
        bad=bad,
    )


def probe_name(number: int) -> str:
    """Name of a temperature sensor for people."""
    return f"probe {number}" if number else "BMS board"


def _is_cell(value: float | None) -> TypeGuard[float]:
    # A NaN compares false.
    return value is not None and LOWEST_CELL_V < value < HIGHEST_CELL_V


def _is_temperature(celsius: float) -> bool:
    return LOWEST_TEMPERATURE_C <= celsius <= HIGHEST_TEMPERATURE_C


def _within(value: float | None, low: float, high: float) -> float | None:
    return value if value is not None and low <= value <= high else None


def _probes(
    temperatures_c: tuple[tuple[int, float], ...], known: tuple[Probe, ...], dt_s: float
) -> tuple[Probe, ...]:
    now = {
        number: Probe(number, celsius)
        for number, celsius in temperatures_c
        if _is_temperature(celsius)
    }
    for probe in known:
        if probe.number not in now:
            missing_s = min(probe.missing_s + dt_s, 1e6)
            now[probe.number] = Probe(probe.number, probe.temperature_c, missing_s)
    if len(now) > 1:
        # The board counts only where no probe was ever fitted: it is warmer than the cells.
        now.pop(BOARD, None)
    return tuple(now[number] for number in sorted(now))
