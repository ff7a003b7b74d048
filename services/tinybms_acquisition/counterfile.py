"""The files of the counters: one on the disk, one in the run folder.

The run folder's file is written each second and survives a killed process; the disk's file is
written when a total comes near its ceiling, and now and then, and survives the machine.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from tinybms_acquisition.counters import (
    DISK_BLOCK,
    RUN_BLOCK,
    ZERO,
    CounterBook,
    Start,
    Stored,
    Totals,
    from_bytes,
    newest,
    to_bytes,
)
from tinybms_messages.live import Counters
from tinybms_runtime.paths import Paths
from tinybms_runtime.runner import ServiceContext
from tinybms_runtime.statefile import read_bytes, write_atomic

DISK_PERIOD_S: Final = 600.0
"""Longest time between two writes to the disk while the counters move."""
RETRY_S: Final = 60.0
"""After a failed write; until then totals stand still at the ceiling that is stored."""
RUN_PERIOD_S: Final = 1.0


class CounterFiles:
    """Loads the counters at the start and stores each ceiling before it is passed."""

    def __init__(self, context: ServiceContext, *, longest_step_s: float) -> None:
        self._context = context
        self._disk = context.paths.state_file("counters")
        self._begun = context.paths.state_file("counters-begun")
        self._run = context.paths.run_file("counters")
        start = self._load(context.paths)
        self.book = CounterBook(start, longest_step_s=longest_step_s)
        self._disk_ceiling: Totals = ZERO
        self._run_ceiling: Totals = ZERO
        self._disk_retry_s = 0.0
        self._disk_at_s = 0.0
        self._run_at_s = 0.0
        self._failing = False

    def store(self, now_s: float) -> None:
        """Store what is due. Call it when a snapshot is out: a disk can be slow."""
        book = self.book
        if not book.known:
            return
        old = now_s - self._disk_at_s > DISK_PERIOD_S
        if old or book.needs_storing(self._disk_ceiling, DISK_BLOCK):
            self._store_on_disk(now_s, DISK_BLOCK)
        old = now_s - self._run_at_s > RUN_PERIOD_S
        if old or book.needs_storing(self._run_ceiling, RUN_BLOCK):
            self._store_in_run_folder(now_s)

    def counters(self) -> Counters:
        """The counters to publish."""
        return self.book.published((self._disk_ceiling, self._run_ceiling))

    def close(self, now_s: float) -> None:
        """A clean stop: the ceilings come down to the count, so that nothing stands still later."""
        if self.book.known and self._disk_ceiling != ZERO:
            self._disk_retry_s = 0.0
            self._store_on_disk(now_s, ZERO)
            if not self._failing:
                with contextlib.suppress(OSError):
                    self._run.unlink()

    def _store_on_disk(self, now_s: float, block: Totals) -> None:
        if now_s < self._disk_retry_s:
            return
        stored = self.book.to_store(self._context.clock.kernel_boot_id, block)
        try:
            if self._disk_ceiling == ZERO:
                write_atomic(self._begun, b"", durable=True)
            write_atomic(self._disk, to_bytes(stored), durable=True)
        except OSError as error:
            self._disk_retry_s = now_s + RETRY_S
            if not self._failing:
                text = f"{self._disk}: {error.strerror}; totals stand still until it can be written"
                self._context.event("counters_not_stored", text, "warning")
            self._failing = True
            return
        self._failing = False
        self._disk_ceiling = stored.ceiling
        self._disk_at_s = now_s

    def _store_in_run_folder(self, now_s: float) -> None:
        stored = self.book.to_store(self._context.clock.kernel_boot_id, RUN_BLOCK)
        self._run_at_s = now_s
        try:
            write_atomic(self._run, to_bytes(stored), durable=False)
        except OSError:
            # The ceiling that is stored stays; totals stand still there.
            return
        self._run_ceiling = stored.ceiling

    def _load(self, paths: Paths) -> Start:
        run = self._read(self._run)
        disk = self._read(self._disk)
        known = newest(disk, run, self._context.clock.kernel_boot_id)
        if known is not None:
            return Start(stored=known, known=True)
        if not self._begun.exists() and not self._disk.exists():
            return Start(stored=None, known=True)
        aside = self._set_aside()
        self._context.event(
            "counters_lost",
            f"the energy counters in {paths.state_dir} are damaged or gone{aside}: they are "
            f"unknown from now on; remove {self._begun} to count from 0",
            "warning",
        )
        return Start(stored=None, known=False)

    def _read(self, path: Path) -> Stored | None:
        try:
            data = read_bytes(path)
        except OSError:
            return None
        return None if data is None else from_bytes(data)

    def _set_aside(self) -> str:
        if not self._disk.exists():
            return ""
        aside = self._disk.with_name(f"{self._disk.name}.damaged")
        try:
            self._begun.touch()
            self._disk.replace(aside)
        except OSError:
            return ""
        return f" (kept as {aside.name})"
