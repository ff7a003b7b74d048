"""thieryfr/TinyBMS: states by state of charge, a cell protection with kp 120 V/V, each 20 s.

Its factor of ten in frame 0x351 is left out.
"""

from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.view import Command, Site, View

PERIOD_S, BULK_V, LEAST_V, CELL_MAX_V = 20.0, 58.4 / 16, 3.20, 3.65
ON_V, OFF_V, GAIN, NOMINAL_A, RISE_V = 3.50, 3.47, 120.0, 157.0, 0.4
FLOAT_SOC, APPROACH_SOC, LEAVE_SOC = 98.0, 95.0, 95.0
APPROACH_V, FLOAT_DOWN_V, FLOAT_A = 0.050, 0.100, 5.0
HOLD_MV, RELEASE_MV, DROP_V_PER_MV, DROP_MOST_V = 100.0, 50.0, 0.0005, 2.0
LOW_SOC, LOW_LEAVE_SOC = 5.0, 8.0


class ThieryFr:
    def __init__(self, site: Site, _registers: BmsRegisters) -> None:
        self._site = site
        self.reset()

    def reset(self) -> None:
        self.state = "bulk"
        self._held = self._protects = self._low = False
        self._wait_s, self._cvl_v = 0.0, 0.0
        self._command: Command = (BULK_V * self._site.cells, self._site.max_charge_a, 0.0)

    def step(self, view: View, dt_s: float) -> Command:
        if self._wait_s <= 0:
            self._wait_s += PERIOD_S
            self._command = self._decide(view)
        self._wait_s -= dt_s
        return self._command

    def _decide(self, view: View) -> Command:
        site, cells_v, cells = self._site, view.cell_voltages_v, self._site.cells
        spread_mv = (max(cells_v) - min(cells_v)) * 1000
        self._held = spread_mv > HOLD_MV or (self._held and spread_mv > RELEASE_MV)
        self._low = view.soc_pct <= LOW_SOC or (self._low and view.soc_pct < LOW_LEAVE_SOC)
        bulk_v, most_a = BULK_V * cells, site.max_charge_a
        state_v, charge_a, discharge_a = bulk_v, most_a, site.max_discharge_a
        if self._low:
            self.state, state_v = "sustain", LEAST_V * cells
            charge_a, discharge_a = min(most_a, FLOAT_A), min(discharge_a, FLOAT_A)
        elif self._held:
            drop_v = min(DROP_MOST_V, DROP_V_PER_MV * (spread_mv - HOLD_MV))
            self.state, state_v = "hold", max(bulk_v - drop_v, LEAST_V * cells)
            charge_a = min(most_a, FLOAT_A)
        elif view.soc_pct >= FLOAT_SOC or (self.state == "float" and view.soc_pct >= LEAVE_SOC):
            self.state, state_v, charge_a = "float", bulk_v - FLOAT_DOWN_V, min(most_a, FLOAT_A)
        else:
            near = view.soc_pct >= APPROACH_SOC
            self.state, state_v = "bulk", bulk_v - (APPROACH_V if near else 0.0)
        cvl_v = self._protected(state_v, max(cells_v), max(view.pack_current_a, 0.0))
        scale = cvl_v / state_v
        return cvl_v, charge_a * scale, discharge_a * scale

    def _protected(self, state_v: float, high_v: float, charge_a: float) -> float:
        was, cells = self._protects, self._site.cells
        self._protects = high_v >= ON_V or (was and high_v > OFF_V)
        cvl_v = state_v
        if self._protects:
            fall_v = GAIN * (1 + charge_a / NOMINAL_A) * (high_v - ON_V)
            cvl_v = min(state_v, max(LEAST_V * cells, CELL_MAX_V * cells - fall_v))
        if (was or self._protects) and self._cvl_v:
            cvl_v = min(cvl_v, self._cvl_v + RISE_V)
        self._cvl_v = cvl_v
        return cvl_v
