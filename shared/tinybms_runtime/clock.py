"""The two clocks of the gateway: one for ages and deadlines, one that is only data."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Final, Protocol

EARLIEST_WALL_NS: Final = 1_793_491_200_000_000_000
"""2026-11-01T00:00:00Z: a wall clock before this release was made is wrong."""

_SYNC_CHECK_NS: Final = 10_000_000_000
_TIME_ERROR: Final = 5
"""adjtimex(2): the clock is not synchronised."""
_TIMEX_BYTES: Final = 256


class Clock(Protocol):
    """What time it is, for code that must not ask the machine itself."""

    @property
    def kernel_boot_id(self) -> str:
        """Name of this run of the machine; boot times of another run can't be compared."""

    def boottime_ns(self) -> int:
        """CLOCK_BOOTTIME: never set, goes on in suspend, the same for all processes."""

    def wall_ns(self) -> int:
        """Wall time since 1970 in UTC; may be wrong and may jump."""

    def time_ok(self) -> bool:
        """Whether the wall time can be trusted."""


class SystemClock:
    """The clocks of this machine.

    `trust_clock` takes the wall clock as right without asking the kernel, for machines that are
    set by means the kernel does not see.
    """

    def __init__(self, *, trust_clock: bool = False) -> None:
        self.kernel_boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        self._trust_clock = trust_clock
        self._synchronised = False
        self._checked_ns: int | None = None

    def boottime_ns(self) -> int:
        """See Clock."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall_ns(self) -> int:
        """See Clock."""
        return time.time_ns()

    def time_ok(self) -> bool:
        """See Clock; the kernel is asked at most every ten seconds."""
        if self.wall_ns() < EARLIEST_WALL_NS:
            return False
        if self._trust_clock:
            return True
        now_ns = self.boottime_ns()
        if self._checked_ns is None or now_ns - self._checked_ns >= _SYNC_CHECK_NS:
            self._synchronised = _kernel_says_synchronised()
            self._checked_ns = now_ns
        return self._synchronised


def _kernel_says_synchronised() -> bool:
    """Result of a read-only adjtimex(2) call; False when the kernel does not let us ask."""
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    state = int(ctypes.CDLL(None, use_errno=True).adjtimex(timex))
    return 0 <= state < _TIME_ERROR
