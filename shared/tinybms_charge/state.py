"""What the charge control remembers from step to step, and how it survives a restart."""

from __future__ import annotations

import math
from typing import Final

import msgspec

STATE_SCHEMA: Final = 1

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
    full: bool = False
    """The BMS said fully charged and has not said anything else since."""
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

    Younger than 60 s it goes on as it is; otherwise CCL will ramp up from 0 and all else starts at
    its computed value.
    """
    if state is None or age_s is None or not 0 <= age_s < RESUME_WITHIN_S:
        return ChargeState()
    return state


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
    )
    return (
        all(0 <= value < math.inf for value in positive)
        and all(math.isfinite(probe.temperature_c) for probe in state.probes)
        and 0 <= state.cell_count <= 16
        and state.charge_current_a <= 1000
        and (state.charge_voltage_v is None or 0 < state.charge_voltage_v < 100)
    )
