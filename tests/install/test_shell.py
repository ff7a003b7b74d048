"""shellcheck reads every shell script of the repository."""

from __future__ import annotations

import subprocess

import pytest

from harness_tree import ROOT

pytestmark = pytest.mark.install

SCRIPTS = [*sorted(ROOT.glob("deploy/**/*.sh")), ROOT / ".ci" / "run"]


def test_shellcheck_finds_nothing() -> None:
    assert ROOT / "deploy" / "install.sh" in SCRIPTS
    done = subprocess.run(
        ["shellcheck", "-x", *map(str, SCRIPTS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0
