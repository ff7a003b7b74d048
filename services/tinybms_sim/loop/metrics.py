"""What is measured in a run, and the figures that come out of it.

`overshoot_mv` looks at the true voltage of the highest cell, not at what the BMS reads.
"""

from itertools import pairwise
from typing import Final

from tinybms_sim.loop.pack import Pack
from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.view import Command, Site

Metrics = dict[str, float | None]
"""Name of a figure to its value; None where it did not come about (float never reached)."""

LARGE_STEP_V: Final = 0.15
SMALL_STEP_V_PER_CELL: Final = 0.010
CURRENT_STEP_A: Final = 5.0
CCL_STEP_SHARE: Final = 0.2
REST_MARGIN_V: Final = 0.01
REST_S: Final = 60.0
"""A float counts as rest (`rest_h`) once CVL has been at the float voltage for this time."""
FULL_STATES: Final = frozenset({"float_descent", "float"})


class Reversals:
    """Counts the turns of a signal whose swing is larger than a threshold."""

    __slots__ = ("_direction", "_high", "_low", "_threshold", "count")

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._direction = 0
        self._high = -1e9
        self._low = 1e9
        self.count = 0

    def add(self, value: float) -> None:
        """Take in the next value."""
        self._high = max(self._high, value)
        self._low = min(self._low, value)
        if self._direction >= 0 and value < self._high - self._threshold:
            self.count += self._direction
            self._direction = -1
            self._low = value
        elif self._direction <= 0 and value > self._low + self._threshold:
            self.count -= self._direction
            self._direction = 1
            self._high = value


class Crossings:
    """Counts how often a value rises over a level."""

    __slots__ = ("_level", "_over", "count")

    def __init__(self, level: float) -> None:
        self._level = level
        self._over = False
        self.count = 0

    def add(self, value: float) -> None:
        """Take in the next value."""
        over = value >= self._level
        if over and not self._over:
            self.count += 1
        self._over = over


