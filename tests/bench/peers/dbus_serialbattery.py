"""venus-os_dbus-serialbattery 2.1: CVL controllers 1 (P), 2 (I), 3 (clipped sum), and float."""

from functools import partial

from peers.dbus_currents import SlowCurrent, share
from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.view import Command, Site, View

CELL_V, FLOAT_V, LEAST_V = 3.450, 3.375, 2.9
HOLD_S, RISE_V_PER_S = 60.0, 0.001
ABSORB_S, START_SPREAD_V, RESTART_SPREAD_V, LEAVE_V = 900.0, 0.010, 0.013, 0.5
REBULK_SOC_PCT, REBULK_SPREAD_V = 80.0, 0.080


class DbusSerialBattery:
    def __init__(self, site: Site, _registers: BmsRegisters, *, mode: int) -> None:
        self._site, self._mode = site, mode
        self.reset()

    def reset(self) -> None:
        self.state = "bulk"
        self._cvl_v = self._most_v = CELL_V * self._site.cells
        self._low_s = HOLD_S + 1
        self._timer_s: float | None = None
        self._charge = SlowCurrent(self._site.max_charge_a)
        self._discharge = SlowCurrent(self._site.max_discharge_a)

    def step(self, view: View, dt_s: float) -> Command:
        cells_v = view.cell_voltages_v
        self._change_state(view, max(cells_v) - min(cells_v), dt_s)
        if self.state == "bulk":
            self._regulate(cells_v, dt_s)
        else:
            least_v = FLOAT_V * self._site.cells
            self._cvl_v = max(self._cvl_v - RISE_V_PER_S * dt_s, min(least_v, self._cvl_v))
        charge_a, discharge_a = share(view)
        return (
            self._cvl_v,
            self._charge.next(charge_a, dt_s),
            self._discharge.next(discharge_a, dt_s),
        )

    def _regulate(self, cells_v: list[float], dt_s: float) -> None:
        high_v, wanted_v = max(cells_v), self._most_v
        clipped_v = sum(min(v, CELL_V) for v in cells_v)
        if self._mode == 2:
            wanted_v = self._cvl_v - 0.2 * (high_v - CELL_V - 0.010)
        elif high_v > CELL_V:
            wanted_v = clipped_v + (0.010 if self._mode == 3 else 0.0)
        wanted_v = min(max(wanted_v, LEAST_V * self._site.cells), self._most_v)
        if self._mode == 2 or wanted_v <= self._cvl_v:
            self._cvl_v, self._low_s = wanted_v, 0.0
            return
        self._low_s += dt_s
        if self._low_s > HOLD_S:
            self._cvl_v = min(self._cvl_v + RISE_V_PER_S * dt_s, wanted_v)

    def _change_state(self, view: View, spread_v: float, dt_s: float) -> None:
        sum_v = view.pack_voltage_v
        if self.state != "bulk":
            if view.soc_pct < REBULK_SOC_PCT or spread_v >= REBULK_SPREAD_V:
                self.state, self._timer_s = "bulk", None
        elif self._timer_s is None:
            if sum_v >= self._most_v and spread_v <= START_SPREAD_V:
                self._timer_s = 0.0
        elif spread_v > RESTART_SPREAD_V or sum_v < self._most_v - LEAVE_V:
            self._timer_s = None
        else:
            self._timer_s += dt_s
            self.state = "float" if self._timer_s >= ABSORB_S else "bulk"


mode_1, mode_2, mode_3 = (partial(DbusSerialBattery, mode=mode) for mode in (1, 2, 3))
