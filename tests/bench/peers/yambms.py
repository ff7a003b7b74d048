"""esphome-yambms 1.7: bulk, cut-off, end of charge, float; with Auto CVL and Auto CCL or without.

`bits` False: it is not told that the BMS balances, and ends a charge by its 30 min timer alone.
"""

from functools import partial
from math import floor

from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.view import Command, Site, View

BULK_V, FLOAT_V, REBULK_V, CUT_MIN_V, CUT_MAX_V = 3.45, 3.35, 3.30, 3.37, 3.65
CUT_S, EVEN_S, EOC_S, REBULK_SOC_PCT, BALANCE_V = 10.0, 60.0, 1800.0, 85.0, 0.010
GAIN, PER_S, SHAPE, RISE_SHARE, RISE_A_PER_S = 0.05, 0.5, 1.8, 0.15, 1.0


class YamBms:
    def __init__(
        self, site: Site, registers: BmsRegisters, *, auto: bool, bits: bool = True
    ) -> None:
        self._site, self._auto, self._bits = site, auto, bits
        self._ohm = (CUT_MAX_V - CUT_MIN_V) / (0.05 * site.capacity_ah)
        self._zero_v = (registers.over_voltage_v + BULK_V) / 2
        self.reset()

    def reset(self) -> None:
        self.state = "bulk"
        self._cut_s = self._even_s = self._end_s = self._integral = 0.0
        self._charge_a = self._site.max_charge_a

    def step(self, view: View, dt_s: float) -> Command:
        high_v, cells, most_a = max(view.cell_voltages_v), self._site.cells, self._site.max_charge_a
        self._change_state(view, high_v, dt_s)
        cvl_v = (FLOAT_V if self.state == "float" else BULK_V) * cells
        if not self._auto:
            return cvl_v, most_a, self._site.max_discharge_a
        error_v = BULK_V - high_v
        if not BULK_V <= high_v <= BULK_V + BALANCE_V:
            step_v = PER_S * error_v * dt_s
            self._integral = min(max(self._integral + step_v, (FLOAT_V - BULK_V) * cells), 0.0)
        raised_v = cvl_v + min(GAIN * error_v + self._integral, 0.0)
        x = max((high_v - FLOAT_V) / (self._zero_v - FLOAT_V), 0.0)
        wanted_a = 0.0 if x >= 1.0 else (2.0 - 2.0 ** (x**SHAPE)) * most_a
        rise_a = max(RISE_SHARE * (wanted_a - self._charge_a), RISE_A_PER_S) * dt_s
        self._charge_a = min(wanted_a, self._charge_a + rise_a)
        charge_a = float(floor(self._charge_a))
        return max(raised_v, FLOAT_V * cells), charge_a, self._site.max_discharge_a

    def _change_state(self, view: View, high_v: float, dt_s: float) -> None:
        if self.state == "float":
            if high_v <= REBULK_V or view.soc_pct <= REBULK_SOC_PCT:
                self.reset()
            return
        current_a = view.pack_current_a
        if current_a < 0:
            if high_v < BULK_V - self._ohm:
                self.state, self._cut_s = "bulk", 0.0
        elif self.state == "bulk":
            near = high_v - self._ohm * current_a >= CUT_MIN_V
            self._cut_s = self._cut_s + dt_s if near else 0.0
            if self._cut_s >= CUT_S:
                self.state, self._even_s, self._end_s = "absorb", 0.0, 0.0
        if self.state == "absorb":
            self._end_s += dt_s
            busy = bool(view.balancing_cells) or not self._bits
            self._even_s = 0.0 if busy else self._even_s + dt_s
            if self._even_s >= EVEN_S or self._end_s >= EOC_S:
                self.state = "float"


default, auto_cvl_ccl = (partial(YamBms, auto=auto) for auto in (False, True))
by_timer, auto_by_timer = (partial(YamBms, auto=auto, bits=False) for auto in (False, True))
