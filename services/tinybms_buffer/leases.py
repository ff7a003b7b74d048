"""Which stored records are on their way, and until when nobody else gets them.

Leases live in memory: they would cost a write for each claim, and a restart of this process may
repeat at most what was on its way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tinybms_messages.requests import LEASE_S

MOST_LEASED: Final = 400
"""Four full claims; a claimer that never acknowledges gets no more until leases end."""


class Leases:
    """Numbers of records with the end of their lease; times are CLOCK_BOOTTIME in ns."""

    def __init__(self) -> None:
        self._claimer = ""
        self._ends_ns: dict[int, int] = {}

    def open(self, claimer: str, now_ns: int) -> int:
        """Begin a claim: how many more `claimer` may take. Frees the leases of another one."""
        if claimer != self._claimer:
            self._claimer = claimer
            self._ends_ns.clear()
        self.expire(now_ns)
        return MOST_LEASED - len(self._ends_ns)

    def grant(self, ids: Iterable[int], now_ns: int) -> None:
        """Lease `ids` for LEASE_S."""
        end_ns = now_ns + round(LEASE_S * 1e9)
        for number in ids:
            self._ends_ns[number] = end_ns

    def release(self, ids: Iterable[int]) -> None:
        """End the leases of `ids`."""
        for number in ids:
            self._ends_ns.pop(number, None)

    def expire(self, now_ns: int) -> None:
        """End the leases whose time is over."""
        over = [number for number, end_ns in self._ends_ns.items() if end_ns <= now_ns]
        self.release(over)

    @property
    def held(self) -> frozenset[int]:
        """The leased numbers, those included whose time is over since the last look."""
        return frozenset(self._ends_ns)
