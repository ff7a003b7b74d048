"""The heartbeat of a process, made by its work loop itself."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Final

from tinybms_messages.status import Heartbeat
from tinybms_messages.topics import HEARTBEAT
from tinybms_runtime.bus import Bus
from tinybms_runtime.clock import Clock
from tinybms_runtime.loop import Loop

PERIOD_S: Final = 1.0
FIRST_S: Final = 0.2
"""What is sent before the connection to the broker stands is lost; the first beat waits for it."""
_PAGE_BYTES: Final = resource.getpagesize()


class Heart:
    """Publishes that the loop runs, and how the process is."""

    def __init__(
        self,
        *,
        bus: Bus,
        clock: Clock,
        loop: Loop,
        state: Callable[[], tuple[str, str]],
        log_lines_dropped: Callable[[], int],
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._loop = loop
        self._state = state
        self._log_lines_dropped = log_lines_dropped
        self._started_ns = clock.boottime_ns()
        self.version = metadata.version("tinybms-gateway")

    def beat(self) -> None:
        """Send one heartbeat."""
        state, detail = self._state()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._bus.publish(
            HEARTBEAT,
            Heartbeat(
                state=state,
                detail=detail,
                pid=os.getpid(),
                uptime_s=(self._clock.boottime_ns() - self._started_ns) / 1e9,
                lag_ms=self._loop.take_worst_lag_ms(),
                cpu_s=usage.ru_utime + usage.ru_stime,
                rss_bytes=_resident_bytes(),
                gaps=self._bus.gaps,
                rejected=self._bus.rejected,
                log_lines_dropped=self._log_lines_dropped(),
                version=self.version,
            ),
        )


def _resident_bytes() -> int:
    """Memory of this process that is in RAM now."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE_BYTES
