"""What the system says: which processes hold the locks, and whether supervisord lives."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

from tinybms_health.view import ProcessFacts, SupervisorFacts, Usage
from tinybms_runtime.lock import holder_pid
from tinybms_runtime.paths import Paths
from tinybms_runtime.processes import NAMES
from tinybms_runtime.statefile import read_bytes
from tinybms_runtime.supervisor import (
    Program,
    SupervisorClient,
    SupervisorError,
    SupervisorUnreachableError,
)

SUPERVISOR_WORD = "supervisor"
"""Part of the command line of every supervisord."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervisord:
    """supervisord's state, and its programs when it answers."""

    facts: SupervisorFacts
    programs: dict[str, Program] | None


def supervisord(paths: Paths) -> Supervisord:
    """Ask supervisord; when it is silent, whether the process in its pid file lives."""
    client = SupervisorClient(paths.supervisor_socket)
    try:
        programs = client.programs()
        facts = SupervisorFacts(state="running", pid=client.pid())
    except SupervisorUnreachableError as error:
        return Supervisord(facts=_unreachable(paths, error), programs=None)
    except SupervisorError as error:
        facts = SupervisorFacts(state="hung", pid=living_supervisord(paths), detail=str(error))
        return Supervisord(facts=facts, programs=None)
    finally:
        client.close()
    return Supervisord(facts=facts, programs=programs)


def _unreachable(paths: Paths, error: SupervisorUnreachableError) -> SupervisorFacts:
    if isinstance(error.__cause__, PermissionError):
        return SupervisorFacts(state="unknown", detail=f"{error}: run this as the gateway's user")
    pid = living_supervisord(paths)
    if pid:
        text = f"pid {pid} lives, but does not answer: {error}"
        return SupervisorFacts(state="hung", pid=pid, detail=text)
    return SupervisorFacts(state="hung" if error.hung else "down", detail=str(error))


def living_supervisord(paths: Paths) -> int:
    """Pid of the supervisord named in the pid file when it lives (a stopped one too), else 0."""
    try:
        text = (read_bytes(paths.supervisor_pid_file) or b"").decode("ascii", "replace").strip()
    except OSError:
        return 0
    if not text.isdigit():
        return 0
    pid = int(text)
    return pid if any(SUPERVISOR_WORD in word for word in command_line(pid)) else 0


def command_line(pid: int) -> list[str]:
    """Words of the command line; empty when the process is gone or a zombie."""
    try:
        return psutil.Process(pid).cmdline()
    except (psutil.Error, ValueError):
        return []


def process_facts(paths: Paths, programs: dict[str, Program] | None) -> dict[str, ProcessFacts]:
    """Every process of the gateway, by its lock file and by supervisord."""
    return {name: _facts(paths, name, (programs or {}).get(name)) for name in NAMES}


def _facts(paths: Paths, name: str, program: Program | None) -> ProcessFacts:
    pid = _holder(paths, name)
    supervisor_state = program.state if program else ""
    error = program.error if program else ""
    if not pid:
        return ProcessFacts(pid=0, supervisor_state=supervisor_state, error=error)
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return ProcessFacts(
                pid=pid,
                supervisor_state=supervisor_state,
                uptime_s=max(0.0, time.time() - process.create_time()),
                frozen=process.status() == psutil.STATUS_STOPPED,
                usage=Usage(rss_bytes=process.memory_info().rss, cpu_pct=None),
            )
    except psutil.Error:
        return ProcessFacts(pid=0, supervisor_state=supervisor_state, error=error)


def _holder(paths: Paths, name: str) -> int:
    try:
        return holder_pid(paths.lock(name)) or 0
    except OSError:
        return 0
