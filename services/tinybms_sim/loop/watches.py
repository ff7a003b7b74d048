"""Figures of special moments: data too old, discharge limits, what the BMS believes to hold."""

from typing import Final

from tinybms_sim.loop.metrics import FULL_STATES, Metrics
from tinybms_sim.loop.pack import Pack
from tinybms_sim.loop.view import Command, Site

STALE_S: Final = 10.0
LOST_S: Final = 30.0
FROZEN_S: Final = 3.0
RETURN_V: Final = 3.15
"""A cell that was empty is back above this (LFP)."""
RETURN_SHARE: Final = 0.0098
"""Net charge that also ends an empty battery: 1 %, less what two ways of counting may differ."""
SETTLED_S: Final = 60.0


class StaleWatch:
    """What is sent while the data are old."""

    def __init__(self) -> None:
        self._before: Command | None = None
        self._charge_s = self._silent_s = 0.0
        self._rises = self._late = 0

    def step(self, dt_s: float, age_s: float, command: Command | None) -> None:
        """One step with data that are `age_s` old."""
        if command is None:
            self._silent_s += dt_s
            return
        if age_s >= STALE_S and command[1] > 0.0:
            self._charge_s += dt_s
        if age_s > LOST_S:
            self._late += 1
        before = self._before
        if age_s >= FROZEN_S and before is not None:
            self._rises += any(new > old for new, old in zip(command, before, strict=True))
        self._before = command

    def figures(self) -> Metrics:
        """Figures of the whole run."""
        return {
            "stale_charge_s": self._charge_s,
            "stale_rises": float(self._rises),
            "late_frames": float(self._late),
            "silent_s": self._silent_s,
        }


class DischargeWatch:
    """When DCL becomes 0, and whether it comes back too early."""

    def __init__(self, site: Site) -> None:
        self._enough_as = RETURN_SHARE * site.capacity_ah * 3600.0
        self._zero = False
        self._times = self._early = 0
        self._charged_as = 0.0

    def step(self, dt_s: float, low_v: float, current_a: float, command: Command) -> None:
        """One step; `low_v` is the lowest cell as read."""
        zero = command[2] <= 0.0
        if zero:
            self._charged_as = self._charged_as + current_a * dt_s if self._zero else 0.0
        if zero != self._zero:
            self._times += zero
            self._early += not zero and low_v < RETURN_V and self._charged_as < self._enough_as
        self._zero = zero

    def figures(self) -> Metrics:
        """Figures of the whole run."""
        return {"dcl_zero_times": float(self._times), "dcl_early_returns": float(self._early)}


class SyncWatch:
    """State of charge as counted by the BMS against the true one, a minute after each full."""

    def __init__(self) -> None:
        self._spreads_pct: list[float] = []
        self._state = ""
        self._due_s: float | None = None
        self._worst_pct: float | None = None

    def step(self, time_s: float, state: str, pack: Pack, counted_pct: float) -> None:
        """One step."""
        if state != self._state:
            if state in FULL_STATES and self._state not in FULL_STATES:
                self._due_s = time_s + SETTLED_S
            self._state = state
        if self._due_s is not None and time_s >= self._due_s:
            self._due_s = None
            soc = pack.soc_pct()
            self._spreads_pct.append(max(soc) - min(soc))
            error_pct = abs(counted_pct - sum(soc) / len(soc))
            self._worst_pct = max(self._worst_pct or 0.0, error_pct)

    def figures(self) -> Metrics:
        """Figures of the whole run; the spread is compared where it means the same, at full.

        Elsewhere cells of unequal capacity differ by more the further the pack is from there.
        """
        spreads_pct = self._spreads_pct
        return {
            "synced_soc_error_pct": self._worst_pct,
            "soc_spread_change_pct": spreads_pct[-1] - spreads_pct[0] if spreads_pct else None,
        }
