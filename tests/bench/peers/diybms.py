"""diyBMSv4ESP32: the dynamic charge rule, each 3 s, relative to the measured voltage."""

from math import floor

from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.view import Command, Site, View

CHARGE_V, FLOAT_V = 56.5 / 16, 52.8 / 16
CELL_V, KNEE_V, SPIKE_V, SENSITIVITY = 3.450, 3.320, 3.550, 3.0
CURVE_A, CURVE_B, LEAST_SHARE = 5.0, 0.3, 0.01
PERIOD_S, ABSORB_SOC_PCT, ABSORB_S = 3.0, 99.0, 3600.0
FLOAT_S, RESUME_SOC_PCT = 6 * 3600.0, 96.0


def bend(volts: float) -> float:
    """Shape of the current over the knee."""
    x = (volts - KNEE_V) / 0.1
    return float(CURVE_A ** (x * x**CURVE_B)) if x > 0 else 1.0


class DiyBms:
    def __init__(self, site: Site, _registers: BmsRegisters) -> None:
        self._site = site
        self.reset()

    def reset(self) -> None:
        self.state = "bulk"
        self._since_s, self._wait_s = 0.0, 0.0
        self._command: Command = (CHARGE_V * self._site.cells, self._site.max_charge_a, 0.0)

    def step(self, view: View, dt_s: float) -> Command:
        self._since_s += dt_s
        self._wait_s -= dt_s
        self._change_state(view.soc_pct)
        if self._wait_s <= 0:
            self._wait_s = PERIOD_S
            cvl_v, share = self._rule(view.cell_voltages_v)
            charge_a = floor(share * self._site.max_charge_a * 10) / 10
            self._command = (floor(cvl_v * 10 + 1e-6) / 10, charge_a, self._site.max_discharge_a)
        return self._command

    def _rule(self, cells_v: list[float]) -> tuple[float, float]:
        high_v, sum_v, most_v = max(cells_v), sum(cells_v), CHARGE_V * len(cells_v)
        if self.state == "stopped" or high_v > CELL_V or sum_v > most_v:
            return sum_v, 0.0
        share = 1.0 if high_v < KNEE_V else max(1 - bend(high_v) / bend(CELL_V), LEAST_SHARE)
        if self.state == "float":
            return FLOAT_V * len(cells_v), share
        room_v = CELL_V - high_v
        reach_v = min(room_v, (SPIKE_V - KNEE_V) / SENSITIVITY)
        if reach_v <= 0:
            return min(sum(min(v, CELL_V) for v in cells_v), most_v), share
        lift_v = sum(room_v * max(v - (high_v - reach_v), 0.0) / reach_v for v in cells_v)
        return min(sum_v + lift_v, most_v), share

    def _change_state(self, soc_pct: float) -> None:
        if self.state == "bulk" and soc_pct >= ABSORB_SOC_PCT:
            self.state, self._since_s = "absorb", 0.0
        elif self.state == "absorb" and self._since_s >= ABSORB_S:
            self.state, self._since_s = "float", 0.0
        elif self.state == "float" and self._since_s >= FLOAT_S:
            self.state = "stopped"
        elif self.state != "bulk" and soc_pct < RESUME_SOC_PCT:
            self.state = "bulk"
