"""Look into the database beside the process that owns it: read-only, in short steps."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tinybms_buffer.rows import SELECT, from_row
from tinybms_buffer.trouble import trouble_of
from tinybms_messages.requests import StoredRecord

_STEP_ROWS: Final = 1000
_NEXT: Final = SELECT + "WHERE record.id > ? ORDER BY record.id LIMIT ?"


def count_rows(path: Path, *, before_wall_ns: int | None = None) -> int:
    """Stored records, all or those from before a wall time; StorageOff or Damaged."""
    statement = "SELECT count(*) FROM record"
    values: tuple[int, ...] = ()
    if before_wall_ns is not None:
        statement, values = f"{statement} WHERE wall_ns < ?", (before_wall_ns,)
    with _open(path) as connection:
        return int(connection.execute(statement, values).fetchone()[0])


def stored_records(path: Path) -> Iterator[StoredRecord]:
    """Every record in the order in which they were stored; StorageOff or Damaged.

    No step holds the log for long, so records that come or go meanwhile may show or not.
    """
    last = 0
    with _open(path) as connection:
        while rows := connection.execute(_NEXT, (last, _STEP_ROWS)).fetchall():
            for row in rows:
                yield from_row(row)
            last = int(rows[-1][0])


@contextlib.contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    connection = None
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)
        yield connection
    except sqlite3.Error as error:
        raise trouble_of(error, path) from error
    finally:
        if connection is not None:
            connection.close()
