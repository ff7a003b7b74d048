"""How much is written to disk in a day, from a counter that only rises."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Final

WINDOW_S: Final = 86_400.0
STEP_S: Final = 600.0
LEAST_S: Final = 3600.0
"""Less than this is not scaled up to a day: the first minutes would tell tales."""

_COUNTER: Final = b"write_bytes:"


class Wear:
    """Bytes per day, from readings of the counter over the last day."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, int]] = deque()

    def note(self, now_s: float, total_bytes: int) -> None:
        """Take a reading; any rate will do, one in ten minutes is kept."""
        readings = self._readings
        if not readings or now_s - readings[-1][0] >= STEP_S:
            readings.append((now_s, total_bytes))
        while len(readings) > 1 and now_s - readings[1][0] >= WINDOW_S:
            readings.popleft()

    def bytes_per_day(self, now_s: float, total_bytes: int) -> int | None:
        """The mean of up to a day, None in the first hour."""
        if not self._readings:
            return None
        since_s, before = self._readings[0]
        span_s = now_s - since_s
        if span_s < LEAST_S:
            return None
        return round((total_bytes - before) * WINDOW_S / span_s)


def written_bytes(proc: Path = Path("/proc/self/io")) -> int | None:
    """Bytes that this process caused to be written to disk, None when the kernel does not say."""
    try:
        for line in proc.read_bytes().splitlines():
            if line.startswith(_COUNTER):
                return int(line.removeprefix(_COUNTER))
    except (OSError, ValueError):
        return None
    return None
