"""Small files that are whole or absent, whatever is killed while they are written."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomic(path: Path, data: bytes, *, durable: bool) -> None:
    """Put `data` in place of the file at once; OSError when that fails.

    `durable`: it is on the disk, not only in the page cache, when this returns. Without it a power
    cut may bring back the older file.
    """
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    if durable:
        _sync_folder(path.parent)


def read_bytes(path: Path) -> bytes | None:
    """Content of the file, None when there is none; OSError when it can't be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
