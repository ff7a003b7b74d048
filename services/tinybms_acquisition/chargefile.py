"""The state of the charge control in the run folder, so that a restart changes no limit."""

from __future__ import annotations

from typing import Final

from tinybms_charge.state import ChargeState, from_bytes, resume, to_bytes
from tinybms_runtime.runner import ServiceContext
from tinybms_runtime.statefile import read_bytes, write_atomic

PERIOD_S: Final = 1.0


class ChargeFile:
    """Loads the state when it is young enough, and keeps it each second."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._path = context.paths.run_file("charge-state")
        self._kept_ns: int | None = None
        self._failing = False
        self.state = ChargeState()
        self.state_at_ns: int | None = None
        """CLOCK_BOOTTIME of the sample behind the loaded state, None for a fresh one."""
        self._load()

    def keep_now_and_then(self, state: ChargeState, at_ns: int | None) -> None:
        """Keep the state if the last one kept is a second old."""
        if at_ns is None or (self._kept_ns is not None and at_ns - self._kept_ns < PERIOD_S * 1e9):
            return
        self.keep(state, at_ns)

    def keep(self, state: ChargeState, at_ns: int | None) -> None:
        """Keep the state that was made from the sample of `at_ns`."""
        if at_ns is None:
            return
        self._kept_ns = at_ns
        data = to_bytes(state, kernel_boot_id=self._context.clock.kernel_boot_id, boottime_ns=at_ns)
        try:
            write_atomic(self._path, data, durable=False)
        except OSError as error:
            if not self._failing:
                text = f"{self._path}: {error.strerror}; after a restart CCL will ramp up from 0"
                self._context.event("charge_state_not_kept", text, "warning")
            self._failing = True
            return
        self._failing = False

    def _load(self) -> None:
        clock = self._context.clock
        try:
            saved = from_bytes(read_bytes(self._path))
        except OSError:
            return
        if saved is None:
            return
        age_s = saved.age_s(clock.kernel_boot_id, clock.boottime_ns())
        state = resume(saved.state, age_s)
        if state == saved.state and age_s is not None:
            self.state = state
            self.state_at_ns = saved.boottime_ns
