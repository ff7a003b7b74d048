"""The files of a backup: how each is read while its owner writes, and how all are put back."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import closing
from pathlib import Path
from typing import Final

from tinybms_config.model import Config
from tinybms_ctl.backup_archive import MAX_FILE_BYTES, is_plain_name
from tinybms_runtime.paths import Paths

BEFORE: Final = ".before-restore"
"""Ends the name of a file that a restore put aside."""
_NEW: Final = ".restoring"
_SQLITE_MAGIC: Final = b"SQLite format 3\0"
_SQLITE_COMPANIONS: Final = ("-wal", "-shm", "-journal")
_PASSING: Final = (*_SQLITE_COMPANIONS, ".new", _NEW)
"""Ends of names that are no state: parts of an open database, half-written files."""


class UnreadableError(Exception):
    """A file that belongs into the backup can't be read; the text says which, and why."""


def secret_files(config: Config) -> dict[str, Path]:
    """The files of secrets that the configuration names, by its key."""
    named = {
        "mqtt.password_file": config.mqtt.password_file,
        "mqtt.tls.key_file": config.mqtt.tls.key_file,
        "health.token_file": config.health.token_file,
    }
    return {key: Path(file) for key, file in named.items() if file is not None}


def state_files(paths: Paths, secrets: Iterable[Path]) -> Iterator[Path]:
    """The device's files in the state folder, without secrets that lie there too."""
    hidden = {secret.resolve() for secret in secrets}
    for file in sorted(paths.state_dir.glob(f"{paths.device}-*")):
        kept_aside = BEFORE in file.name
        if kept_aside or file.name.endswith(_PASSING) or not is_plain_name(file.name):
            continue
        if file.is_file() and not file.is_symlink() and file.resolve() not in hidden:
            yield file


def content(file: Path) -> bytes:
    """The file as it is at one moment; UnreadableError when it can't be had or is too large.

    A SQLite database comes through SQLite, with what is still in its write-ahead log.
    """
    try:
        with file.open("rb") as stream:
            is_database = stream.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
            stream.seek(0)
            data = _database(file) if is_database else stream.read(MAX_FILE_BYTES + 1)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableError(f"{file}: {reason}; make it readable or move it away") from error
    if len(data) > MAX_FILE_BYTES:
        raise UnreadableError(f"{file}: larger than {MAX_FILE_BYTES} bytes")
    return data


def _database(file: Path) -> bytes:
    with tempfile.TemporaryDirectory(prefix="tinybms-backup-") as folder:
        copy = Path(folder) / "copy.sqlite"
        address = f"{file.absolute().as_uri()}?mode=ro"
        with (
            closing(sqlite3.connect(address, uri=True, timeout=10.0)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        return copy.read_bytes()


def put_back(
    files: Mapping[Path, bytes], *, private: AbstractSet[Path], obsolete: Iterable[Path]
) -> None:
    """Write all `files`, or none: OSError leaves everything as it was.

    What is replaced, and each `obsolete` file, stays as *.before-restore. `private` files are for
    their owner alone; root, who writes for another user, lets the group of the folder read them.
    """
    fresh: dict[Path, Path] = {}
    moved: list[tuple[Path, Path]] = []
    placed: list[Path] = []
    try:
        for target, data in files.items():
            hidden = target in private and os.geteuid() != 0
            fresh[target] = _write_beside(target, data, 0o600 if hidden else 0o640)
        for target in (*files, *obsolete):
            moved.extend(_set_aside(target, keep=target in fresh))
        for target, new in fresh.items():
            new.replace(target)
            placed.append(target)
        for folder in {target.parent for target in files}:
            _sync_folder(folder)
    except OSError:
        kept = {before for before, _ in moved}
        for target in placed:
            if target not in kept:
                target.unlink(missing_ok=True)
        for before, aside in reversed(moved):
            aside.replace(before)
            aside.unlink(missing_ok=True)
        raise
    finally:
        for new in fresh.values():
            new.unlink(missing_ok=True)


def _write_beside(target: Path, data: bytes, mode: int) -> Path:
    """A new file in the same folder, on the disk; it gets the owner of the one it replaces."""
    target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    new = target.with_name(target.name + _NEW)
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
            if os.geteuid() == 0:
                owner = (target if target.exists() else target.parent).stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            if target.exists():
                os.fchmod(descriptor, target.stat().st_mode & 0o777)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    return new


def _set_aside(target: Path, *, keep: bool) -> Iterator[tuple[Path, Path]]:
    """Give the file a second name (`keep`), or another one, and so for the parts of a database.

    Left where it is, an old write-ahead log would be read into the new database.
    """
    aside = target.with_name(target.name + BEFORE)
    for end in ("", *_SQLITE_COMPANIONS):
        before, after = target.with_name(target.name + end), aside.with_name(aside.name + end)
        after.unlink(missing_ok=True)
        if not before.exists():
            continue
        if keep and not end:
            os.link(before, after)
        else:
            before.replace(after)
        yield before, after


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
