"""Finds what a test left behind: threads, processes (orphans too) and listening sockets."""

import contextlib
import gc
import os
import signal
import socket
import threading
import time
import uuid
from pathlib import Path

RUN_MARK = "TINYBMS_TEST_RUN"
POLL_S = 0.02
PROC = Path("/proc")


def mark_children() -> None:
    """Put a mark of this run into the environment, which children and their orphans inherit."""
    os.environ[RUN_MARK] = uuid.uuid4().hex


class Leaks:
    """What is there now is the test's inheritance; what comes on top of it is a leak.

    `include_orphans` also finds processes whose parent has ended, at the cost of a look at every
    process of the machine.
    """

    def __init__(self, *, include_orphans: bool) -> None:
        self._include_orphans = include_orphans
        self._threads = set(threading.enumerate())
        self._processes = self._all_processes()
        self._sockets = _own_sockets()

    def wait_until_gone(self, timeout_s: float) -> list[str]:
        """Return a description of each leak that is still there when the time is over."""
        deadline = time.monotonic() + timeout_s
        while (left := self._left()) and time.monotonic() < deadline:
            gc.collect()
            time.sleep(POLL_S)
        return left

    def end_processes(self) -> None:
        """Kill the leaked processes, so that one faulty test does not disturb the others."""
        for pid in self._all_processes() - self._processes:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def _left(self) -> list[str]:
        threads = set(threading.enumerate()) - self._threads
        processes = self._all_processes() - self._processes
        sockets = _own_sockets() - self._sockets
        return [
            *(f"thread {thread.name}" for thread in threads),
            *(f"process {pid} {_command(pid)}" for pid in processes),
            *(f"listening {name}" for link in sockets if (name := _listening(link))),
        ]

    def _all_processes(self) -> set[int]:
        return _children() | (_marked() if self._include_orphans else set())


def _children() -> set[int]:
    found: set[int] = set()
    for task in (PROC / "self/task").iterdir():
        with contextlib.suppress(OSError):
            found.update(int(pid) for pid in (task / "children").read_text().split())
    return found


def _marked() -> set[int]:
    mark = f"{RUN_MARK}={os.environ[RUN_MARK]}".encode()
    found: set[int] = set()
    for folder in PROC.iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.add(int(folder.name))
    return found


def _command(pid: int) -> str:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return "(ended)"


def _own_sockets() -> set[tuple[int, str]]:
    found: set[tuple[int, str]] = set()
    for fd in (PROC / "self/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(fd.readlink())
            if target.startswith("socket:"):
                found.add((int(fd.name), target))
    return found


def _listening(link: tuple[int, str]) -> str | None:
    fd, _ = link
    try:
        with socket.socket(fileno=os.dup(fd)) as probe:
            if probe.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return f"socket {probe.getsockname()}"
    except OSError:
        return None
    return None
