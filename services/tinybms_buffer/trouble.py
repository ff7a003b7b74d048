"""What can be wrong with the store, in two kinds: wait and try again, or set the file aside."""

from __future__ import annotations

import os
import sqlite3
from enum import StrEnum
from pathlib import Path
from typing import Final

LEAST_FREE_BYTES: Final = 1024 * 1024
"""With less than this free a failed write is put down to the full disk."""


class OffCode(StrEnum):
    """Why nothing can be stored now."""

    NOT_WRITABLE = "not_writable"
    NETWORK = "network_file_system"
    FOREIGN = "foreign_file"
    NEWER = "newer_schema"
    FULL = "disk_full"
    LOCKED = "locked"
    DISK = "disk_error"


class StorageOff(Exception):
    """Nothing can be stored now and nothing was harmed; the text says what, where, what to do."""

    def __init__(self, code: OffCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class Damaged(Exception):
    """The file is ours but can't be trusted any more: it is to be set aside."""


_PRIMARY: Final = 0xFF
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_RIGHTS: Final = frozenset(
    {
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_AUTH,
    }
)
_LOCKS: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def trouble_of(error: sqlite3.Error, path: Path) -> StorageOff | Damaged:
    """Which of the two kinds an error of SQLite on `path` is."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
    if code in _DAMAGE:
        return Damaged(f"{path}: {error}")
    if code in _RIGHTS:
        return not_writable(path, str(error))
    if code in _LOCKS:
        text = f"{path}: another program holds the database ({error}); end that program"
        return StorageOff(OffCode.LOCKED, text)
    if code == sqlite3.SQLITE_FULL or _is_full(path):
        text = f"{path}: the disk is full ({error}); make room, storing begins again by itself"
        return StorageOff(OffCode.FULL, text)
    return StorageOff(OffCode.DISK, f"{path}: {error}; look at the disk and its kernel messages")


def not_writable(path: Path, why: str) -> StorageOff:
    """The file or its folder may not be written."""
    advice = "the gateway's user must be able to write file and folder"
    if _is_mounted_read_only(path):
        # The kernel itself does so with a card that begins to fail; no right would help.
        advice = "its file system is mounted read-only, look at the disk and its kernel messages"
    return StorageOff(OffCode.NOT_WRITABLE, f"{path}: {why}; {advice}")


def _is_mounted_read_only(path: Path) -> bool:
    try:
        return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _is_full(path: Path) -> bool:
    try:
        state = os.statvfs(path.parent)
    except OSError:
        return False
    no_inode_left = state.f_files > 0 and state.f_favail == 0
    return state.f_bavail * state.f_frsize < LEAST_FREE_BYTES or no_inode_left
