"""Open the database: refuse what is not ours, set aside what is damaged, bring it to our schema."""

from __future__ import annotations

import os
import sqlite3
import stat
import struct
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from tinybms_buffer.filesystem import network_file_system
from tinybms_buffer.trouble import Damaged, OffCode, StorageOff, not_writable, trouble_of

APPLICATION_ID: Final = 0x7442_4D53
"""'tBMS', in the file's header: whose file it is."""
SCHEMAS: Final = ("schema_v1.sql",)
"""From nothing to 1, from 1 to 2, and so on."""
SCHEMA_VERSION: Final = len(SCHEMAS)
MOST_SET_ASIDE: Final = 3
PAGE_BYTES: Final = 4096
LOG_PAGES: Final = 256
"""The log is copied into the database at this length, and cut to it."""

_MAGIC: Final = b"SQLite format 3\x00"
_HEADER_BYTES: Final = 100
_COMPANIONS: Final = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An open database. `damage` says what was wrong with a file that was moved to `set_aside`."""

    connection: sqlite3.Connection
    set_aside: Path | None = None
    damage: str = ""


def open_database(path: Path | None, *, max_bytes: int, distrust: str = "") -> Opened:
    """The database at `path`, made when missing; in memory when there is no path.

    StorageOff when it can't be used now. A damaged file is moved aside with its log, the newest
    MOST_SET_ASIDE of them are kept, and a new one is made; so is one that the caller has reason to
    `distrust`.
    """
    if path is None:
        return Opened(connection=_prepare(sqlite3.connect(":memory:"), max_bytes))
    _require_usable_folder(path)
    if not distrust:
        try:
            return Opened(connection=_open(path, max_bytes))
        except Damaged as damage:
            distrust = str(damage)
    aside = _set_aside(path)
    try:
        connection = _open(path, max_bytes)
    except Damaged as again:
        text = f"{again}; a new database was damaged at once: look at the disk"
        raise StorageOff(OffCode.DISK, text) from again
    return Opened(connection=connection, set_aside=aside, damage=distrust)


def quick_check(connection: sqlite3.Connection) -> None:
    """Read the structure of the whole database; Damaged when something is wrong."""
    found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    if found != ["ok"]:
        raise Damaged("; ".join(found))


def _open(path: Path, max_bytes: int) -> sqlite3.Connection:
    try:
        _require_ours(path)
        connection = sqlite3.connect(path, isolation_level=None, timeout=1.0)
    except sqlite3.Error as error:
        raise trouble_of(error, path) from error
    try:
        quick_check(connection)
        return _prepare(connection, max_bytes)
    except sqlite3.Error as error:
        connection.close()
        raise trouble_of(error, path) from error
    except (Damaged, StorageOff):
        connection.close()
        raise


def _prepare(connection: sqlite3.Connection, max_bytes: int) -> sqlite3.Connection:
    connection.isolation_level = None
    # The page size and auto_vacuum count only before the first table; the bound is not in the file.
    for pragma in (
        f"page_size = {PAGE_BYTES}",
        "auto_vacuum = INCREMENTAL",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = OFF",
        "temp_store = MEMORY",
        f"wal_autocheckpoint = {LOG_PAGES}",
        f"journal_size_limit = {LOG_PAGES * PAGE_BYTES}",
        f"max_page_count = {max_bytes // PAGE_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    for number, name in enumerate(SCHEMAS[version:], start=version + 1):
        statements = files("tinybms_buffer").joinpath(name).read_text("utf-8")
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{statements}\nPRAGMA application_id = {APPLICATION_ID};\n"
            f"PRAGMA user_version = {number};\nCOMMIT;"
        )
    if version < SCHEMA_VERSION:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return connection


def _require_usable_folder(path: Path) -> None:
    folder = path.parent
    try:
        network = network_file_system(folder)
        if network is not None:
            text = (
                f"{folder} lies on a network file system ({network}), where the database's log "
                "does not work; set gateway.state_dir to a folder of a local disk"
            )
            raise StorageOff(OffCode.NETWORK, text)
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            raise StorageOff(OffCode.FOREIGN, f"{path} is no regular file; move it away")
    except OSError as error:
        raise not_writable(path, error.strerror or str(error)) from error
    for place in (folder, path):
        if place.exists() and not os.access(place, os.W_OK | os.R_OK):
            raise not_writable(path, f"no right to write {place}")


def _require_ours(path: Path) -> None:
    """Look at the header before SQLite does, so that a file of others stays as it is."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return
    except OSError as error:
        raise not_writable(path, error.strerror or str(error)) from error
    if not header:
        return
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise Damaged(f"{path}: the header is not that of a database")
    version, application = _struct_at(header, 60), _struct_at(header, 68)
    if application == APPLICATION_ID:
        if version > SCHEMA_VERSION:
            raise StorageOff(
                OffCode.NEWER,
                f"{path} was written by a newer release (schema {version}, this one knows "
                f"{SCHEMA_VERSION}); install that release again or move the file away",
            )
    elif application != 0 or _has_tables_of_others(path):
        text = f"{path} is a database of another program; move it away or set gateway.state_dir"
        raise StorageOff(OffCode.FOREIGN, text)


def _struct_at(header: bytes, offset: int) -> int:
    return int(struct.unpack_from(">I", header, offset)[0])


def _has_tables_of_others(path: Path) -> bool:
    """A new file of ours may still have its first transaction in the log alone."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
        tables = int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    return application != APPLICATION_ID and tables > 0


def _set_aside(path: Path) -> Path:
    names = [path.with_name(f"{path.name}.damaged-{n}") for n in range(1, MOST_SET_ASIDE + 1)]
    try:
        free = [name for name in names if not name.exists()]
        aside = free[0] if free else min(names, key=lambda name: name.stat().st_mtime_ns)
        for companion in _COMPANIONS:
            aside.with_name(aside.name + companion).unlink(missing_ok=True)
        for companion in reversed(_COMPANIONS):
            file = path.with_name(path.name + companion)
            if file.exists():
                file.replace(aside.with_name(aside.name + companion))
    except OSError as error:
        raise not_writable(path, f"damaged and can't be moved aside: {error.strerror}") from error
    return aside
