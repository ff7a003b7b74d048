"""What stands between the limits and the battery: GX, solar chargers and inverter of Victron.

Limits take effect late and only in part: a frame is one second old, the GX applies limits each 3 s,
the ESS path may add 3 s, a charger's own meter is off by some tenths of a volt, and with feed-in
the solar chargers aim up to 25 mV per cell above CVL and do not look at CCL at all. The bus is
quasi-static: at each step the voltage that the chargers hold gives the current.
"""

import math
import random
from collections import deque
from dataclasses import dataclass
from typing import Final

from tinybms_sim.loop.view import Command

CAN_AGE_S: Final = 1.0
GX_TICK_S: Final = 3.0
ESS_PATH_S: Final = 3.0
OFFSET_V_PER_CELL: Final = 0.025
WIRING_OHM: Final = 0.002
INVERTER_RESTART_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VictronSpec:
    """One installation; currents are on the battery side."""

    grid: bool = True
    """Without it the inverter carries the loads from the battery, and DCL 0 ends them."""
    feed_in: bool = False
    """Excess sun is fed into the grid: CCL does not bind the solar chargers."""
    export_limit_a: float = 90.0
    ignores_ccl: bool = False
    ess_path: bool = True
    charger_error_v: float = 0.0
    """Voltage at the battery when the charger believes to hold its set point, minus that point."""
    late_s: float = 0.0
    """Further delay of a slow charger."""
    frame_loss: float = 0.0
    """Share of frames that never arrive."""
    rise_a_per_s: float = 15.0
    fall_a_per_s: float = 40.0
    filter_s: float = 5.0
    """Time constant of the load that a GX adds to CCL."""
    lost_after_s: float = 3.0
    """Silence after which charging ends and the loads leave the battery."""


class Victron:
    """The installation; `step` gives the battery current of one step."""

    def __init__(self, spec: VictronSpec, cells: int, rng: random.Random) -> None:
        self.spec = spec
        self._rng = rng
        self._offset_v = OFFSET_V_PER_CELL * cells
        self._can: deque[tuple[float, Command]] = deque()
        self._path: deque[tuple[float, Command]] = deque()
        self._path_s = spec.late_s + (ESS_PATH_S if spec.ess_path else 0.0)
        self._newest: Command | None = None
        self._gx: Command | None = None
        self._applied: Command | None = None
        self._frame_s = -math.inf
        self._tick_s = 0.0
        self._load_filtered_a = 0.0
        self._charge_cap_a = 0.0
        self._charger_a = 0.0
        self._off_until_s = -math.inf
        self.ac_off = False
        """No AC output: the loads stand still."""

    def step(
        self,
        time_s: float,
        dt_s: float,
        command: Command | None,
        source_v: float,
        resistance_ohm: float,
        sun_a: float,
        load_a: float,
    ) -> float:
        """Battery current in A that chargers and loads would make, before the BMS's switches."""
        self._receive(time_s, command)
        applied = self._applied
        lost = time_s - self._frame_s > self.spec.lost_after_s
        if applied is None or lost:
            return self._without_limits(time_s, load_a)
        cvl_v, _, dcl_a = applied
        load_a = self._served(time_s, dcl_a, load_a)
        self._load_filtered_a += (load_a - self._load_filtered_a) * min(
            dt_s / self.spec.filter_s, 1.0
        )
        set_v = cvl_v + self.spec.charger_error_v
        ohm = resistance_ohm + WIRING_OHM
        hold_a = (set_v - source_v) / ohm
        if self.spec.feed_in and self.spec.grid:
            pushed_a = (set_v + self._offset_v - source_v) / ohm
            return self._with_feed_in(hold_a, pushed_a, sun_a, load_a, dt_s)
        return self._alone(hold_a, sun_a, load_a, dcl_a, dt_s)

    def cut(self) -> None:
        """The BMS's switch opened: the chargers lose the battery and start anew."""
        self._charger_a = 0.0

    def _receive(self, time_s: float, command: Command | None) -> None:
        spec = self.spec
        if command is not None and not (spec.frame_loss and self._rng.random() < spec.frame_loss):
            self._frame_s = time_s
            if command != self._newest:
                self._newest = command
                self._can.append((time_s + CAN_AGE_S, command))
        if time_s >= self._tick_s:
            self._tick_s += GX_TICK_S
            self._apply(time_s)
        while self._path and self._path[0][0] <= time_s + 1e-9:
            self._applied = self._path.popleft()[1]

    def _apply(self, time_s: float) -> None:
        """One 3 s tick of the GX."""
        before = self._gx
        while self._can and self._can[0][0] <= time_s + 1e-9:
            self._gx = self._can.popleft()[1]
        gx = self._gx
        if gx is not None and gx != before:
            self._path.append((time_s + self._path_s, gx))
        if self._applied is not None:
            self._charge_cap_a = math.ceil(self._applied[1] + self._load_filtered_a - 1e-9)

    def _served(self, time_s: float, dcl_a: float, load_a: float) -> float:
        """Loads that the inverter carries; in island mode DCL 0 switches it off for some time."""
        if not self.spec.grid and dcl_a <= 0.0:
            self._off_until_s = time_s + INVERTER_RESTART_S
        self.ac_off = time_s < self._off_until_s
        return 0.0 if self.ac_off else load_a

    def _alone(
        self, hold_a: float, sun_a: float, load_a: float, dcl_a: float, dt_s: float
    ) -> float:
        """Chargers hold the voltage as far as sun and CCL allow; the battery gives the rest."""
        most_a = sun_a if self.spec.ignores_ccl else min(sun_a, self._charge_cap_a)
        wanted_a = min(max(hold_a + load_a, 0.0), max(most_a, 0.0))
        charger_a = self._slewed(self._charger_a, wanted_a, dt_s)
        self._charger_a = charger_a = min(charger_a, sun_a)
        current_a = charger_a - load_a
        if self.spec.grid and current_a < -dcl_a:
            return -dcl_a
        return current_a

    def _with_feed_in(
        self, hold_a: float, pushed_a: float, sun_a: float, load_a: float, dt_s: float
    ) -> float:
        """The inverter exports until the battery is at CVL; what it can't carry pushes higher.

        Below CVL the battery takes all sun. Above CVL and offset the chargers give nothing either.
        """
        most_a = sun_a - load_a
        least_a = most_a - self.spec.export_limit_a
        wanted_a = min(max(hold_a, least_a), most_a)
        if least_a > hold_a:
            drained_a = -load_a - self.spec.export_limit_a
            wanted_a = max(min(least_a, pushed_a), hold_a, drained_a)
        before_a = self._charger_a
        self._charger_a = self._slewed(before_a, wanted_a, dt_s)
        self._charger_a = min(self._charger_a, max(most_a, wanted_a))
        return self._charger_a

    def _slewed(self, before_a: float, wanted_a: float, dt_s: float) -> float:
        rise_a = self.spec.rise_a_per_s * dt_s
        fall_a = self.spec.fall_a_per_s * dt_s
        return min(max(wanted_a, before_a - fall_a), before_a + rise_a)

    def _without_limits(self, time_s: float, load_a: float) -> float:
        """No BMS: chargers stop; on the grid the loads leave the battery, on an island they end."""
        self._charger_a = 0.0
        if self._applied is None:
            # Before the first limits the loads stand still, and nobody took them their supply.
            return 0.0
        if not self.spec.grid:
            self._off_until_s = time_s + INVERTER_RESTART_S
        self.ac_off = not self.spec.grid and load_a > 0.0
        return 0.0
