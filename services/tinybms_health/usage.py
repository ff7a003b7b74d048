"""Memory and processor time of processes, from the system (psutil)."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from tinybms_health.view import Usage


class UsageMeter:
    """Measures processes by pid; processor time is that since the measurement before."""

    def __init__(self) -> None:
        self._known: dict[int, psutil.Process] = {}
        self._usage: dict[int, Usage] = {}
        self._frozen: set[int] = set()

    def measure(self, pids: Iterable[int]) -> None:
        """Measure these processes and forget all others."""
        known: dict[int, psutil.Process] = {}
        usage: dict[int, Usage] = {}
        frozen: set[int] = set()
        for pid in pids:
            try:
                process = self._known.get(pid)
                new = process is None
                if process is None:
                    process = psutil.Process(pid)
                with process.oneshot():
                    cpu_pct = process.cpu_percent()
                    rss_bytes = process.memory_info().rss
                    if process.status() == psutil.STATUS_STOPPED:
                        frozen.add(pid)
            except psutil.Error:
                continue
            known[pid] = process
            usage[pid] = Usage(rss_bytes=rss_bytes, cpu_pct=None if new else cpu_pct)
        self._known, self._usage, self._frozen = known, usage, frozen

    def usage(self, pid: int) -> Usage | None:
        """What was measured last."""
        return self._usage.get(pid)

    def frozen(self, pid: int) -> bool:
        """Whether the process was stopped (SIGSTOP) at the last measurement."""
        return pid in self._frozen
