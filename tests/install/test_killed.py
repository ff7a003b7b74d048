"""install.sh is killed at each of its steps; the next run ends in a gateway that works."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness_machine import CONFIG, INSTALL, Machine
from harness_tree import other_version

pytestmark = [pytest.mark.install, pytest.mark.timeout(900)]

OLD = "0.0.1"
FIRST = [("version", 0.0), ("version", 1.5), ("version", 3.0)]
FIRST += [(step, 0.0) for step in ("user", "folders", "files", "switch")]
RESTARTS = [("restart", seconds) for seconds in (0.0, 3.0, 6.0, 10.0)]


def killed(machine: Machine, step: str, after_s: float, *options: str) -> bool:
    """Run install.sh and kill it with all its children some time after it names a step.

    False when it never named it.
    """
    with subprocess.Popen(
        machine.command([INSTALL, "--yes", *options]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(f"step {step}:"):
                time.sleep(after_s)  # a moment within the step, whichever it is
                os.killpg(process.pid, signal.SIGKILL)
                return True
    return False


def test_a_first_installation_killed_at_each_step(run_dir: Path) -> None:
    with Machine(run_dir) as machine:
        bare = machine.files()
        for step, after_s in FIRST:
            assert killed(machine, step, after_s), step
            machine.installed()
            assert "step" not in machine.installed()
            machine.good("tinybms-ctl", "config", "example")
            machine.installed("--purge")
            left = {path for path in machine.files() if path not in bare}
            assert {Path(path).parent for path in left} <= {Path("/etc")}, left
        machine.installed()
        machine.init()
        for step in ("config", "start"):
            assert killed(machine, step, 0.0), step
        machine.installed()
        machine.wait_until_well()


def test_an_upgrade_killed_at_each_step(run_dir: Path, tmp_path: Path) -> None:
    wheels = other_version(OLD, tmp_path)
    with Machine(run_dir, wheels={"old": wheels}) as machine:
        machine.installed(wheels="old")
        machine.init()
        machine.installed(wheels="old")
        machine.wait_until_well()
        for step, after_s in [("version", 2.0), ("switch", 0.0), ("switch", 0.8), *RESTARTS]:
            assert killed(machine, step, after_s), step
            machine.installed()
            new = machine.current()
            assert (machine.versions(), new != OLD) == ({new}, True), (step, after_s)
            machine.wait_until_well()
            assert "step" not in machine.installed()
            machine.installed("--rollback")
            assert machine.versions() == {OLD}
        assert killed(machine, "restart", 5.0)
        machine.installed("--rollback")
        assert (machine.current(), machine.versions()) == (OLD, {OLD})
        machine.wait_until_well()


def test_a_removal_killed_at_each_step(run_dir: Path) -> None:
    with Machine(run_dir) as machine:
        bare = machine.files()
        machine.installed()
        machine.init()
        machine.installed()
        for step in ("stop", "unfile", "programs", "data", "account"):
            assert killed(machine, step, 0.0, "--purge"), step
        machine.installed("--purge")
        left = {path for path in machine.files() if path not in bare}
        assert CONFIG not in left
        assert {Path(path).parent for path in left} <= {Path("/etc")}, left
        assert machine.versions() == set()
