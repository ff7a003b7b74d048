"""Any process may be killed: the others keep their pids, the GX keeps its frames."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness_sim import wait_until
from harness_stack import Stack, now_s
from tinybms_runtime.processes import NAMES

pytestmark = pytest.mark.timeout(180)

LONGEST_GAP_S = 2.0
TAKEOVER_GAP_S = 3.0
LIMITS = 0x351


@pytest.fixture
def stack(run_dir: Path) -> Iterator[Stack]:
    with Stack(run_dir, command="ctl") as stack:
        stack.wait_until_well()
        yield stack


def test_sigkill_of_each_process_disturbs_no_other(stack: Stack) -> None:
    for name in NAMES:
        others = {other: pid for other, pid in stack.pids().items() if other != name}
        before = counters(stack)
        since_s = now_s()
        killed = stack.kill(name)
        wait_for_successor(stack, name, killed)
        let_pass(2.5, since_s)
        stack.wait_until_well(10)
        assert others.items() <= stack.pids().items(), f"after the end of {name}"
        assert stack.longest_gap_s(LIMITS, since_s) <= LONGEST_GAP_S, f"after the end of {name}"
        assert stack.ctl("status").returncode == 0
        after = counters(stack)
        assert all(after[key] >= before[key] for key in before), f"after the end of {name}"
    status = stack.status()
    assert status is not None
    assert {name: report["restarts"] for name, report in status["processes"].items()} == (
        dict.fromkeys(NAMES, 1)
    )


def counters(stack: Stack) -> dict[str, float]:
    """Return the totals of energy and charge as status shows them; each must be known."""
    status = stack.status()
    assert status is not None
    shown = status["counters"]
    totals = [key for key in shown if key.endswith(("_kwh", "_ah"))]
    assert len(totals) == 4
    return {key: float(shown[key]) for key in totals}


def let_pass(seconds: float, since_s: float) -> None:
    """Wait until a gap of this length would show."""
    wait_until(lambda: now_s() - since_s > seconds, seconds + 5, "the clock")


def wait_for_successor(stack: Stack, name: str, killed: int) -> None:
    stack.wait_for(lambda: stack.pids().get(name, killed) != killed, 5, f"a new {name}")


def test_frames_go_on_without_supervisord_and_up_takes_over(stack: Stack) -> None:
    since_s = now_s()
    before = stack.pids()
    stack.kill("supervisord")
    let_pass(3.0, since_s)
    assert stack.pids() == before
    answer = stack.ctl("status")
    assert answer.returncode == 1
    assert "supervisord: down" in answer.stdout
    stack.up()

    def all_new() -> bool:
        after = stack.pids()
        return len(after) == len(NAMES) and not set(after.values()) & set(before.values())

    stack.wait_for(all_new, 20, "a new copy of every process")
    stack.wait_until_well()
    assert stack.longest_gap_s(LIMITS, since_s) <= TAKEOVER_GAP_S
    assert stack.ctl("status").returncode == 0


def test_a_second_up_is_refused_and_the_first_goes_on(stack: Stack) -> None:
    before = stack.pids()
    answer = stack.ctl("up")
    assert answer.returncode == 75
    assert "already runs" in answer.stderr
    assert stack.pids() == before


def test_a_stopped_supervisord_is_seen_and_not_replaced(stack: Stack) -> None:
    before = stack.pids()
    since_s = now_s()
    pid = stack.kill("supervisord", signal.SIGSTOP)
    status = stack.ctl("status")
    stack.wait_for(lambda: "supervisord: hung" in stack.ctl("status").stdout, 10, "word of it")
    assert status.returncode in {0, 1}
    answer = stack.ctl("up")
    assert answer.returncode == 75
    assert str(pid) in answer.stderr
    stack.kill("supervisord", signal.SIGCONT)
    stack.wait_until_well()
    assert stack.pids() == before
    assert stack.longest_gap_s(LIMITS, since_s) <= LONGEST_GAP_S


def test_down_ends_every_process(stack: Stack) -> None:
    answer = stack.ctl("down")
    assert (answer.returncode, answer.stdout) == (0, "stopped\n")
    assert stack.pids() == {}
    assert stack.ctl("status").returncode == 2
