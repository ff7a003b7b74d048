"""What the charge control remembers from step to step, and how it survives a restart."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final

import msgspec

STATE_SCHEMA: Final = 2

RESUME_WITHIN_S: Final = 60.0
"""A state younger than this goes on from the last values sent."""


class AlarmMemory(msgspec.Struct, frozen=True, array_like=True):
    """An alarm rule: whether it is on, and how long its condition has held (-1: not)."""

    on: bool = False
    held_s: float = -1.0


class Probe(msgspec.Struct, frozen=True, array_like=True):
    """A temperature probe that has answered: number, last value in degC, time without answer."""

    number: int
    temperature_c: float
    missing_s: float = 0.0


class Filters(msgspec.Struct, frozen=True, array_like=True):
    """Smoothed readings: voltages of the highest cell and of the pack, in V, slopes in V/s."""

    ready: bool = False
    recent_v: tuple[float, ...] = ()
    """The two readings of the highest cell before this one."""
    high_v: float = 0.0
    knee_v: float = 0.0
    """Highest cell without the drop that the present current makes."""
    knee_rise: float = 0.0
    clip_v: float = 0.0
    """Sum of the cells, each up to the target, without that drop."""
    clip_rise: float = 0.0
    pack_v: float = 0.0
    current_a: float = 0.0
    slow_current_a: float = 0.0


class Trim(msgspec.Struct, frozen=True, array_like=True):
    """What CVL lies under the target because of the highest cell, in V for the whole pack."""

    trim_v: float = 0.0
    integral_v: float = 0.0
    offset_v: float = 0.0
    """What the chargers have been seen to hold above CVL."""
    calm_s: float = 3600.0
    """Time since the highest cell last asked for more trim."""


class ChargeMode(StrEnum):
    """Where a charge stands; the words are those of `system_state`."""

    INIT = "init"
    BULK = "bulk"
    ABSORB = "absorb"
    BALANCE = "balance"
    FLOAT_DESCENT = "float_descent"
    FLOAT = "float"
    TOP_BALANCE = "top_balance"


class Cycle(msgspec.Struct, frozen=True, array_like=True):
    """Mode of the charge with its timers (s) and the charge (Ah) that was taken out since full."""

    mode: ChargeMode = ChargeMode.INIT
    mode_s: float = 0.0
    tail_s: float = 0.0
    """Time at the target with a small current."""
    near_s: float = 0.0
    """Time near the target."""
    rest_s: float = 0.0
    """Time at rest voltage without current."""
    low_s: float = 0.0
    """Time at the voltage of a new charge."""
    balancing: float = 0.0
    """Share of the last quarter of an hour in which cells were really balanced."""
    out_ah: float = 0.0
    since_full_s: float = 0.0
    descent_v: float = 0.0
    descent_s: float = 0.0
    soc_pct: float = -1.0
    """SoC last read; -1: none."""
    true_full: bool = False
    """Whether the last full charge was one at the target with a small current."""


class ChargeState(msgspec.Struct, frozen=True, kw_only=True):
    """Latches, timers (s) and the limits last sent; a fresh one knows nothing."""

    cell_count: int = 0
    pack_voltage_v: float | None = None
    charge_voltage_v: float | None = None
    """CVL last sent."""
    charge_voltage_wait_s: float = 0.0
    """Time since CVL last rose or fell."""
    charge_current_a: float = 0.0
    """CCL before rounding."""
    charge_hold_s: float = 30.0
    """Time since CCL last fell; a fresh state starts its ramp at once."""
    filters: Filters = Filters()
    trim: Trim = Trim()
    cycle: Cycle = Cycle()
    high_cell: bool = False
    charge_cold: bool = False
    charge_hot: bool = False
    discharge_cold: bool = False
    discharge_hot: bool = False
    low_cell: bool = False
    low_cell_s: float = -1.0
    """Time that the lowest cell has been under its stop voltage; -1: it is not."""
    low_cell_recovered_s: float = -1.0
    """Time that it has been over its resume voltage; -1: it is not."""
    low_cell_charged_ah: float = 0.0
    """Net charge since DCL was latched at 0."""
    probes: tuple[Probe, ...] = ()
    alarms: dict[str, AlarmMemory] = {}


class SavedState(msgspec.Struct, frozen=True, kw_only=True):
    """A state with the moment it was kept, by the clock that does not jump (CLOCK_BOOTTIME)."""

    schema: int
    kernel_boot_id: str
    boottime_ns: int
    state: ChargeState

    def age_s(self, kernel_boot_id: str, boottime_ns: int) -> float | None:
        """Seconds since it was kept; None when it is from another boot of the machine."""
        if kernel_boot_id != self.kernel_boot_id or boottime_ns < self.boottime_ns:
            return None
        return (boottime_ns - self.boottime_ns) / 1e9


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(SavedState)


def to_bytes(state: ChargeState, *, kernel_boot_id: str, boottime_ns: int) -> bytes:
    """`state` as MessagePack, stamped with the moment of saving."""
    saved = SavedState(
        schema=STATE_SCHEMA, kernel_boot_id=kernel_boot_id, boottime_ns=boottime_ns, state=state
    )
    return _encoder.encode(saved)


def from_bytes(data: bytes | None) -> SavedState | None:
    """What `to_bytes` made; None when missing, damaged, of another version or not plausible."""
    if data is None:
        return None
    try:
        saved = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return saved if saved.schema == STATE_SCHEMA and _plausible(saved.state) else None


def resume(state: ChargeState | None, age_s: float | None) -> ChargeState:
    """The state to start with, when the one found was kept `age_s` ago (None: not known).

    Younger than 60 s it goes on as it is. An older one keeps what is true of the battery (where the
    charge stood, the trim, the CVL it rises from); CCL ramps up from 0 and all else starts afresh.
    """
    if state is None:
        return ChargeState()
    if age_s is not None and 0 <= age_s < RESUME_WITHIN_S:
        return state
    return ChargeState(
        cell_count=state.cell_count,
        pack_voltage_v=state.pack_voltage_v,
        charge_voltage_v=state.charge_voltage_v,
        trim=state.trim,
        cycle=state.cycle,
    )


def _plausible(state: ChargeState) -> bool:
    positive = (
        state.charge_voltage_wait_s,
        state.charge_current_a,
        state.charge_hold_s,
        state.low_cell_s + 1,
        state.low_cell_recovered_s + 1,
        state.low_cell_charged_ah,
        *(voltage for voltage in (state.pack_voltage_v, state.charge_voltage_v) if voltage),
        *(probe.missing_s for probe in state.probes),
        *(memory.held_s + 1 for memory in state.alarms.values()),
        *_numbers(state.trim),
        *_numbers(state.cycle),
        *(abs(value) for value in _numbers(state.filters)),
        *state.filters.recent_v,
    )
    return (
        all(0 <= value < math.inf for value in positive)
        and all(math.isfinite(probe.temperature_c) for probe in state.probes)
        and 0 <= state.cell_count <= 16
        and state.trim.trim_v < 100
        and state.charge_current_a <= 1000
        and (state.charge_voltage_v is None or 0 < state.charge_voltage_v < 100)
    )


def _numbers(part: Filters | Trim | Cycle) -> list[float]:
    """Its plain numbers, each such that a sound one is not negative."""
    values = msgspec.structs.asdict(part)
    values["soc_pct"] = values.get("soc_pct", 0.0) + 1
    return [value for value in values.values() if type(value) is float]
