"""The way from reading to frame: readings that do not come, and a controller that restarts."""

from collections.abc import Callable

from tinybms_sim.loop.scenario import Scenario
from tinybms_sim.loop.view import Command, Controller, View


class Link:
    """The gateway between BMS and GX: data may be missing, and its process may restart."""

    def __init__(self, scenario: Scenario, controller: Controller) -> None:
        happenings = scenario.happenings
        self._controller = controller
        self._loss = happenings.data_loss
        self._restarts = happenings.restarts
        self._smooth = not (self._loss or self._restarts)
        self._missing: Callable[[float], Command | None] | None = getattr(
            controller, "missing", None
        )
        self._restart: Callable[[float], None] | None = getattr(controller, "restart", None)
        self._take_soc: Callable[[], float | None] | None = getattr(
            controller, "take_soc_write", None
        )
        self._last: Command | None = None
        self._away = False
        self.age_s = 0.0
        self.soc_write_pct: float | None = None
        controller.reset()

    @property
    def state(self) -> str:
        """The controller's word for its state."""
        return self._controller.state

    def command(self, view: View, time_s: float, dt_s: float) -> Command | None:
        """Limits that go out now, or None when no frame does."""
        if self._smooth:
            command = self._controller.step(view, dt_s)
        else:
            command = self._rough(view, time_s, dt_s)
        self.soc_write_pct = self._take_soc() if self._take_soc is not None else None
        return command

    def _rough(self, view: View, time_s: float, dt_s: float) -> Command | None:
        away = within(self._restarts, time_s)
        if away is not None:
            self._away = True
            self.age_s += dt_s
            return None
        if self._away:
            self._away = False
            if self._restart is None:
                self._controller.reset()
            else:
                self._restart(self.age_s)
        if within(self._loss, time_s) is not None:
            self.age_s += dt_s
            return self._last if self._missing is None else self._missing(self.age_s)
        since_s, self.age_s = self.age_s + dt_s, 0.0
        self._last = self._controller.step(view, since_s)
        return self._last


def within(spans: tuple[tuple[float, float], ...], time_s: float) -> tuple[float, float] | None:
    """The span (start, duration) that `time_s` lies in."""
    for span in spans:
        if span[0] <= time_s < span[0] + span[1]:
            return span
    return None
