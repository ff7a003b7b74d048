"""A service context without a bus: folders of the test, a clock of the test, events in a list."""

from pathlib import Path
from typing import cast

from fake_clock import FakeClock
from tinybms_runtime.paths import Paths
from tinybms_runtime.runner import ServiceContext


class FakeContext:
    """What files and clocks of a service need; everything else is absent."""

    def __init__(self, folder: Path, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.events: list[tuple[str, str, str]] = []
        self.paths = Paths(
            run_dir=folder / "run",
            state_dir=folder / "state",
            log_dir=folder / "log",
            device="pack1",
        )
        for path in (self.paths.run_dir, self.paths.state_dir):
            path.mkdir(exist_ok=True)

    def event(self, code: str, text: str, severity: str = "info") -> None:
        """Remember the event."""
        self.events.append((code, text, severity))

    @property
    def codes(self) -> list[str]:
        """Codes of the events so far."""
        return [code for code, _, _ in self.events]

    def typed(self) -> ServiceContext:
        """The same object, as what services expect."""
        return cast("ServiceContext", self)
