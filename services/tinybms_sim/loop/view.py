"""What a charge controller sees and gives: the interface between the plant and any controller."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tinybms_sim.loop.registers import BmsRegisters

Command = tuple[float, float, float]
"""(CVL in V, CCL in A, DCL in A) as sent in frame 0x351."""


@dataclass(slots=True, kw_only=True)
class View:
    """What the gateway reads of the BMS; one object, changed in place at every step."""

    cell_voltages_v: list[float]
    """Registers 0-15, in steps of 1 mV."""
    pack_voltage_v: float = 0.0
    pack_current_a: float = 0.0
    """Exactly 0 while the BMS counts the current as none."""
    soc_pct: float = 0.0
    """What the BMS has counted."""
    status_raw: int = 0
    """Register 50."""
    balancing_cells: tuple[int, ...] = ()
    """Register 52: cells that are bled now."""
    temperatures_c: tuple[tuple[int, float], ...] = ((1, 25.0),)
    event_ids: frozenset[int] = frozenset()
    time_s: float = 0.0
    """Time since the start; no controller needs it, a calendar rule may use it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What an owner would configure, the same for every controller."""

    cells: int = 16
    capacity_ah: float = 280.0
    chemistry: str = "lifepo4"
    max_charge_a: float = 60.0
    max_discharge_a: float = 100.0
    absorb_v: float = 3.450
    """Target of the highest cell, from which overshoot is counted."""
    float_v: float = 3.375
    allow_writes: bool = False
    """acquisition.allow_writes: the state of charge may be set at a true full charge."""


class Controller(Protocol):
    """Anything that makes limits from what the BMS shows.

    A controller may also have `missing(age_s) -> Command | None` (no new data; without it the last
    command is repeated), `restart(gap_s)` (its process was away for `gap_s`; without it `reset` is
    called) and `take_soc_write() -> float | None` (a state of charge in % to write to register
    328).
    """

    @property
    def state(self) -> str:
        """Word for its present state; `float` counts as the end of a charge."""

    def reset(self) -> None:
        """Forget everything."""

    def step(self, view: View, dt_s: float) -> Command | None:
        """Limits for `view`, read `dt_s` after the one before; None sends no frame."""


ControllerFactory = Callable[[Site, BmsRegisters], Controller]
