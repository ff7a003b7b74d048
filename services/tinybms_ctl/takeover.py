"""Replace orphans under a new supervisord, so that the GX misses at most three seconds of frames.

The new copies wait for the locks of the old ones. can_out is replaced last, and only when the new
acquisition has a sample: until then the old one goes on with what the broker gives it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from collections.abc import Callable, Mapping
from typing import Final

import psutil

from tinybms_ctl.orphans import in_waves, runs_module
from tinybms_ctl.system import command_line
from tinybms_health.listener import Listener
from tinybms_runtime.bus import Bus
from tinybms_runtime.clock import SystemClock
from tinybms_runtime.lock import holder_pid
from tinybms_runtime.loop import Loop
from tinybms_runtime.paths import Paths
from tinybms_runtime.supervisor import SupervisorClient, SupervisorError

SUPERVISORD_WITHIN_S: Final = 20.0
TERM_S: Final = 2.0
SAMPLE_WITHIN_S: Final = 5.0
"""A battery that is silent now must not keep the old can_out for ever."""
_LOOK_S: Final = 0.05
_ASK_S: Final = 2.0

Say = Callable[[str], None]


def take_over(paths: Paths, orphans: Mapping[str, int], say: Say) -> bool:
    """End the orphans (name to pid) in order; False when supervisord did not come up."""
    if not _wait(lambda: _supervisord_answers(paths), SUPERVISORD_WITHIN_S):
        say("supervisord did not start: the running processes are left alone")
        return False
    first, last = in_waves(orphans)
    end_all(first, say)
    if last and _acquisition_works(paths, orphans.get("acquisition", 0), say):
        end_all(last, say)
    return True


def end_all(pids: Mapping[str, int], say: Say) -> None:
    """SIGTERM to each, SIGKILL to what is still there after two seconds."""
    ours = {name: pid for name, pid in pids.items() if _is(name, pid)}
    for name, pid in ours.items():
        say(f"ending {name} (pid {pid}) of the former supervisord")
        _send(pid, signal.SIGTERM)
    if _wait(lambda: not any(_is(name, pid) for name, pid in ours.items()), TERM_S):
        return
    for name, pid in ours.items():
        if _is(name, pid):
            say(f"{name} (pid {pid}) did not end within {TERM_S:g} s: killed")
            _send(pid, signal.SIGKILL)
    _wait(lambda: not any(_is(name, pid) for name, pid in ours.items()), TERM_S)


def _acquisition_works(paths: Paths, old_pid: int, say: Say) -> bool:
    """Wait until a new acquisition runs, and a little for its sample; False without supervisord."""

    def runs() -> bool:
        return (holder_pid(paths.lock("acquisition")) or old_pid) != old_pid

    if not _wait(runs, SUPERVISORD_WITHIN_S):
        say("the new acquisition does not run yet: the old can_out stays")
    while not _wait(runs, _ASK_S):
        if not _supervisord_answers(paths):
            return False
    pid = holder_pid(paths.lock("acquisition")) or 0
    if not sample_arrives(paths, pid, SAMPLE_WITHIN_S):
        say("the new acquisition has no sample yet")
    return True


def sample_arrives(paths: Paths, pid: int, within_s: float) -> bool:
    """Whether acquisition with this pid publishes a sample in time."""
    clock = SystemClock()
    loop = Loop(clock)
    bus = Bus(paths=paths, source="ctl", boot=secrets.token_hex(8), clock=clock, loop=loop)
    listener = Listener(bus, kernel_boot_id=clock.kernel_boot_id)

    def arrived() -> bool:
        beat = listener.heartbeat("acquisition")
        live = listener.heard().live
        return (
            beat is not None
            and beat[1].pid == pid
            and live.with_sample is not None
            and live.boot == beat[0].boot
        )

    try:
        return loop.run_until(arrived, within_s)
    finally:
        bus.close()
        loop.close()


def _is(name: str, pid: int) -> bool:
    """Whether the pid still is that process: a pid may have been given to another one."""
    return runs_module(command_line(pid), f"tinybms_{name}") and not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _supervisord_answers(paths: Paths) -> bool:
    client = SupervisorClient(paths.supervisor_socket)
    try:
        client.pid()
    except SupervisorError:
        return False
    finally:
        client.close()
    return True


def _wait(done: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_S)
    return True
