"""One-sample glitch filter: a jump must come twice before it is shown as a measurement.

A jump is never thrown away: the reading behind it goes to the charge control as the alternative, so
that each limit is the lower of both, at once. A true alarm is therefore late by one sample at most,
and its limits by none. Source of the thresholds: what no cell and no probe does in 0.1 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from tinybms_messages.live import Sample

CELL_JUMP_V: Final = 0.3
PACK_JUMP_PER_CELL_V: Final = 0.3
PACK_MISMATCH: Final = 0.01
"""Share of the pack voltage (and at least 0.3 V) by which the sum of the cells may differ."""
LEAST_MISMATCH_V: Final = 0.3
TEMPERATURE_JUMP_C: Final = 10.0
TEMPERATURE_DOUBT_S: Final = 30.0
"""A probe that jumped is shown from its second reading on, but binds the limits this long."""
SOC_JUMP_PCT: Final = 2.0
TELL_AGAIN_S: Final = 60.0
GAP_S: Final = 3.0
"""The first sample after a longer gap is no jump."""

_PROBES: Final = (
    "external_temperature_1_c",
    "external_temperature_2_c",
    "internal_temperature_c",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered:
    """`sample` is what to show; `alternative` the other possible reading, None when all is clear.

    `notes`: sentences about jumps that were held back or have now been confirmed.
    """

    sample: Sample
    alternative: Sample | None = None
    notes: tuple[str, ...] = ()


class GlitchFilter:
    """Compares each sample with the one shown before it."""

    def __init__(self) -> None:
        self._shown: Sample | None = None
        self._held: frozenset[str] = frozenset()
        self._doubts: dict[str, tuple[float, int]] = {}
        """Trusted value and CLOCK_BOOTTIME of the jump, by probe."""
        self._told_ns: dict[tuple[str, str], int] = {}

    def forget(self) -> None:
        """Another battery, or other cells: nothing to compare with."""
        self._shown = None
        self._held = frozenset()
        self._doubts.clear()

    def take(self, sample: Sample) -> Filtered:
        """Judge one sample."""
        shown = self._shown
        if shown is None or _apart(shown, sample):
            self.forget()
            self._shown = sample
            return Filtered(sample=sample)
        jumps = _jumps(shown, sample)
        fresh = frozenset(jumps) - self._held
        confirmed = frozenset(jumps) & self._held
        notes = [
            *self._told(fresh, jumps, "held back for one sample", sample.boottime_ns),
            *self._told(confirmed, jumps, "confirmed", sample.boottime_ns),
        ]
        self._held = fresh
        result = _with_old(sample, shown, fresh)
        self._note_doubts(jumps, shown, sample)
        alternative = self._alternative(sample, result)
        self._shown = result
        return Filtered(sample=result, alternative=alternative, notes=tuple(notes))

    def _told(
        self, keys: frozenset[str], jumps: dict[str, str], outcome: str, now_ns: int
    ) -> list[str]:
        """Sentences about the jumps of `keys`; a value that jumps all the time is told seldom."""
        told = []
        for key in sorted(keys):
            before_ns = self._told_ns.get((key, outcome))
            if before_ns is None or now_ns - before_ns >= TELL_AGAIN_S * 1e9:
                self._told_ns[(key, outcome)] = now_ns
                told.append(f"{jumps[key]}: {outcome}")
        return told

    def _note_doubts(self, jumps: dict[str, str], shown: Sample, sample: Sample) -> None:
        """Start and end the doubts about temperatures."""
        for key in _PROBES:
            before, now = getattr(shown, key), getattr(sample, key)
            if key in jumps and key not in self._doubts:
                self._doubts[key] = (before, sample.boottime_ns)
            elif key in self._doubts:
                trusted_c, since_ns = self._doubts[key]
                back = now is None or abs(now - trusted_c) <= TEMPERATURE_JUMP_C
                if back or sample.boottime_ns - since_ns > TEMPERATURE_DOUBT_S * 1e9:
                    del self._doubts[key]

    def _alternative(self, raw: Sample, result: Sample) -> Sample | None:
        """The other reading: the raw one while something is held back, else the trusted probes."""
        if self._held:
            return raw
        if not self._doubts:
            return None
        old = {key: trusted_c for key, (trusted_c, _) in self._doubts.items()}
        return _with_battery_temperature(replace(result, **old))


def _apart(shown: Sample, sample: Sample) -> bool:
    gap_ns = sample.boottime_ns - shown.boottime_ns
    return not 0 <= gap_ns <= GAP_S * 1e9 or sample.cell_count != shown.cell_count


def _jumps(shown: Sample, sample: Sample) -> dict[str, str]:
    """What jumped, by field of the sample, in words."""
    found: dict[str, str] = {}
    moved = [
        (number, old, new)
        for number, (old, new) in enumerate(
            zip(shown.cell_voltages_v, sample.cell_voltages_v, strict=True), start=1
        )
        if abs(new - old) > CELL_JUMP_V
    ]
    if moved:
        number, old, new = moved[0]
        found["cell_voltages_v"] = f"cell {number} jumped from {old:.3f} to {new:.3f} V"
    old_v, new_v = shown.pack_voltage_v, sample.pack_voltage_v
    if _pack_jumped(shown, sample):
        found["pack_voltage_v"] = f"the pack jumped from {old_v:.2f} to {new_v:.2f} V"
    if abs(sample.soc_pct - shown.soc_pct) > SOC_JUMP_PCT:
        found["soc_pct"] = f"SoC jumped from {shown.soc_pct:.1f} to {sample.soc_pct:.1f} %"
    for key in _PROBES:
        old_c, new_c = getattr(shown, key), getattr(sample, key)
        if old_c is not None and new_c is not None and abs(new_c - old_c) > TEMPERATURE_JUMP_C:
            found[key] = f"{key[:-2].replace('_', ' ')} jumped from {old_c:.1f} to {new_c:.1f} °C"
    return found


def _pack_jumped(shown: Sample, sample: Sample) -> bool:
    """A pack voltage that moved without its cells, or further than any load moves it."""
    moved_v = abs(sample.pack_voltage_v - shown.pack_voltage_v)
    if moved_v > PACK_JUMP_PER_CELL_V * sample.cell_count:
        return True
    allowed_v = max(LEAST_MISMATCH_V, PACK_MISMATCH * abs(sample.pack_voltage_v))
    cells_moved_v = abs(sum(sample.cell_voltages_v) - sum(shown.cell_voltages_v))
    return moved_v > allowed_v and abs(moved_v - cells_moved_v) > allowed_v


def _with_old(sample: Sample, shown: Sample, keys: frozenset[str]) -> Sample:
    if not keys:
        return sample
    changes = {key: getattr(shown, key) for key in keys}
    if "cell_voltages_v" in keys:
        # Only the cells that jumped: the others go on.
        changes["cell_voltages_v"] = tuple(
            old if abs(new - old) > CELL_JUMP_V else new
            for old, new in zip(shown.cell_voltages_v, sample.cell_voltages_v, strict=True)
        )
    return _with_battery_temperature(replace(sample, **changes))


def _with_battery_temperature(sample: Sample) -> Sample:
    """`sample` with the battery temperature that follows from its probes."""
    for value in (
        sample.external_temperature_1_c,
        sample.external_temperature_2_c,
        sample.internal_temperature_c,
    ):
        if value is not None:
            return replace(sample, battery_temperature_c=value)
    return replace(sample, battery_temperature_c=None)
