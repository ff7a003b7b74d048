"""What the tracker keeps of each start of acquisition, while it runs and beyond. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from tinybms_messages.critical import BootId, Critical, Range
from tinybms_messages.sequences import SequenceSet

MAX_SEQ: Final = 2**63 - 1
Place = tuple[str, int]
"""The start of acquisition and the number of a record."""


class RememberedBoot(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one start of acquisition: `done` needs nothing more, `stored` is stored."""

    boot: BootId
    top: int
    done: tuple[Range, ...]
    stored: tuple[Range, ...]
    placed: bool = True


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What outlives this process, oldest start first. `store`: the database that `stored` means."""

    store: str = ""
    boots: tuple[RememberedBoot, ...] = ()


@dataclass(slots=True, kw_only=True)
class Boot:
    """What is known while we run. `known`: received, acknowledged or given up, in whatever way.

    `placed`: the ring has said which starts were before this one; asked for since `since_s`.
    """

    since_s: float
    top: int = 0
    placed: bool = False
    known: SequenceSet = field(default_factory=SequenceSet)
    done: SequenceSet = field(default_factory=SequenceSet)
    stored: SequenceSet = field(default_factory=SequenceSet)
    pending: dict[int, tuple[Critical, float]] = field(default_factory=dict)


class Wait:
    """How long the same record has been awaited."""

    def __init__(self) -> None:
        self._place: Place | None = None
        self._since_s = 0.0

    def lasts_s(self, place: Place | None, now_s: float) -> float:
        """Time since this place was first awaited."""
        if place != self._place:
            self._place, self._since_s = place, now_s
        return now_s - self._since_s