class Meter:
    """Takes in every step of a run."""

    def __init__(self, site: Site, registers: BmsRegisters) -> None:
        self._site = site
        self._highest_v = 0.0
        self._full_crossings = Crossings(registers.fully_charged_v)
        self._fault_crossings = Crossings(registers.over_voltage_v)
        self._small_turns = Reversals(SMALL_STEP_V_PER_CELL * site.cells)
        self._large_turns = Reversals(LARGE_STEP_V)
        self._current_turns = Reversals(CURRENT_STEP_A)
        self._ideal_turns = Reversals(CURRENT_STEP_A)
        self._ccl_turns = Reversals(max(CCL_STEP_SHARE * site.max_charge_a, 0.1))
        self._command: Command | None = None
        self._time_s = 0.0
        self._full_s: float | None = None
        self._float_s: float | None = None
        self._float_soc_pct: float | None = None
        self._float_low_soc_pct: float | None = None
        self._resting_s = 0.0
        self._rest_s: float | None = None
        self._rest_soc_pct: float | None = None
        self._rest_below_v = (site.float_v + REST_MARGIN_V) * site.cells
        self._state = ""
        self._full_days: list[float] = []
        self._given_as = self._unused_as = 0.0
        self._over_cvl_v = 0.0
        self._frames_changed = self._ccl_toggles = 0
        self._ccl_zero_s = self._dcl_zero_s = self._ac_off_s = self._open_s = 0.0
        self._dcl_zero_open_v: float | None = None
        self._cvl_end_v = 0.0
        self._cvl_least_v = self._cvl_most_v = 0.0

    def step(
        self,
        dt_s: float,
        pack: Pack,
        current_a: float,
        surplus_a: float,
        command: Command | None,
        state: str,
    ) -> None:
        """One step: `surplus_a` is the sun that the loads leave, negative when it falls short."""
        self._time_s += dt_s
        cells_v = pack.cell_v
        high_v = max(cells_v)
        self._highest_v = max(self._highest_v, high_v)
        self._full_crossings.add(high_v)
        self._fault_crossings.add(high_v)
        self._current_turns.add(current_a)
        self._ideal_turns.add(min(surplus_a, self._site.max_charge_a))
        if state != self._state:
            self._enter(state, pack)
        if current_a < 0.0:
            given_a = -current_a - max(-surplus_a, 0.0)
            if given_a > 0.0:
                self._given_as += given_a * dt_s
        elif self._full_s is None:
            unused_a = min(surplus_a, self._site.max_charge_a) - current_a
            if unused_a > 0.0:
                self._unused_as += unused_a * dt_s
        if command is not None:
            self._limits(dt_s, pack, command, sum(cells_v))

    def outage(self, dt_s: float, *, ac_off: bool, switch_open: bool) -> None:
        """Time in which the loads had no supply, or the battery no connection."""
        if ac_off:
            self._ac_off_s += dt_s
        if switch_open:
            self._open_s += dt_s

    def _enter(self, state: str, pack: Pack) -> None:
        if state in FULL_STATES and self._state not in FULL_STATES:
            self._full_days.append(self._time_s / 86_400.0)
            if self._full_s is None:
                self._full_s = self._time_s
        if state == "float" and self._float_s is None:
            self._float_s = self._time_s
            soc = pack.soc_pct()
            self._float_soc_pct = sum(soc) / len(soc)
            self._float_low_soc_pct = min(soc)
        self._state = state

    def _limits(self, dt_s: float, pack: Pack, command: Command, pack_v: float) -> None:
        cvl_v, ccl_a, dcl_a = command
        if pack_v - cvl_v > self._over_cvl_v and self._command is not None:
            self._over_cvl_v = pack_v - cvl_v
        if ccl_a <= 0.0:
            self._ccl_zero_s += dt_s
        if dcl_a <= 0.0:
            self._dcl_zero_s += dt_s
        if self._rest_s is None:
            self._watch_rest(dt_s, cvl_v, pack)
        self._small_turns.add(cvl_v)
        self._large_turns.add(cvl_v)
        before = self._command
        if command == before:
            return
        self._ccl_turns.add(ccl_a)
        self._cvl_end_v = cvl_v
        self._cvl_most_v = max(self._cvl_most_v, cvl_v)
        self._cvl_least_v = min(self._cvl_least_v or cvl_v, cvl_v)
        if before is not None:
            self._frames_changed += 1
            self._ccl_toggles += (ccl_a > 0.0) != (before[1] > 0.0)
            if dcl_a <= 0.0 < before[2]:
                self._dcl_zero_open_v = max(self._dcl_zero_open_v or 0.0, pack.lowest_open_v())
        self._command = command

    def _watch_rest(self, dt_s: float, cvl_v: float, pack: Pack) -> None:
        resting = self._state == "float" and cvl_v <= self._rest_below_v
        self._resting_s = self._resting_s + dt_s if resting else 0.0
        if self._resting_s >= REST_S:
            soc = pack.soc_pct()
            self._rest_s = self._time_s
            self._rest_soc_pct = sum(soc) / len(soc)

    def figures(self, pack: Pack) -> Metrics:
        """Everything that was measured."""
        soc = pack.soc_pct()
        hours = max(self._time_s, 1.0) / 3600.0
        marks = [0.0, *self._full_days, self._time_s / 86_400.0]
        made_turns = max(self._current_turns.count - self._ideal_turns.count, 0)
        return {
            "hours": hours,
            "overshoot_mv": (self._highest_v - self._site.absorb_v) * 1000.0,
            "highest_v": self._highest_v,
            "crossings_300": float(self._full_crossings.count),
            "crossings_315": float(self._fault_crossings.count),
            "cvl_reversals_h": self._large_turns.count / hours,
            "cvl_small_reversals_h": self._small_turns.count / hours,
            "made_reversals_h": made_turns / hours,
            "ccl_reversals": float(self._ccl_turns.count),
            "full_h": None if self._full_s is None else self._full_s / 3600.0,
            "float_h": None if self._float_s is None else self._float_s / 3600.0,
            "float_soc_pct": self._float_soc_pct,
            "float_lowest_soc_pct": self._float_low_soc_pct,
            "rest_h": None if self._rest_s is None else self._rest_s / 3600.0,
            "rest_soc_pct": self._rest_soc_pct,
            "end_soc_pct": sum(soc) / len(soc),
            "end_lowest_soc_pct": min(soc),
            "soc_spread_pct": max(soc) - min(soc),
            "given_ah": self._given_as / 3600.0,
            "unused_ah": self._unused_as / 3600.0,
            "bled_ah": pack.bled_ah,
            "pack_over_cvl_v": self._over_cvl_v,
            "frames_changed_h": self._frames_changed / hours,
            "cvl_end_v_per_cell": self._cvl_end_v / self._site.cells,
            "cvl_range_v": self._cvl_most_v - self._cvl_least_v,
            "ccl_zero_s": self._ccl_zero_s,
            "ccl_toggles": float(self._ccl_toggles),
            "dcl_zero_s": self._dcl_zero_s,
            "dcl_zero_open_v": self._dcl_zero_open_v,
            "ac_off_s": self._ac_off_s,
            "switch_open_s": self._open_s,
            "days_without_full": max(b - a for a, b in pairwise(marks)),
            "times_full": float(len(self._full_days)),
        }
