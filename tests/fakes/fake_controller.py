"""Controllers of the closed loop that do one simple thing."""

from __future__ import annotations

from collections.abc import Callable

from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.view import Command, Site, View

Rule = Callable[[View], Command | None]


class FakeController:
    """Gives what `rule` makes of each view, and keeps what it was shown."""

    def __init__(self, rule: Rule, state: str = "bulk") -> None:
        self.rule = rule
        self.state = state
        self.resets = 0
        self.steps: list[float] = []
        self.times_s: list[float] = []
        self.statuses: list[int] = []
        self.highest_v: list[float] = []

    def __call__(self, _site: Site, _registers: BmsRegisters) -> FakeController:
        return self

    def reset(self) -> None:
        self.resets += 1

    def step(self, view: View, dt_s: float) -> Command | None:
        self.steps.append(dt_s)
        self.times_s.append(view.time_s)
        self.statuses.append(view.status_raw)
        self.highest_v.append(max(view.cell_voltages_v))
        return self.rule(view)


def steady(cvl_v: float, ccl_a: float = 60.0, dcl_a: float = 100.0) -> FakeController:
    return FakeController(lambda _view: (cvl_v, ccl_a, dcl_a))
