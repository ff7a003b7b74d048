"""install.sh is killed at each of its steps; the next run ends in a gateway that works."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness_machine import CONFIG, INSTALL, Machine
from harness_tree import ROOT, Tree, other_version

pytestmark = [pytest.mark.install, pytest.mark.timeout(900)]

OLD = "0.0.1"
FIRST = [("version", 0.0), ("version", 1.5), ("version", 3.0)]
FIRST += [(step, 0.0) for step in ("user", "folders", "files", "switch")]
RESTARTS = [("restart", seconds) for seconds in (0.0, 3.0, 6.0, 10.0)]


INSTALLING = (INSTALL, "--yes")


def killed(
    machine: Tree, line_begins: str, after_s: float, command: Sequence[str] = INSTALLING
) -> bool:
    """Run install.sh and kill it with all its children some time after a line of its output.

    False when that line never came.
    """
    with subprocess.Popen(
        machine.command(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(line_begins):
                time.sleep(after_s)  # a moment within the step, whichever it is
                os.killpg(process.pid, signal.SIGKILL)
                return True
    return False


def test_a_first_installation_killed_at_each_step(run_dir: Path) -> None:
    with Machine(run_dir) as machine:
        bare = machine.files()
        for step, after_s in FIRST:
            assert killed(machine, f"step {step}:", after_s), step
            machine.installed()
            assert "step" not in machine.installed()
            machine.good("tinybms-ctl", "config", "example")
            machine.installed("--purge")
            left = {path for path in machine.files() if path not in bare}
            assert {Path(path).parent for path in left} <= {Path("/etc")}, left
        machine.installed()
        machine.init()
        for step in ("config", "start"):
            assert killed(machine, f"step {step}:", 0.0), step
        machine.installed()
        machine.wait_until_well()


def test_apt_killed_in_the_middle_is_mended_by_the_next_run(run_dir: Path) -> None:
    shared = {ROOT: "media/source", Path("/etc/apt"): "etc/apt"}
    with Tree(run_dir / "tree", shared=shared) as tree:
        install = ["/media/source/deploy/install.sh", "--yes"]
        tree.good("apt-get", "update", "-qq")
        assert killed(tree, "Unpacking ", 0.0, install)
        assert tree.good("dpkg", "--audit")
        done = tree.run(*install, timeout_s=600.0)
        assert "step version:" in done.stdout, done.stdout
        assert not tree.good("dpkg", "--audit")
        tree.good("/usr/bin/python3", "-c", "import ensurepip")


def test_an_upgrade_killed_at_each_step(run_dir: Path, tmp_path: Path) -> None:
    wheels = other_version(OLD, tmp_path)
    with Machine(run_dir, wheels={"old": wheels}) as machine:
        machine.installed(wheels="old")
        machine.init()
        machine.installed(wheels="old")
        machine.wait_until_well()
        for step, after_s in [("version", 2.0), ("switch", 0.0), ("switch", 0.8), *RESTARTS]:
            assert killed(machine, f"step {step}:", after_s), step
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
            assert killed(machine, f"step {step}:", 0.0, "--purge"), step
        machine.installed("--purge")
        left = {path for path in machine.files() if path not in bare}
        assert CONFIG not in left
        assert {Path(path).parent for path in left} <= {Path("/etc")}, left
        assert machine.versions() == set()
