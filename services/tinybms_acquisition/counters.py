"""Energy and charge in and out, kept over restarts so that a published total never falls.

Two numbers belong to each total: what was really counted (`actual`) and a `ceiling` above it that
is stored before anything above it is published. After a crash the count goes on from the actual
value that was stored; what is published does not fall under the stored ceiling, since anything up
to it may have been seen. So a total may stand still for a moment after a crash, by one block at
most, but it neither falls nor gains anything that was not counted.

Pure; `counterfile.py` does the storing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from tinybms_messages.live import Counters, Sample
from tinybms_protocol.status import OnlineStatus

TOTALS: Final = ("charged_energy_kwh", "discharged_energy_kwh", "charged_ah", "discharged_ah")
"""Fields of `Counters` that never fall."""
Totals = tuple[float, float, float, float]
ZERO: Final[Totals] = (0.0, 0.0, 0.0, 0.0)
DISK_BLOCK: Final[Totals] = (0.1, 0.1, 2.0, 2.0)
"""kWh and Ah between the count and the ceiling on the disk: some ten seconds at the very least."""
RUN_BLOCK: Final[Totals] = (0.005, 0.005, 0.1, 0.1)
"""The same in the run folder, whose writes cost nothing."""
DECIMALS: Final = 6
SCHEMA: Final = 1


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What a file keeps. `full_at_lifetime_s`: register 32 when the battery was last full."""

    schema: int = SCHEMA
    kernel_boot_id: str
    actual: Totals
    ceiling: Totals
    min_voltage_seen_v: float | None = None
    max_voltage_seen_v: float | None = None
    min_cell_voltage_seen_v: float | None = None
    max_cell_voltage_seen_v: float | None = None
    full_at_lifetime_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a process starts counting from; `known` False: the totals are lost and stay unknown."""

    stored: Stored | None
    known: bool


class CounterBook:
    """The totals of one process run. `longest_step_s`: more time between samples is a gap."""

    def __init__(self, start: Start, *, longest_step_s: float) -> None:
        self._longest_step_s = longest_step_s
        self._known = start.known
        stored = start.stored
        self._actual: list[float] = list(stored.actual if stored else ZERO)
        self._floor: Totals = stored.ceiling if stored else ZERO
        self._ceiling: list[float] = [0.0] * len(TOTALS)
        self._extremes: list[float | None] = [
            stored.min_voltage_seen_v if stored else None,
            stored.max_voltage_seen_v if stored else None,
            stored.min_cell_voltage_seen_v if stored else None,
            stored.max_cell_voltage_seen_v if stored else None,
        ]
        self._full_at_s = stored.full_at_lifetime_s if stored else None
        self._last: Sample | None = None
        self.gap_s = 0.0

    @property
    def known(self) -> bool:
        """Whether the totals are known."""
        return self._known

    def take(self, sample: Sample) -> None:
        """Count one sample."""
        last, self._last = self._last, sample
        self._note_extremes(sample)
        if sample.online_status == OnlineStatus.FULLY_CHARGED:
            self._full_at_s = sample.lifetime_s
        if last is None:
            return
        step_s = (sample.boottime_ns - last.boottime_ns) / 1e9
        if step_s <= 0:
            return
        if step_s > self._longest_step_s:
            self.gap_s += step_s
            return
        self._integrate(last, sample, step_s / 3600)

    def needs_storing(self, ceiling: Totals, block: Totals) -> bool:
        """Whether a total has used up half of the room under a file's ceiling."""
        return self._known and any(
            actual > limit - room / 2
            for actual, limit, room in zip(self._actual, ceiling, block, strict=True)
        )

    def to_store(self, kernel_boot_id: str, block: Totals) -> Stored:
        """What to store now: ceilings lie `block` above the count, and never under the floor."""
        low_v, high_v, low_cell_v, high_cell_v = self._extremes
        return Stored(
            kernel_boot_id=kernel_boot_id,
            actual=_totals(self._actual),
            ceiling=_totals(
                [
                    max(actual + room, floor)
                    for actual, room, floor in zip(self._actual, block, self._floor, strict=True)
                ]
            ),
            min_voltage_seen_v=low_v,
            max_voltage_seen_v=high_v,
            min_cell_voltage_seen_v=low_cell_v,
            max_cell_voltage_seen_v=high_cell_v,
            full_at_lifetime_s=self._full_at_s,
        )

    def published(self, ceilings: tuple[Totals, ...]) -> Counters:
        """The counters to show; no total above any of the `ceilings` that are stored."""
        totals: list[float | None] = [None] * len(TOTALS)
        if self._known:
            for index, actual in enumerate(self._actual):
                limit = min(ceiling[index] for ceiling in ceilings)
                shown = max(min(actual, limit), self._floor[index])
                totals[index] = round(shown, DECIMALS)
        low_v, high_v, low_cell_v, high_cell_v = self._extremes
        return Counters(
            charged_energy_kwh=totals[0],
            discharged_energy_kwh=totals[1],
            charged_ah=totals[2],
            discharged_ah=totals[3],
            min_voltage_seen_v=low_v,
            max_voltage_seen_v=high_v,
            min_cell_voltage_seen_v=low_cell_v,
            max_cell_voltage_seen_v=high_cell_v,
            time_since_full_s=self._since_full_s(),
            gap_s=round(self.gap_s, 3),
        )

    def _integrate(self, last: Sample, sample: Sample, step_h: float) -> None:
        kilowatts = (last.power_w / 1000, sample.power_w / 1000)
        amperes = (last.pack_current_a, sample.pack_current_a)
        for index, values in ((0, kilowatts), (2, amperes)):
            before, now = values
            self._actual[index] += (max(before, 0.0) + max(now, 0.0)) / 2 * step_h
            self._actual[index + 1] += (max(-before, 0.0) + max(-now, 0.0)) / 2 * step_h

    def _note_extremes(self, sample: Sample) -> None:
        values: tuple[tuple[float, Callable[[float, float], float]], ...] = (
            (sample.pack_voltage_v, min),
            (sample.pack_voltage_v, max),
            (sample.min_cell_voltage_v, min),
            (sample.max_cell_voltage_v, max),
        )
        for index, (value, choose) in enumerate(values):
            seen = self._extremes[index]
            self._extremes[index] = value if seen is None else choose(seen, value)

    def _since_full_s(self) -> int | None:
        """By the BMS's own clock, which counts on while we are off; another BMS tells nothing."""
        if self._full_at_s is None or self._last is None:
            return None
        since_s = self._last.lifetime_s - self._full_at_s
        return since_s if since_s >= 0 else None


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Stored)


def to_bytes(stored: Stored) -> bytes:
    """`stored` as MessagePack."""
    return _encoder.encode(stored)


def from_bytes(data: bytes) -> Stored | None:
    """What `to_bytes` made; None when it is damaged or not plausible."""
    try:
        stored = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    plausible = all(
        0 <= actual <= ceiling + 1e-9 and math.isfinite(ceiling)
        for actual, ceiling in zip(stored.actual, stored.ceiling, strict=True)
    )
    return stored if plausible and stored.schema == SCHEMA else None


def newest(disk: Stored | None, run: Stored | None, kernel_boot_id: str) -> Stored | None:
    """What to go on from: the run folder's file when it is of this run of the machine.

    It is written at least as often as the disk's, so its count and its ceiling hold.
    """
    if run is None or run.kernel_boot_id != kernel_boot_id:
        return disk
    if disk is not None and any(a > b for a, b in zip(disk.actual, run.actual, strict=True)):
        return disk
    return run


def _totals(values: list[float]) -> Totals:
    charged_kwh, discharged_kwh, charged_ah, discharged_ah = values
    return charged_kwh, discharged_kwh, charged_ah, discharged_ah
