"""The file of the history: rings of points, and the last events. One SQLite database.

A point lies in the slot that its time gives it and replaces what lay there a round before, so the
file stops growing by itself; a bound in pages holds whatever happens. A power cut costs the last
batch, never the file.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tinybms_health.event_log import NumberedEvent
from tinybms_health.history_points import COLUMNS, GRIDS, Grid, Point, Question, Values

MAX_BYTES: Final = 16 * 1024 * 1024
"""Of the database; the log beside it takes 2 MiB at most between checkpoints."""
EVENTS_KEPT: Final = 1000
_PAGE_BYTES: Final = 4096
_LOG_BYTES: Final = 1024 * 1024
_LONGEST_TEXT: Final = 1000
_VERSION: Final = 1


class StoreError(Exception):
    """The disk or the file does not do what is asked; the text says what happened."""


class HistoryStore:
    """One open file, used by one thread. A file that is damaged is moved aside at opening."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.set_aside = ""
        """Why a file was moved aside at opening, empty when none was."""
        try:
            self._db = self._opened()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise StoreError(f"{path}: {error}") from error
            self.set_aside = f"{path} was damaged ({error}) and moved aside"
            try:
                self._move_aside()
                self._db = self._opened()
            except (OSError, sqlite3.Error) as again:
                raise StoreError(f"{path}: {again}") from again

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def size_bytes(self) -> int:
        """Of the database and its log."""
        size = 0
        for suffix in ("", "-wal"):
            with contextlib.suppress(OSError):
                size += self._path.with_name(self._path.name + suffix).stat().st_size
        return size

    def write(self, points: Iterable[Point], events: Iterable[NumberedEvent]) -> None:
        """Store a batch in one transaction."""
        with self._guard(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for point in points:
                slot = point.time_s // point.grid.step_s % point.grid.slots
                self._db.execute(_INSERT[point.grid], (slot, point.time_s, *point.values))
            rows = [
                (each.id, each.time, each.source, each.code, each.severity, _short(each.text))
                for each in events
            ]
            if rows:
                self._db.executemany("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?)", rows)
                self._db.execute(
                    "DELETE FROM event WHERE id NOT IN "
                    "(SELECT id FROM event ORDER BY id DESC LIMIT ?)",
                    (EVENTS_KEPT,),
                )

    def events(self) -> list[NumberedEvent]:
        """The stored events, oldest first."""
        with self._guard():
            rows = self._db.execute(
                "SELECT id, time, source, code, severity, text FROM event ORDER BY id"
            ).fetchall()
        return [
            NumberedEvent(
                id=row[0], time=row[1], source=row[2], code=row[3], severity=row[4], text=row[5]
            )
            for row in rows
        ]

    def points(self, asked: Question) -> list[tuple[int, Values]]:
        """(time, values) of each interval that has points, in order of time."""
        with self._guard():
            rows = self._db.execute(
                _SELECT[asked.grid], (asked.step_s, asked.step_s, asked.from_s, asked.to_s)
            ).fetchall()
        return [(row[0], tuple(row[1:])) for row in rows]

    def _opened(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, timeout=1.0)
        try:
            db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
            db.execute(f"PRAGMA wal_autocheckpoint = {_LOG_BYTES // _PAGE_BYTES}")
            db.execute(f"PRAGMA max_page_count = {MAX_BYTES // _PAGE_BYTES}")
            db.execute("PRAGMA cache_size = -512")
            _check(db)
            with db:
                db.execute("BEGIN IMMEDIATE")
                for statement in _SCHEMA:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {_VERSION}")
        except BaseException:
            db.close()
            raise
        return db

    def _move_aside(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            source = self._path.with_name(self._path.name + suffix)
            with contextlib.suppress(FileNotFoundError):
                source.replace(self._path.with_name(f"{self._path.name}.damaged{suffix}"))

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error


def _check(db: sqlite3.Connection) -> None:
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(found)
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version not in {0, _VERSION}:
        raise sqlite3.DatabaseError(f"its version {version} is not {_VERSION}")


def _table(grid: Grid) -> str:
    return f"points_{grid.step_s}s"


_NAMES: Final = ", ".join(column.name for column in COLUMNS)
_JOINED: Final = ", ".join(f"round({column.join.value}({column.name}), 4)" for column in COLUMNS)

_SCHEMA: Final = (
    *(
        f"CREATE TABLE IF NOT EXISTS {_table(grid)} "
        f"(slot INTEGER PRIMARY KEY, time_s INTEGER NOT NULL, {_NAMES})"
        for grid in GRIDS
    ),
    (
        "CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, time TEXT NOT NULL, "
        "source TEXT NOT NULL, code TEXT NOT NULL, severity TEXT NOT NULL, text TEXT NOT NULL)"
    ),
)

_INSERT: Final = {
    grid: f"REPLACE INTO {_table(grid)} VALUES (?, ?{', ?' * len(COLUMNS)})"  # noqa: S608 - fixed names
    for grid in GRIDS
}

_SELECT: Final = {
    grid: f"SELECT time_s / ? * ? AS time, {_JOINED} FROM {_table(grid)} "  # noqa: S608 - fixed names
    "WHERE time_s >= ? AND time_s < ? GROUP BY time ORDER BY time"
    for grid in GRIDS
}


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
