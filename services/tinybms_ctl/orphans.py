"""Processes that outlived their supervisord: who they are, and how they are replaced.

A process counts only when it holds the lock of this run folder, its command line is the one of the
program, and no supervisord is its parent. Anything else is left alone.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

from tinybms_ctl.system import SUPERVISOR_WORD, command_line
from tinybms_runtime.lock import holder_pid
from tinybms_runtime.paths import Paths
from tinybms_runtime.processes import NAMES, PROCESSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that holds the lock of program `name`."""

    name: str
    pid: int
    command: tuple[str, ...]
    run_dir: str | None
    """TINYBMS_RUN_DIR of its environment, None when that is not set or can't be read."""
    parent_command: tuple[str, ...]


def find_orphans(paths: Paths) -> tuple[list[Holder], list[str]]:
    """The orphans of this run folder, and a sentence for each lock holder that is none."""
    orphans: list[Holder] = []
    strangers: list[str] = []
    for name in NAMES:
        pid = holder_pid(paths.lock(name))
        holder = _look_at(name, pid) if pid else None
        if holder is None:
            continue
        why = why_not_ours(holder, str(paths.run_dir))
        if why is None:
            orphans.append(holder)
        else:
            strangers.append(f"pid {pid} holds {paths.lock(name)} but {why}: it is left alone")
    return orphans, strangers


def why_not_ours(holder: Holder, run_dir: str) -> str | None:
    """Why the process may not be ended as an orphan; None when it is one."""
    if not runs_module(holder.command, f"tinybms_{holder.name}"):
        return f"is not `-m tinybms_{holder.name}`"
    if holder.run_dir is not None and holder.run_dir.rstrip("/") != run_dir.rstrip("/"):
        return f"works for {holder.run_dir}"
    if any(SUPERVISOR_WORD in word for word in holder.parent_command):
        return "has a supervisord that lives"
    return None


def runs_module(command: Sequence[str], module: str) -> bool:
    """Whether the words are those of `python ... -m module`."""
    pairs = itertools.pairwise(command)
    return any(flag == "-m" and name == module for flag, name in pairs)


def in_waves(pids: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """First all but can_out, then can_out: frames go on until a new acquisition measures."""
    first = {p.name: pids[p.name] for p in PROCESSES if p.name in pids and p.name != "can_out"}
    last = {name: pid for name, pid in pids.items() if name == "can_out"}
    return first, last


def _look_at(name: str, pid: int) -> Holder | None:
    """What the system says of the process; None when it has just ended."""
    command = command_line(pid)
    if not command:
        return None
    environment: dict[str, str] = {}
    try:
        process = psutil.Process(pid)
        parent = process.ppid()
        with contextlib.suppress(psutil.AccessDenied):
            environment = process.environ()
    except psutil.Error:
        return None
    return Holder(
        name=name,
        pid=pid,
        command=tuple(command),
        run_dir=environment.get("TINYBMS_RUN_DIR"),
        parent_command=tuple(command_line(parent)),
    )
