"""The state of the charge control on disk, in two copies.

The one in the run folder is written each second, so that a restart changes no limit; the one in the
state folder seldom, so that a machine without power forgets no charge.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tinybms_charge.state import ChargeState, SavedState, from_bytes, resume, to_bytes
from tinybms_runtime.runner import ServiceContext
from tinybms_runtime.statefile import read_bytes, write_atomic

PERIOD_S: Final = 1.0
DURABLE_PERIOD_S: Final = 300.0
"""What a power cut may lose: at most this much of an absorption."""


class ChargeFile:
    """Loads the newer copy, keeps one each second and a durable one every few minutes."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._path = context.paths.run_file("charge-state")
        self._durable_path = context.paths.state_file("charge-state")
        self._kept_ns: int | None = None
        self._durable_ns = context.clock.boottime_ns()
        self._failing: set[Path] = set()
        self.state = ChargeState()
        self.state_at_ns: int | None = None
        """CLOCK_BOOTTIME of the sample behind the loaded state, None when that is not known."""
        self._load()

    def keep_now_and_then(self, state: ChargeState, at_ns: int | None) -> None:
        """Keep the state if the copy in the run folder, or the durable one, is due."""
        if at_ns is None or (self._kept_ns is not None and at_ns - self._kept_ns < PERIOD_S * 1e9):
            return
        self._keep(state, at_ns, durable=at_ns - self._durable_ns >= DURABLE_PERIOD_S * 1e9)

    def keep(self, state: ChargeState, at_ns: int | None) -> None:
        """Keep both copies of the state that was made from the sample of `at_ns`."""
        if at_ns is not None:
            self._keep(state, at_ns, durable=True)

    def _keep(self, state: ChargeState, at_ns: int, *, durable: bool) -> None:
        self._kept_ns = at_ns
        data = to_bytes(state, kernel_boot_id=self._context.clock.kernel_boot_id, boottime_ns=at_ns)
        self._write(self._path, data, durable=False)
        if durable:
            self._durable_ns = at_ns
            self._write(self._durable_path, data, durable=True)

    def _write(self, path: Path, data: bytes, *, durable: bool) -> None:
        try:
            write_atomic(path, data, durable=durable)
        except OSError as error:
            if path not in self._failing:
                lost = "the charge would start anew" if durable else "CCL would ramp up from 0"
                text = f"{path}: {error.strerror}; after a restart {lost}"
                self._context.event("charge_state_not_kept", text, "warning")
            self._failing.add(path)
            return
        self._failing.discard(path)

    def _load(self) -> None:
        clock = self._context.clock
        saved = _read(self._path) or _read(self._durable_path)
        if saved is None:
            return
        age_s = saved.age_s(clock.kernel_boot_id, clock.boottime_ns())
        self.state = resume(saved.state, age_s)
        if age_s is not None:
            self.state_at_ns = saved.boottime_ns


def _read(path: Path) -> SavedState | None:
    try:
        return from_bytes(read_bytes(path))
    except OSError:
        return None
