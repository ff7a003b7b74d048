"""The processes that the demo starts, and how every one of them ends with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from tinybms_ctl.system import process_facts
from tinybms_runtime.paths import Paths

STOP_WITHIN_S: Final = 30.0


class Children:
    """Starts processes; `end` stops them from the last to the first.

    Each is in a session of its own, so that Ctrl-C reaches the demo alone, which then ends them in
    order. Should the demo be killed, the kernel sends them SIGTERM (setpriv of util-linux).
    """

    def __init__(self, log_dir: Path, environment: Mapping[str, str]) -> None:
        self._log_dir = log_dir
        self._environment = dict(environment)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        setpriv = shutil.which("setpriv")
        self._prefix = [setpriv, "--pdeathsig", "TERM"] if setpriv else []

    def start(self, name: str, command: Sequence[str], *, piped: bool = False) -> IO[bytes] | None:
        """Start a process. Its output goes to <name>.log, or with `piped` to the answer."""
        with (self._log_dir / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*self._prefix, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        self._processes[name] = process
        return process.stdout

    def ended(self) -> list[str]:
        """Names of the processes that have ended by themselves."""
        return [name for name, process in self._processes.items() if process.poll() is not None]

    def end(self) -> None:
        """SIGTERM, and SIGKILL to what does not end in time."""
        for process in reversed(self._processes.values()):
            process.terminate()
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._processes.clear()


def end_orphans(paths: Paths) -> None:
    """Kill what a killed supervisord has left running in this run folder."""
    for facts in process_facts(paths, None).values():
        if facts.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(facts.pid, signal.SIGKILL)
