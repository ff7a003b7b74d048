"""A clock that stands still until a test moves it."""

from __future__ import annotations


class FakeClock:
    """Boot time and wall time under the test's control; both move together with `advance`."""

    def __init__(
        self,
        *,
        boottime_s: float = 1000.0,
        wall_ns: int = 1_795_600_000_000_000_000,
        kernel_boot_id: str = "boot-of-the-test",
    ) -> None:
        self.kernel_boot_id = kernel_boot_id
        self.trusted = True
        self._boottime_ns = round(boottime_s * 1e9)
        self._wall_ns = wall_ns

    def boottime_ns(self) -> int:
        """See tinybms_runtime.clock.Clock."""
        return self._boottime_ns

    def wall_ns(self) -> int:
        """See tinybms_runtime.clock.Clock."""
        return self._wall_ns

    def time_ok(self) -> bool:
        """See tinybms_runtime.clock.Clock."""
        return self.trusted

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._boottime_ns += round(seconds * 1e9)
        self._wall_ns += round(seconds * 1e9)

    def set_wall(self, wall_ns: int) -> None:
        """Set the wall clock as an operator or NTP would; boot time does not notice."""
        self._wall_ns = wall_ns
