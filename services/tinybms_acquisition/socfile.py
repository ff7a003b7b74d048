"""What is known of the setting of SoC, in the state folder."""

from __future__ import annotations

from typing import Final

from tinybms_acquisition.socsync import SocSync
from tinybms_charge.soc_sync import KeptSync, from_bytes, to_bytes
from tinybms_runtime.runner import ServiceContext
from tinybms_runtime.statefile import read_bytes, write_atomic

FILE_NAME: Final = "soc-sync"
PERIOD_S: Final = 3600.0
"""What a power cut may lose of the days that are counted."""

RETRY_S: Final = 10.0


class SocFile:
    """Loads the state, and stores it at once when it matters, else each hour."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._path = context.paths.state_file(FILE_NAME)
        self._stored_ns = context.clock.boottime_ns()
        self._failing = False
        self.sync = SocSync(self._load(), allowed=context.config.acquisition.allow_writes)
        self._stored = self.sync.weighty

    def store_when_due(self) -> bool:
        """Store what has changed; False when that failed and a write to the BMS must not begin."""
        waited_s = (self._context.clock.boottime_ns() - self._stored_ns) / 1e9
        if self._failing and waited_s < RETRY_S:
            return False
        if self.sync.weighty != self._stored or waited_s >= PERIOD_S:
            return self.store()
        return True

    def store(self) -> bool:
        """Store the state now; whether that worked."""
        clock = self._context.clock
        self._stored_ns = clock.boottime_ns()
        kept = KeptSync(
            kernel_boot_id=clock.kernel_boot_id,
            boottime_ns=self._stored_ns,
            battery=self.sync.battery,
            state=self.sync.state,
        )
        try:
            write_atomic(self._path, to_bytes(kept), durable=True)
        except OSError as error:
            if not self._failing:
                text = f"{self._path}: {error.strerror}; SoC is not set without a place to note it"
                self._context.event("soc_sync_not_kept", text, "warning")
            self._failing = True
            return False
        self._stored, self._failing = self.sync.weighty, False
        return True

    def _load(self) -> KeptSync:
        clock = self._context.clock
        try:
            data = read_bytes(self._path)
        except OSError as error:
            self._context.log.warning("%s: %s", self._path, error.strerror)
            data = b""
        return from_bytes(
            data, kernel_boot_id=clock.kernel_boot_id, boottime_ns=clock.boottime_ns()
        )
