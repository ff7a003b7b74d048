"""Any process may hang: it is found and restarted, and the GX gets fresh measurements again."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness_sim import wait_until
from harness_stack import Stack, now_s
from tinybms_runtime.processes import NAMES

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

FRESH_WITHIN_S = 15.0
LONGEST_GAP_S = 2.0
TAKEOVER_GAP_S = 3.0
LIMITS = 0x351
MEASUREMENT = 0x356


@pytest.fixture
def stack(run_dir: Path) -> Iterator[Stack]:
    with Stack(run_dir, command="ctl") as stack:
        stack.wait_until_well()
        wait_until_grown(stack)
        yield stack


def wait_until_grown(stack: Stack) -> None:
    """Programs in their first 15 s are left alone, and health looks at nobody before its own."""

    def grown() -> bool:
        status = stack.status()
        return status is not None and all(
            (report["uptime_s"] or 0) > 17 for report in status["processes"].values()
        )

    stack.wait_for(grown, 30, "processes older than 17 s")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "health"])
def test_a_stopped_process_is_restarted_and_data_are_fresh_again(stack: Stack, name: str) -> None:
    others = {other: pid for other, pid in stack.pids().items() if other != name}
    since_s = now_s()
    stopped = stack.kill(name, signal.SIGSTOP)
    stack.wait_for(lambda: stack.pids().get(name, stopped) != stopped, 15, f"a new {name}")

    def fresh_frame() -> bool:
        status = stack.status()
        if status is None or status["data"]["state"] != "fresh" or status["data"]["age_s"] > 1:
            return False
        return bool(stack.frames(MEASUREMENT, now_s() - 1.0))

    left_s = FRESH_WITHIN_S - (now_s() - since_s)
    stack.wait_for(fresh_frame, left_s, "fresh measurements within 15 s")
    assert others.items() <= stack.pids().items()
    status = stack.status()
    assert status is not None
    assert any(event["code"] == "watchdog_kill" for event in status["events"])
    stack.wait_until_well(40)


def test_a_stopped_health_disturbs_nobody_and_blames_nobody_afterwards(stack: Stack) -> None:
    before = stack.pids()
    since_s = now_s()
    stack.kill("health", signal.SIGSTOP)
    answer = stack.ctl("status")
    assert answer.returncode == 1
    assert "health: hung" in answer.stdout
    assert "data: ok" in answer.stdout
    wait_until(lambda: now_s() - since_s > 60, 70, "the clock")
    stack.kill("health", signal.SIGCONT)
    resumed_s = now_s()
    wait_until(lambda: now_s() - resumed_s > 20, 30, "the clock")
    assert stack.pids() == before
    assert stack.longest_gap_s(LIMITS, since_s) <= LONGEST_GAP_S
    stack.wait_until_well()


def test_supervisord_stopped_for_a_minute_then_killed_is_taken_over(stack: Stack) -> None:
    before = stack.pids()
    since_s = now_s()
    stack.kill("supervisord", signal.SIGSTOP)
    wait_until(lambda: now_s() - since_s > 60, 70, "the clock")
    assert stack.pids() == before
    assert stack.longest_gap_s(LIMITS, since_s) <= LONGEST_GAP_S
    assert stack.ctl("up").returncode == 75
    stack.kill("supervisord", signal.SIGKILL)
    stack.up()

    def all_new() -> bool:
        after = stack.pids()
        return len(after) == len(NAMES) and not set(after.values()) & set(before.values())

    stack.wait_for(all_new, 20, "a new copy of every process")
    stack.wait_until_well()
    assert stack.longest_gap_s(LIMITS, since_s) <= TAKEOVER_GAP_S


def test_what_the_watchdog_did_is_in_the_log(stack: Stack) -> None:
    stopped = stack.kill("buffer", signal.SIGSTOP)
    stack.wait_for(lambda: stack.pids().get("buffer", stopped) != stopped, 15, "a new buffer")
    text = (stack.paths.log_dir / "health.log").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    (kill,) = [line for line in lines if line.get("event") == "watchdog_kill"]
    assert f"buffer (pid {stopped})" in kill["message"]
