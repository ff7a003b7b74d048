"""Joins a cycle's LIVE_DATA with its register values: nothing of a cycle leaves before LIVE_DATA.

The two come on different bus topics, so the register values may arrive first, or never.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from tinybms_messages.registers import RegisterValues

HELD_AT_MOST: Final = 32
"""Cycles whose register values wait for their LIVE_DATA: three seconds at the fastest poll."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Register values of one cycle and the process start that read them."""

    boot: str
    time_ok: bool
    body: RegisterValues


class CycleJoin:
    """Holds register values until the LIVE_DATA of their cycle, or a later one, has come."""

    def __init__(self) -> None:
        self._boot = ""
        self._seq = 0
        self._held: deque[Held] = deque(maxlen=HELD_AT_MOST)

    def live(self, boot: str, seq: int) -> list[Held]:
        """Note LIVE_DATA number `seq`; the register values that may go out now, in order."""
        self._boot, self._seq = boot, seq
        waiting = [held for held in self._held if held.boot == boot]  # another boot is the past
        self._held = deque((held for held in waiting if held.body.live_seq > seq), HELD_AT_MOST)
        return [held for held in waiting if held.body.live_seq <= seq]

    def registers(self, held: Held) -> Held | None:
        """`held` itself when it may go out at once, else None: it waits."""
        if self._may_go(held):
            return held
        self._held.append(held)
        return None

    def _may_go(self, held: Held) -> bool:
        return held.boot == self._boot and held.body.live_seq <= self._seq
