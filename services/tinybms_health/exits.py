"""A wait that ends at once when one of some processes ends.

supervisord hears of a child's end only once a second, but each call wakes it. Who waits here calls
it right then, and need not call it more often than to see how its programs are.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterable


class ExitWatch:
    """Watches processes by pidfd (Linux 5.3). `ring` alone may be called by another thread."""

    def __init__(self) -> None:
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._fds: dict[int, int] = {}
        """Descriptor by pid."""

    def watch(self, pids: Iterable[int]) -> None:
        """Watch these processes and no others; one that is gone already is left out."""
        wanted = set(pids)
        for pid in self._fds.keys() - wanted:
            os.close(self._fds.pop(pid))
        for pid in wanted - self._fds.keys():
            try:
                self._fds[pid] = os.pidfd_open(pid)
            except OSError:
                # Gone since, or an older kernel: the caller's own period has to do.
                continue

    def wait(self, timeout_s: float) -> bool:
        """Wait until one of them ends, `ring` is called or time is up; whether one has ended.

        A process that has ended is watched no longer, so that it is told of once.
        """
        by_fd = {fd: pid for pid, fd in self._fds.items()}
        ready, _, _ = select.select([self._bell, *by_fd], (), (), timeout_s)
        if self._bell in ready:
            os.eventfd_read(self._bell)
            ready.remove(self._bell)
        for fd in ready:
            os.close(self._fds.pop(by_fd[fd]))
        return bool(ready)

    def ring(self) -> None:
        """End the present wait, or the next one."""
        os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """Free all descriptors."""
        self.watch(())
        os.close(self._bell)
