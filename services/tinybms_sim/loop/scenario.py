"""What a scenario is made of; the scenarios themselves stand in `scenarios`."""

from dataclasses import dataclass
from typing import Final

from tinybms_sim.loop.pack import PackSpec
from tinybms_sim.loop.profiles import Profile, Steady
from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.thermal import ThermalSpec
from tinybms_sim.loop.victron import VictronSpec
from tinybms_sim.loop.view import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class BmsSpec:
    """How the BMS deviates from an ideal one."""

    balance_a: float = 0.15
    """Board v2.2; v2.1 bleeds 0.3 A."""
    gain_error: float = 0.005
    offset_a: float = 0.0
    """What the current sensor shows too much."""
    soc_error_pct: float = 0.0
    """Counted minus true state of charge at the start."""
    switch_acts: bool = True
    always_balances: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Glitch:
    """`readings` wrong readings of one cell from `at_s` on; `pack_too`: the sum shows them also."""

    at_s: float
    cell: int = 5
    volts: float | None = None
    """The value read; None adds `added_v`."""
    added_v: float = 0.0
    readings: int = 1
    pack_too: bool = True
    pack_added_v: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Happenings:
    """Things that go wrong at given times, each (start in s, duration in s) where it lasts."""

    data_loss: tuple[tuple[float, float], ...] = ()
    glitches: tuple[Glitch, ...] = ()
    restarts: tuple[tuple[float, float], ...] = ()
    """The gateway's process is away: no command, frames end."""
    full_at_s: float | None = None
    """The BMS turns to fully charged (0x92) by itself."""
    opened: tuple[tuple[float, float], ...] = ()
    """The BMS's switch is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """Bounds of one figure; with `relative_to` they are added to that scenario's figure."""

    metric: str
    most: float | None = None
    least: float | None = None
    relative_to: str = ""


_PACK: Final = PackSpec()
_REGISTERS: Final = BmsRegisters()
_SITE: Final = Site()
_BMS: Final = BmsSpec()
_VICTRON: Final = VictronSpec()
_SUN: Final = Steady(65.0)
_LOAD: Final = Steady(5.0)
_WARM: Final = Steady(25.0)
_NOTHING: Final = Happenings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that a run needs beside controller, seed and step width."""

    name: str
    title: str
    hours: float = 8.0
    dt_s: float = 1.0
    pack: PackSpec = _PACK
    registers: BmsRegisters = _REGISTERS
    site: Site = _SITE
    bms: BmsSpec = _BMS
    victron: VictronSpec = _VICTRON
    sun_a: Profile = _SUN
    load_a: Profile = _LOAD
    temperature_c: Profile = _WARM
    """Of the pack, or with `thermal` of the air around it."""
    thermal: ThermalSpec | None = None
    temperature_noise_c: float = 0.0
    happenings: Happenings = _NOTHING
    seed_restart: bool = False
    """The minute of a restart follows from the seed."""
    criteria: tuple[Criterion, ...] = ()
