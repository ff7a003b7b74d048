"""The gateway in the closed loop with somebody who looks at every step."""

from __future__ import annotations

from collections.abc import Callable

from tinybms_sim.loop.gateway import GatewayController, gateway
from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.view import Command, ControllerFactory, Site, View

Look = Callable[[View, Command, GatewayController], None]


class Watched:
    """Hands on everything to the gateway; `forgets`: a restart finds no saved memory."""

    def __init__(self, inner: GatewayController, look: Look, *, forgets: bool) -> None:
        self._inner = inner
        self._look = look
        self._forgets = forgets

    @property
    def state(self) -> str:
        return self._inner.state

    def reset(self) -> None:
        self._inner.reset()

    def restart(self, gap_s: float) -> None:
        if self._forgets:
            self._inner.reset()
        else:
            self._inner.restart(gap_s)

    def step(self, view: View, dt_s: float) -> Command | None:
        command = self._inner.step(view, dt_s)
        if command is not None:
            self._look(view, command, self._inner)
        return command


def watched(look: Look, *, forgets: bool = False) -> ControllerFactory:
    """A factory for the closed loop."""

    def make(site: Site, registers: BmsRegisters) -> Watched:
        return Watched(gateway(site, registers), look, forgets=forgets)

    return make
