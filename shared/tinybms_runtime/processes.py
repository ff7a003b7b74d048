"""The one table of processes: name, place in the order of starting, time to stop, priority.

A name is folder, package, supervisord program, log file and bus source at once. supervisord.conf
is compared with this table by a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of the gateway.

    `priority`: supervisord starts lower numbers first and stops them last. `stop_wait_s`: how long
    it may take to stop before it is killed. `nice`: added to its scheduling priority.
    """

    name: str
    priority: int
    stop_wait_s: int
    nice: int = 0

    @property
    def module(self) -> str:
        """What `python -P -m` runs."""
        return f"tinybms_{self.name}"


PROCESSES: Final[tuple[Process, ...]] = (
    Process(name="broker", priority=10, stop_wait_s=5),
    Process(name="health", priority=15, stop_wait_s=5, nice=10),
    Process(name="buffer", priority=20, stop_wait_s=15, nice=10),
    Process(name="mqtt_out", priority=30, stop_wait_s=15),
    Process(name="can_out", priority=40, stop_wait_s=5),
    Process(name="acquisition", priority=50, stop_wait_s=5),
)
"""Stopped from the end: acquisition, can_out, mqtt_out, buffer, health, broker."""

NAMES: Final = tuple(process.name for process in PROCESSES)
