"""The battery behind the simulated BMS: a pure function of time and seed.

Currents are positive for charge. The living pack is a 16S LiFePO4 of 280 Ah whose current swings
as a sine of some minutes; its cells follow the voltage curve of the closed loop's cells. Two runs
with one seed give the same values.
"""

import math
import random
from dataclasses import dataclass, replace

from tinybms_sim import image as reg
from tinybms_sim.image import Image
from tinybms_sim.loop.curves import open_circuit_v

IDLE_BELOW_A = 0.8
"""Current that a high-power board shows as exactly 0 (user manual Rev D)."""
REFRESH_S = 0.1
_CURRENT_PEAK_A = 40.0
_PERIOD_S = 300.0
_RESISTANCE_OHM = 0.0005
_CURVE = "lfp"
_START_SOC_PCT = 62.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """What the BMS measures at one moment; cell 0 is the most negative."""

    cell_voltages_v: tuple[float, ...]
    current_a: float
    soc_pct: float
    board_temp_c: float
    external_1_c: float | None
    external_2_c: float | None

    @property
    def pack_voltage_v(self) -> float:
        """Sum of the cells."""
        return sum(self.cell_voltages_v)

    @property
    def temperatures_c(self) -> tuple[float, ...]:
        """Battery temperatures: the external probes, or the board when none is fitted."""
        probes = tuple(t for t in (self.external_1_c, self.external_2_c) if t is not None)
        return probes or (self.board_temp_c,)


class LivingBattery:
    """A pack whose values move slowly; `at` depends on seed and time alone."""

    def __init__(self, *, seed: int, capacity_ah: float = 280.0, cells: int = 16) -> None:
        self._seed = seed
        self._capacity_ah = capacity_ah
        rng = random.Random(seed)
        self._phase = rng.uniform(0.0, math.tau)
        self._offsets_v = tuple(rng.uniform(-0.004, 0.004) for _ in range(cells))

    def at(self, elapsed_s: float) -> Pack:
        """The pack elapsed_s after its start, in steps of the BMS's 100 ms refresh."""
        tick = int(elapsed_s / REFRESH_S + 1e-6)
        time_s = tick * REFRESH_S
        omega = math.tau / _PERIOD_S
        swing = math.sin(omega * time_s + self._phase)
        charge_as = (
            _CURRENT_PEAK_A
            / omega
            * (math.cos(self._phase) - math.cos(omega * time_s + self._phase))
        )
        noise = random.Random(self._seed * 1_000_003 + tick)
        soc_pct = _START_SOC_PCT + charge_as / 36.0 / self._capacity_ah
        middle_v = open_circuit_v(_CURVE, soc_pct) + _CURRENT_PEAK_A * swing * _RESISTANCE_OHM
        return Pack(
            cell_voltages_v=tuple(
                round(middle_v + offset + noise.gauss(0.0, 0.0007), 3) for offset in self._offsets_v
            ),
            current_a=_shown_current(_CURRENT_PEAK_A * swing + noise.gauss(0.0, 0.02)),
            soc_pct=soc_pct,
            board_temp_c=round(27.5 + 2.0 * math.sin(omega * time_s / 3), 1),
            external_1_c=round(24.1 + 0.4 * math.sin(omega * time_s / 5), 1),
            external_2_c=round(24.6 + 0.4 * math.cos(omega * time_s / 5), 1),
        )


def _shown_current(current_a: float) -> float:
    return round(current_a, 3) if abs(current_a) >= IDLE_BELOW_A else 0.0


def pack_of(image: Image) -> Pack:
    """The pack that a register image describes."""
    count = min(max(image[reg.DETECTED_CELLS] or image[reg.SERIES_CELLS], 1), reg.CELL_CHANNELS)
    top = image.block(reg.CELL_CHANNELS - count, count)
    return Pack(
        cell_voltages_v=tuple(word / 10_000 for word in top),
        current_a=image.float32(reg.PACK_CURRENT),
        soc_pct=image.u32(reg.SOC) / 1e6,
        board_temp_c=reg.signed(image[reg.BOARD_TEMP]) / 10,
        external_1_c=_probe(image[reg.EXTERNAL_TEMP_1]),
        external_2_c=_probe(image[reg.EXTERNAL_TEMP_2]),
    )


def _probe(word: int) -> float | None:
    return None if word == reg.ABSENT_PROBE else reg.signed(word) / 10


def disturbed(pack: Pack, condition: str, since_s: float, image: Image) -> Pack:
    """The pack under a battery scenario that has lasted since_s; unknown names change nothing."""
    cells = list(pack.cell_voltages_v)
    if condition == "over_voltage":
        cells[cells.index(max(cells))] = image[reg.OVER_VOLTAGE] / 1000 + 0.05
    elif condition == "under_voltage":
        cells[cells.index(min(cells))] = image[reg.UNDER_VOLTAGE] / 1000 - 0.1
    elif condition == "runaway_cell":
        cells[0] = min(cells[0] + 0.001 * since_s, image[reg.OVER_VOLTAGE] / 1000 + 0.1)
    elif condition == "empty":
        cells = [
            image[reg.UNDER_VOLTAGE] / 1000 - 0.02 - 0.001 * (i % 3) for i in range(len(cells))
        ]
        pack = replace(pack, soc_pct=0.0, current_a=0.0)
    elif condition == "low_temperature":
        low_c = reg.signed(image[reg.LOW_TEMP_CHARGE]) - 6.0
        pack = replace(pack, external_1_c=low_c, external_2_c=low_c + 0.5)
    return replace(pack, cell_voltages_v=tuple(cells))
