"""One copy of each process: a lock file that holds the pid of the one that runs."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from typing import Final

RETRY_S: Final = 0.2
PATIENCE_S: Final = 3.0
"""A predecessor that is just ending gets this long."""


class AlreadyRunningError(Exception):
    """Another copy holds the lock; `pid` is its pid, None when the file does not tell."""

    def __init__(self, path: Path, pid: int | None) -> None:
        self.path = path
        self.pid = pid
        super().__init__(f"another copy is running (pid {pid or 'unknown'}, lock {path})")


class ProcessLock:
    """Holds the lock from `acquire` until the process ends; the kernel frees it even on SIGKILL."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, *, patience_s: float = PATIENCE_S) -> None:
        """Take the lock and write our pid; AlreadyRunningError after `patience_s` in vain."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        deadline = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    raise AlreadyRunningError(self._path, holder_pid(self._path)) from None
                time.sleep(RETRY_S)
                continue
            break
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Free the lock; the file stays, for removing it could free a successor's."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def holder_pid(path: Path) -> int | None:
    """Pid of the process that holds the lock now, None when nobody does or it can't be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES):
            return None
        raise
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(descriptor, 32, 0).decode("ascii", errors="replace").strip()
            return int(text) if text.isdigit() else None
        return None
    finally:
        os.close(descriptor)
