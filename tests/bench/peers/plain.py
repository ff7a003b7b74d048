"""The two rules that a battery without charge control lives by."""

from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.view import Command, Site, View

LATCH_V = 3.55
RELEASE_V = 3.40


class Fixed:
    """CVL is the target times the cells, for ever."""

    state = "bulk"

    def __init__(self, site: Site, _registers: BmsRegisters) -> None:
        self._command = (site.absorb_v * site.cells, site.max_charge_a, site.max_discharge_a)

    def reset(self) -> None:
        pass

    def step(self, _view: View, _dt_s: float) -> Command:
        return self._command


class CellLatch:
    """CVL 3.55 V per cell; CCL is 0 from the moment a cell is there until it is back at 3.40 V."""

    state = "bulk"

    def __init__(self, site: Site, _registers: BmsRegisters) -> None:
        self._site = site
        self._full = False

    def reset(self) -> None:
        self._full = False

    def step(self, view: View, _dt_s: float) -> Command:
        highest_v = max(view.cell_voltages_v)
        self._full = highest_v >= LATCH_V or (self._full and highest_v > RELEASE_V)
        site = self._site
        charge_a = 0.0 if self._full else site.max_charge_a
        return LATCH_V * site.cells, charge_a, site.max_discharge_a
