"""The commands of the documents that are marked to be run, beside a whole gateway."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from harness_documents import name_of, pages, runnable
from harness_stack import Stack

TELL = ("tinybms-ctl status", "tinybms-ctl doctor")
TELLS_WELL_WITHIN_S = 30.0
PAGES = [page for page in pages() if runnable(page) and page.name != "README.fr.md"]
"""The French page has the same blocks as the English one: another test compares them."""


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_commands_of_the_documents_work(run_dir: Path) -> None:
    assert len(PAGES) >= 3
    work = run_dir / "work"
    work.mkdir()
    with Stack(run_dir) as stack:
        for page in PAGES:
            stack.wait_until_well()
            for line in runnable(page):
                answer = run(stack, line, work)
                assert answer.returncode == 0, f"{name_of(page)}: {line}: {answer}"
    assert {"pack1.tar.gz", "pack1-with-passwords.tar.gz"} <= {one.name for one in work.iterdir()}


def run(stack: Stack, line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """One line as a user's shell runs it, with tinybms-ctl on PATH.

    What tells how things are is asked again for a while: on a busy machine a simulator that gets no
    turn for a moment is a fault, and said to be one.
    """
    deadline = time.monotonic() + TELLS_WELL_WITHIN_S
    answer = _once(stack, line, folder)
    while answer.returncode and line.startswith(TELL) and time.monotonic() < deadline:
        answer = _once(stack, line, folder)
    return answer


def _once(stack: Stack, line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=stack.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
