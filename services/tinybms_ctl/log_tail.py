"""The end of a log file, and what is added to it, over rotation and truncation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 256 * 1024
"""Read at once, whatever the size of the file."""


class LogTail:
    """Reads one file; it may not exist yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = 0
        self._at = 0
        self._rest = b""

    def last(self, count: int) -> list[str]:
        """The last `count` whole lines within the last MOST_BYTES; `new` goes on behind them."""
        try:
            size = self._path.stat().st_size
        except OSError:
            return []
        start = max(0, size - MOST_BYTES)
        self._at = start
        lines = self._read()
        if start:
            del lines[:1]  # most likely cut
        return lines[-count:] if count else []

    def new(self) -> list[str]:
        """Lines that were added since; a file that was rotated or cut is read from its start."""
        try:
            facts = self._path.stat()
        except OSError:
            return []
        if facts.st_ino != self._inode or facts.st_size < self._at:
            self._at, self._rest = 0, b""
        return self._read()

    def _read(self) -> list[str]:
        try:
            with self._path.open("rb") as file:
                self._inode = os.fstat(file.fileno()).st_ino
                file.seek(self._at)
                data = file.read(MOST_BYTES)
        except OSError:
            return []
        self._at += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-MOST_BYTES:]
        return [line.decode("utf-8", "replace") for line in lines]
