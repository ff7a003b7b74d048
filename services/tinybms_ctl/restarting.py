"""Restart one program of a running supervisord; the others go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import psutil

from tinybms_runtime.processes import PROCESSES
from tinybms_runtime.supervisor import Program, SupervisorClient, SupervisorError

STARTS_WITHIN_S: Final = 15.0
_LOOK_S: Final = 0.1
_STOP_MARGIN_S: Final = 5.0
_AT_REST: Final = frozenset({"STOPPED", "EXITED", "FATAL", "UNKNOWN"})


def restarted(
    client: SupervisorClient, name: str, *, starts_within_s: float = STARTS_WITHIN_S
) -> int:
    """The new pid, 0 when it does not come back. It ends by a signal, so that autorestart acts."""
    before = _program(client, name)
    if not before.pid:
        if before.state not in {"STARTING", "BACKOFF"}:
            client.start(name)
        return _new_pid(client, name, 0, starts_within_s)
    if _stopped(before.pid):
        client.kill(name)
    else:
        client.terminate(name)
        if not _wait(lambda: _program(client, name).pid != before.pid, _stop_wait_s(name)):
            client.kill(name)
    return _new_pid(client, name, before.pid, starts_within_s)


def replaced(client: SupervisorClient, name: str) -> int:
    """As `restarted`, for a program whose part of supervisord.conf is another now."""
    removed(client, name)
    client.add(name)
    return _new_pid(client, name, 0)


def removed(client: SupervisorClient, name: str) -> None:
    """End a program for good and drop it; SupervisorError when it lives on."""
    if _program(client, name).state not in _AT_REST:
        client.stop(name)
    within_s = _stop_wait_s(name) + _STOP_MARGIN_S
    if not _wait(lambda: _program(client, name).state in _AT_REST, within_s):
        raise SupervisorError(f"{name} has not ended within {within_s:g} s")
    client.forget(name)


def added(client: SupervisorClient, name: str) -> int:
    """The pid of a program that is new in supervisord.conf, 0 when it does not start."""
    client.add(name)
    return _new_pid(client, name, 0)


def _program(client: SupervisorClient, name: str) -> Program:
    program = client.programs().get(name)
    if program is None:
        raise SupervisorError(f"supervisord has no program {name}: its supervisord.conf is another")
    return program


def _stopped(pid: int) -> bool:
    """Whether the process is stopped, and would not hear of a SIGTERM."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def _stop_wait_s(name: str) -> float:
    return next((one.stop_wait_s for one in PROCESSES if one.name == name), 15)


def _new_pid(
    client: SupervisorClient, name: str, old: int, within_s: float = STARTS_WITHIN_S
) -> int:
    """The pid of a running program that is not `old`; 0 when there is none in time."""
    seen = _program(client, name)
    deadline = time.monotonic() + within_s
    while seen.state != "RUNNING" or seen.pid in {0, old}:
        if time.monotonic() >= deadline:
            return 0
        time.sleep(_LOOK_S)
        seen = _program(client, name)
    return seen.pid


def _wait(done: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_S)
    return True
