"""Keep the database within its bounds: thin out first, then drop, the lowest class first."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tinybms_buffer.gaps import Gap, GapKind
from tinybms_buffer.opening import PAGE_BYTES
from tinybms_buffer.rows import CLASSES
from tinybms_messages.critical import CriticalClass

LEVELS: Final = ((10, GapKind.THINNED_10_S), (60, GapKind.THINNED_60_S))
"""Seconds of which one record of each value stays, and what its absence is called."""
BLOCK_ROWS: Final = 1000
MOST_BLOCKS: Final = 20
"""Looked at for one batch: more would keep the loop from its heartbeat."""
SPARE_PAGES: Final = 48

_BLOCK: Final = (
    "SELECT record.id, origin, suffix, boottime_ns, "
    "CASE WHEN time_ok OR wall_offset_ns IS NULL THEN wall_ns "
    "ELSE boottime_ns + wall_offset_ns END "
    "FROM record JOIN origin ON origin.id = record.origin "
    "JOIN machine_run ON machine_run.id = machine_run "
)
_SAMPLES_AFTER: Final = _BLOCK + (
    "WHERE record.id > ? AND rank = 2 AND NOT is_gap ORDER BY record.id LIMIT ?"
)
_OLDEST_OF_RANK: Final = _BLOCK + (
    "WHERE rank = ? AND NOT is_gap ORDER BY rank, record.origin, seq LIMIT ?"
)
_DELETE: Final = "DELETE FROM record WHERE id = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """Bounds of the store; `max_bytes` counts database and log."""

    max_bytes: int = 64 * 1024 * 1024
    max_rows: int = 500_000
    max_age_s: float = 30 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Old:
    number: int
    origin: int
    suffix: str
    boottime_ns: int
    wall_ns: int

    def span(self, level_s: int) -> tuple[int, int]:
        """Which of the spans of `level_s` it belongs to."""
        return self.origin, self.boottime_ns // (level_s * 10**9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """A row that is too old."""

    id: int
    record_class: CriticalClass
    wall_ns: int


class Bounds:
    """Makes room inside the caller's transaction; what was removed comes back as gaps."""

    def __init__(self, connection: sqlite3.Connection, limits: StoreLimits) -> None:
        self._connection = connection
        self._limits = limits
        self._block = max(1, min(BLOCK_ROWS, limits.max_rows // 10))
        self._levels: dict[int, int] = {}
        self._load_levels()

    def make_room(self, *, rows: int, incoming_bytes: int, leased: frozenset[int]) -> list[Gap]:
        """Remove what must go until there may be `rows`, and `incoming_bytes` have their place."""
        gaps: list[Gap] = []
        blocks = 0
        while self._over(rows, incoming_bytes):
            blocks += 1
            gap = self._thin(leased) if blocks <= MOST_BLOCKS else None
            gap = gap or self._drop(leased)
            if gap is None:
                break
            rows -= gap.count
            if gap.count:
                gaps.append(gap)
        return gaps

    def expire(self, rows: Iterable[Expired]) -> list[Gap]:
        """Remove rows that are too old."""
        gaps: list[Gap] = []
        for row in rows:
            self._connection.execute(_DELETE, (row.id,))
            gaps.append(
                Gap(
                    kind=GapKind.EXPIRED,
                    record_class=row.record_class,
                    count=1,
                    first_wall_ns=row.wall_ns,
                    last_wall_ns=row.wall_ns,
                )
            )
        return gaps

    def reload(self) -> None:
        """After a rollback: read again how far thinning has come."""
        with contextlib.suppress(sqlite3.Error):
            self._load_levels()

    def _over(self, rows: int, incoming_bytes: int) -> bool:
        if rows > self._limits.max_rows:
            return True
        # Pages are seldom full, and the index needs its own.
        reserve = SPARE_PAGES + 2 * incoming_bytes // PAGE_BYTES
        used = self._pragma("page_count") - self._pragma("freelist_count")
        return used + reserve > self._pragma("max_page_count")

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _load_levels(self) -> None:
        found = self._connection.execute("SELECT level_s, up_to_id FROM thinning")
        self._levels = {int(level): int(up_to) for level, up_to in found}

    def _thin(self, leased: frozenset[int]) -> Gap | None:
        """Thin the next block of the first level that has one; None when all is thinned."""
        for level_s, kind in LEVELS:
            after = self._levels.get(level_s, 0)
            block = self._rows(_SAMPLES_AFTER, (after, self._block))
            if len(block) < self._block:
                continue
            block = _whole_spans(block, level_s)
            self._levels[level_s] = block[-1].number
            self._connection.execute(
                "INSERT INTO thinning VALUES (?, ?) "
                "ON CONFLICT (level_s) DO UPDATE SET up_to_id = excluded.up_to_id",
                (level_s, block[-1].number),
            )
            return self._remove(_all_but_last(block, level_s, leased), kind, CriticalClass.SAMPLE)
        return None

    def _drop(self, leased: frozenset[int]) -> Gap | None:
        """Drop the oldest block of the lowest class that has rows; None when nothing may go."""
        for rank, record_class in sorted(CLASSES.items(), reverse=True):
            oldest = self._rows(_OLDEST_OF_RANK, (rank, self._block + len(leased)))
            going = [old for old in oldest if old.number not in leased][: self._block]
            if going:
                return self._remove(going, GapKind.DROPPED, record_class)
        return None

    def _remove(self, going: list[_Old], kind: GapKind, record_class: CriticalClass) -> Gap:
        self._connection.executemany(_DELETE, [(old.number,) for old in going])
        times = [old.wall_ns for old in going]
        return Gap(
            kind=kind,
            record_class=record_class,
            count=len(going),
            first_wall_ns=min(times, default=None),
            last_wall_ns=max(times, default=None),
        )

    def _rows(self, statement: str, values: tuple[int, ...]) -> list[_Old]:
        return [
            _Old(number=number, origin=origin, suffix=suffix, boottime_ns=boottime, wall_ns=wall)
            for number, origin, suffix, boottime, wall in self._connection.execute(
                statement, values
            )
        ]


def _whole_spans(block: list[_Old], level_s: int) -> list[_Old]:
    """`block` without its last span of `level_s`, of which the next block may have more."""
    last = block[-1].span(level_s)
    cut = next(index for index, old in enumerate(block) if old.span(level_s) == last)
    return block[:cut] or block


def _all_but_last(block: list[_Old], level_s: int, leased: frozenset[int]) -> list[_Old]:
    """What goes when of each value only the last within each `level_s` stays."""
    last = {(old.span(level_s), old.suffix): old.number for old in block}
    staying = leased.union(last.values())
    return [old for old in block if old.number not in staying]
