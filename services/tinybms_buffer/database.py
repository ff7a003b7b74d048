"""The open file: transactions, the names behind numbers, and the errors in our own words."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tinybms_buffer.gaps import Gap
from tinybms_buffer.opening import PAGE_BYTES, open_database
from tinybms_buffer.trouble import trouble_of
from tinybms_messages.critical import Critical
from tinybms_runtime.clock import Clock


@dataclass(slots=True, kw_only=True)
class Change:
    """What a transaction does, which counts once it is committed."""

    rows: int = 0
    gaps: list[Gap] = field(default_factory=list)


class Database:
    """One connection; `rows` is counted when it opens and then kept: nothing scans the table."""

    def __init__(
        self, path: Path | None, *, max_bytes: int, clock: Clock, distrust: str = ""
    ) -> None:
        opened = open_database(path, max_bytes=max_bytes, distrust=distrust)
        self.path = path
        self.set_aside = opened.set_aside
        self.damage = opened.damage
        self.connection = opened.connection
        self.rows = 0
        self._file = self._identity()
        self._clock = clock
        self._origins: dict[str, int] = {}
        self._offset_kept = False
        with self.guard():
            self.rows = int(self._value("SELECT count(*) FROM record"))
            if self.rows == 0:
                self.connection.execute("DELETE FROM origin")
            self._load_names()
            self.name = self._own_name()

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Turn errors of SQLite into StorageOff or Damaged."""
        try:
            yield
        except sqlite3.Error as error:
            raise trouble_of(error, self.path or Path(":memory:")) from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Change]:
        """All or nothing; on the disk when it ends."""
        change = Change()
        with self.guard():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield change
                self.connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self.connection.execute("ROLLBACK")
                with contextlib.suppress(sqlite3.Error):
                    self._load_names()
                raise
        self.rows += change.rows

    def origin_of(self, record: Critical, *, is_gap: bool = False) -> int:
        """Number of the process start that made `record`; made when it is new."""
        known = self._origins.get(record.boot)
        if known is not None:
            return known
        run = self._machine_run(record.kernel_boot_id)
        cursor = self.connection.execute(
            "INSERT INTO origin (boot, machine_run, is_gap) VALUES (?, ?, ?)",
            (record.boot, run, int(is_gap)),
        )
        self._origins[record.boot] = int(cursor.lastrowid or 0)
        return self._origins[record.boot]

    def known_origin(self, boot: str) -> int | None:
        """Number of a process start, None when nothing of it was ever stored."""
        return self._origins.get(boot)

    def keep_offset(self) -> None:
        """Inside a transaction: keep the wall clock's offset of this machine run if it is right."""
        if self.offset_is_due():
            run = self._machine_run(self._clock.kernel_boot_id)
            self.connection.execute(
                "UPDATE machine_run SET wall_offset_ns = ? WHERE id = ?", (self._offset_ns(), run)
            )
            self._offset_kept = True

    def offset_is_due(self) -> bool:
        """Whether the wall clock is right and its offset is not kept yet."""
        return not self._offset_kept and self._clock.time_ok()

    def with_offset(self, row: tuple[object, ...]) -> tuple[object, ...]:
        """`row` of rows.SELECT with the offset of this machine run when the row lacks it."""
        *values, kernel_boot_id, time_ok, offset_ns = row
        if offset_ns is not None or kernel_boot_id != self._clock.kernel_boot_id:
            return row
        if not self._clock.time_ok():
            return row
        return (*values, kernel_boot_id, time_ok, self._offset_ns())

    def free_pages(self) -> int:
        """Pages of the file that hold nothing."""
        return int(self._value("PRAGMA freelist_count"))

    def file_bytes(self) -> int:
        """Size of the file without its log."""
        return int(self._value("PRAGMA page_count")) * PAGE_BYTES

    def in_place(self) -> bool:
        """Whether the open file is still the one that the path names."""
        return self._identity() == self._file

    def close(self) -> None:
        """Close the file; nothing is lost without it."""
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()

    def _identity(self) -> tuple[int, int] | None:
        try:
            state = None if self.path is None else self.path.stat()
        except OSError:
            return None
        return None if state is None else (state.st_dev, state.st_ino)

    def _value(self, statement: str) -> int:
        return int(self.connection.execute(statement).fetchone()[0])

    def _own_name(self) -> str:
        row = self.connection.execute("SELECT name FROM store").fetchone()
        if row is not None:
            return str(row[0])
        name = secrets.token_hex(8)
        self.connection.execute("INSERT INTO store VALUES (?)", (name,))
        return name

    def _load_names(self) -> None:
        self._origins = {
            str(boot): int(number)
            for number, boot in self.connection.execute("SELECT id, boot FROM origin")
        }
        kept = self.connection.execute(
            "SELECT count(*) FROM machine_run "
            "WHERE kernel_boot_id = ? AND wall_offset_ns IS NOT NULL",
            (self._clock.kernel_boot_id,),
        ).fetchone()
        self._offset_kept = bool(kept[0])

    def _machine_run(self, kernel_boot_id: str) -> int:
        self.connection.execute(
            "INSERT INTO machine_run (kernel_boot_id) VALUES (?) "
            "ON CONFLICT (kernel_boot_id) DO NOTHING",
            (kernel_boot_id,),
        )
        found = self.connection.execute(
            "SELECT id FROM machine_run WHERE kernel_boot_id = ?", (kernel_boot_id,)
        ).fetchone()
        return int(found[0])

    def _offset_ns(self) -> int:
        return self._clock.wall_ns() - self._clock.boottime_ns()
