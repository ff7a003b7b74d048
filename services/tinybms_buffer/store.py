"""The store: appended once, claimed in order, removed when acknowledged.

Every change is one transaction that is on the disk when the call returns. Errors come as
StorageOff (nothing was changed; try again later) or Damaged (set the file aside).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tinybms_buffer.bounds import Bounds, Expired, StoreLimits
from tinybms_buffer.database import Change, Database
from tinybms_buffer.gaps import Gap, GapKind
from tinybms_buffer.leases import Leases
from tinybms_buffer.opening import SCHEMA_VERSION, quick_check
from tinybms_buffer.rows import (
    IN_ORDER,
    INSERT,
    NO_PLACE,
    RANKS,
    SELECT,
    from_row,
    refusal,
    stored_bytes,
    to_row,
)
from tinybms_messages.critical import Critical, CriticalClass, Range
from tinybms_messages.requests import MAX_RECORDS_BYTES, StoredRecord
from tinybms_runtime.clock import Clock

LOG_ALLOWANCE_BYTES: Final = 4 * 1024 * 1024
"""What the log may take beside the database: its usual length and one large batch."""
MOST_UNREMOVED: Final = 100_000
"""Acknowledged rows that a full disk keeps from being removed; with more, claims get nothing."""
VACUUM_PAGES: Final = 500
_EXPIRE_ROWS: Final = 1000
_ROOM_FOR_GAPS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What became of a batch: rows that are new, and what could not be stored, with reasons."""

    stored: int
    refused: tuple[tuple[Critical, str], ...] = ()


class GapNumbers:
    """Numbers of the gap records of this process, over all its databases."""

    def __init__(self, boot: str) -> None:
        self.boot = boot
        self._last = 0

    def next(self) -> int:
        """The next number, from 1."""
        self._last += 1
        return self._last


