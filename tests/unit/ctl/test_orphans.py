"""Only processes that surely are ours and have lost their supervisord are taken over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tinybms_ctl.orphans import Holder, in_waves, runs_module, why_not_ours
from tinybms_runtime.processes import NAMES

RUN_DIR = "/run/tinybms"

ORPHAN = Holder(
    name="broker",
    pid=4711,
    command=("python", "-P", "-m", "tinybms_broker"),
    run_dir=RUN_DIR,
    parent_command=("/sbin/init",),
)


def test_an_orphan_is_one() -> None:
    assert why_not_ours(ORPHAN, RUN_DIR) is None


@pytest.mark.parametrize(
    "command",
    [
        ("python", "-P", "-m", "tinybms_health"),
        ("python", "-P", "-m", "tinybms_broker_of_others"),
        ("grep", "tinybms_broker"),
        ("python", "-c", "-m tinybms_broker"),
        ("vim", "tinybms_broker", "-m"),
        (),
    ],
)
def test_another_program_with_that_pid_is_left_alone(command: tuple[str, ...]) -> None:
    assert why_not_ours(replace(ORPHAN, command=command), RUN_DIR) is not None


def test_a_process_of_another_run_folder_is_left_alone() -> None:
    other = replace(ORPHAN, run_dir="/run/tinybms2")
    assert why_not_ours(other, RUN_DIR) == "works for /run/tinybms2"


@pytest.mark.parametrize("run_dir", [None, RUN_DIR + "/"])
def test_the_lock_is_enough_when_the_environment_says_nothing_else(run_dir: str | None) -> None:
    assert why_not_ours(replace(ORPHAN, run_dir=run_dir), RUN_DIR) is None


@pytest.mark.parametrize(
    "parent",
    [
        ("/usr/bin/python3", "/usr/bin/supervisord", "-n"),
        ("python", "-P", "-m", "supervisor.supervisord", "-n", "-c", "x"),
    ],
)
def test_a_child_of_a_living_supervisord_is_left_alone(parent: tuple[str, ...]) -> None:
    assert why_not_ours(replace(ORPHAN, parent_command=parent), RUN_DIR) is not None


def test_the_module_must_follow_the_flag() -> None:
    assert runs_module(
        ("python", "-P", "-m", "tinybms_can_out", "--device", "a"), "tinybms_can_out"
    )
    assert not runs_module(("python", "-m"), "tinybms_can_out")


def test_can_out_is_ended_last() -> None:
    pids = {name: number for number, name in enumerate(NAMES, start=1)}
    first, last = in_waves(pids)
    assert list(last) == ["can_out"]
    assert set(first) == set(NAMES) - {"can_out"}


def test_only_what_was_found_is_ended() -> None:
    assert in_waves({"acquisition": 7}) == ({"acquisition": 7}, {})