class Store:
    """One open database. `path` None: in memory alone. `distrust`: why the file is set aside."""

    def __init__(
        self,
        path: Path | None,
        *,
        limits: StoreLimits,
        clock: Clock,
        gap_numbers: GapNumbers,
        distrust: str = "",
    ) -> None:
        max_bytes = limits.max_bytes - LOG_ALLOWANCE_BYTES
        self._db = Database(path, max_bytes=max_bytes, clock=clock, distrust=distrust)
        self._limits = limits
        self._clock = clock
        self._gap_numbers = gap_numbers
        self._leases = Leases()
        self._unremoved: set[int] = set()
        self._open_gaps: dict[tuple[GapKind, CriticalClass | None], tuple[int, Gap]] = {}
        self.removed: dict[GapKind, int] = {}
        """Records that are missing since this store was opened, by reason."""
        with self._db.guard():
            self._bounds = Bounds(self._db.connection, limits)

    @property
    def name(self) -> str:
        """Random name of the database."""
        return self._db.name

    @property
    def rows(self) -> int:
        """Stored records, those on their way included."""
        return self._db.rows

    @property
    def set_aside(self) -> tuple[Path, str] | None:
        """Where a damaged file went at opening, and what was wrong with it."""
        return None if self._db.set_aside is None else (self._db.set_aside, self._db.damage)

    def append(self, records: Sequence[Critical]) -> Appended:
        """Store `records`; one that is stored already is not stored again."""
        refused = tuple((record, why) for record in records if (why := refusal(record)))
        unfit = {id(record) for record, _ in refused}
        fit = [record for record in records if id(record) not in unfit]
        stored = 0
        with self._transaction() as change:
            rows = self.rows + len(fit) + _ROOM_FOR_GAPS
            for gap in self._bounds.make_room(
                rows=rows, incoming_bytes=sum(map(stored_bytes, fit)), leased=self._leases.held
            ):
                change.rows -= gap.count
                self._note_gap(change, gap)
            self._db.keep_offset()
            for record in fit:
                values = to_row(record, self._db.origin_of(record))
                stored += self._db.connection.execute(INSERT, values).rowcount
            change.rows += stored
            for record, _ in refused:
                gap = Gap(kind=GapKind.REFUSED, record_class=record.record_class, count=1)
                self._note_gap(change, gap)
        return Appended(stored=stored, refused=refused)

    def note_gap(self, gap: Gap) -> None:
        """Store that records are missing."""
        with self._transaction() as change:
            self._note_gap(change, gap)

    def claim(
        self, claimer: str, limit: int, held: Sequence[tuple[str, int]] = ()
    ) -> list[StoredRecord]:
        """The next records in order of delivery, leased to `claimer`.

        `held`: starts of which nothing is given out from this number on.
        """
        now_ns = self._clock.boottime_ns()
        limit = min(limit, self._leases.open(claimer, now_ns))
        if limit <= 0 or len(self._unremoved) >= MOST_UNREMOVED:
            return []
        claimed: list[StoredRecord] = []
        size = 0
        with self._db.guard():
            for stored in self._next(limit, self._first_place(held)):
                size += stored_bytes(stored.record)
                if claimed and (len(claimed) >= limit or size > MAX_RECORDS_BYTES):
                    break
                claimed.append(stored)
        self._leases.grant((stored.id for stored in claimed), now_ns)
        self._close_gaps({stored.id for stored in claimed})
        return claimed

    def ack(self, ids: Sequence[int]) -> int:
        """Remove acknowledged rows; how many of them were there.

        When that fails they are not claimed again in this run, and `remove_acked` tries again.
        """
        self._unremoved.update(ids)
        self._leases.release(ids)
        self._close_gaps(set(ids))
        return self.remove_acked()

    def remove_acked(self) -> int:
        """Remove what was acknowledged and is still there; how many rows that were."""
        if not self._unremoved:
            return 0
        gone = [(number,) for number in self._unremoved]
        with self._transaction() as change:
            cursor = self._db.connection.executemany("DELETE FROM record WHERE id = ?", gone)
            change.rows -= cursor.rowcount
        self._unremoved.clear()
        return -change.rows

    def forget(self, boot: str, ranges: Sequence[Range]) -> int:
        """Remove rows of `boot` that arrived after all, by their numbers; how many that were.

        What is leased stays: whoever has it acknowledges it, and it counts as replayed.
        """
        origin = self._db.known_origin(boot)
        if origin is None or self.rows == 0 or not ranges:
            return 0
        leased = json.dumps(list(self._leases.held))
        spans = [
            (rank, origin, first, last, leased) for rank in RANKS.values() for first, last in ranges
        ]
        with self._transaction() as change:
            cursor = self._db.connection.executemany(
                "DELETE FROM record WHERE rank = ? AND origin = ? AND seq BETWEEN ? AND ? "
                "AND id NOT IN (SELECT value FROM json_each(?))",
                spans,
            )
            change.rows -= cursor.rowcount
        return -change.rows

    def keep_clock(self) -> None:
        """Keep the wall clock's offset once it is right, if rows may need it. Seldom writes."""
        if self.rows and self._db.offset_is_due():
            with self._transaction():
                self._db.keep_offset()

    def prune(self) -> int:
        """Remove the rows that are older than the store keeps them; how many that were.

        The age is one of wall time, so nothing goes while that can't be trusted.
        """
        if not self.rows or not self._clock.time_ok():
            return 0
        oldest_ns = self._clock.wall_ns() - round(self._limits.max_age_s * 1e9)
        first = self._first_stored(1, "WHERE NOT is_gap ")
        old = [stored for stored in first if stored.record.wall_ns < oldest_ns]
        if not old or not old[0].record.time_ok:
            return 0
        return self.drop_before(oldest_ns)

    def drop_before(self, oldest_ns: int) -> int:
        """Remove some rows from before this wall time; how many that were, 0 when none is left.

        Rows whose wall time is not known for sure stay, and those on their way.
        """
        held = self._leases.held
        expired = [
            Expired(
                id=stored.id,
                record_class=stored.record.record_class,
                wall_ns=stored.record.wall_ns,
            )
            for stored in self._first_stored(_EXPIRE_ROWS, "WHERE NOT is_gap ")
            if stored.record.time_ok and stored.record.wall_ns < oldest_ns and stored.id not in held
        ]
        if not expired:
            return 0
        with self._transaction() as change:
            for gap in self._bounds.expire(expired):
                change.rows -= gap.count
                self._note_gap(change, gap)
        return len(expired)

    def tidy(self) -> None:
        """Give free pages back to the disk; writes nothing when there are few."""
        with self._db.guard():
            free = self._db.free_pages()
            if free >= VACUUM_PAGES or (free > 0 and self.rows == 0):
                execute = self._db.connection.execute
                execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
                if self.rows == 0:
                    execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def probe(self) -> None:
        """Write one page, to see whether writing is possible again."""
        with self._transaction():
            # A row that stays the same is not written, the header's number always is.
            self._db.connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def check(self) -> None:
        """Read the structure of the whole database; Damaged when something is wrong."""
        with self._db.guard():
            quick_check(self._db.connection)

    def oldest(self) -> StoredRecord | None:
        """The row that was stored first."""
        return next(iter(self._first_stored(1)), None)

    def file_bytes(self) -> int:
        """Size of the database; its log comes on top, at most LOG_ALLOWANCE_BYTES."""
        with self._db.guard():
            return self._db.file_bytes()

    def in_place(self) -> bool:
        """Whether the open file is still the one that the path names."""
        return self._db.in_place()

    def close(self) -> None:
        """Close the file; nothing is lost without it."""
        self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Change]:
        try:
            with self._db.transaction() as change:
                yield change
        except BaseException:
            self._open_gaps.clear()
            self._bounds.reload()
            raise
        for gap in change.gaps:
            self.removed[gap.kind] = self.removed.get(gap.kind, 0) + gap.count

    def _next(self, count: int, before: tuple[int, int]) -> Iterator[StoredRecord]:
        """Rows before a place that nobody has, class by class; at least `count` if there are."""
        taken = self._leases.held | self._unremoved
        for rank in sorted(RANKS.values()):
            values = (rank, *before, count + len(taken))
            for row in self._db.connection.execute(IN_ORDER, values):
                if row[0] not in taken:
                    yield from_row(self._db.with_offset(row))

    def _first_place(self, held: Sequence[tuple[str, int]]) -> tuple[int, int]:
        known = [(self._db.known_origin(boot), number) for boot, number in held]
        return min(
            ((origin, number) for origin, number in known if origin is not None), default=NO_PLACE
        )

    def _first_stored(self, count: int, which: str = "") -> list[StoredRecord]:
        statement = f"{SELECT}{which}ORDER BY record.id LIMIT ?"
        with self._db.guard():
            rows = self._db.connection.execute(statement, (count,)).fetchall()
        return [from_row(self._db.with_offset(row)) for row in rows]

    def _note_gap(self, change: Change, gap: Gap) -> None:
        """Inside a transaction: a new gap record, or more of one that nobody has seen yet."""
        change.gaps.append(gap)
        key = (gap.kind, gap.record_class)
        known = self._open_gaps.get(key)
        if known is not None:
            number, before = known
            joined = before.joined(gap)
            self._db.connection.execute(
                "UPDATE record SET raw = ?, text = ? WHERE id = ?",
                (joined.count, joined.text, number),
            )
            self._open_gaps[key] = (number, joined)
            return
        numbers = self._gap_numbers
        record = gap.record(boot=numbers.boot, seq=numbers.next(), clock=self._clock)
        values = to_row(record, self._db.origin_of(record, is_gap=True))
        cursor = self._db.connection.execute(INSERT, values)
        change.rows += cursor.rowcount
        self._open_gaps[key] = (int(cursor.lastrowid or 0), gap)

    def _close_gaps(self, ids: set[int]) -> None:
        """What somebody has seen stays as it is."""
        for key, (number, _) in list(self._open_gaps.items()):
            if number in ids:
                del self._open_gaps[key]
