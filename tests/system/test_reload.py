"""Every process anew beside a GX: its frames go on, and a failure leaves can_out alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness_stack import Stack, now_s
from tinybms_runtime.processes import NAMES

LIMITS_ID = 0x351
MOST_S = 2.0
"""The promise of an upgrade: 0x351 is never missing for longer."""


@pytest.mark.timeout(150)
def test_all_restart_in_turn_while_the_limits_go_on(run_dir: Path) -> None:
    with Stack(run_dir, command="ctl") as stack:
        stack.wait_until_well()
        before = stack.pids()
        begun_s = now_s()
        answer = stack.ctl("reload", timeout_s=90)
        gap_s = stack.longest_gap_s(LIMITS_ID, begun_s)
        assert answer.returncode == 0, answer.stdout + answer.stderr + stack.log_ends()
        after = stack.pids()
        assert set(after) == set(NAMES)
        assert not set(before.values()) & set(after.values())
        assert gap_s <= MOST_S
        assert answer.stdout.splitlines()[-2].startswith("can_out: running")

        well = run_dir / "before.json"
        well.write_text(stack.ctl("status", "--json").stdout)
        assert json.loads(well.read_text())["status"] == "ok"
        stack.bms.unplug()
        words = ("reload", "--json", "--before", str(well), "--within", "20")
        answer = stack.ctl(*words, timeout_s=90)
        assert answer.returncode == 1
        told = json.loads(answer.stdout)
        assert (told["as_well_as_before"], "can_out is left as it is" in told["error"]) == (
            False,
            True,
        )
        assert set(told["pids"]) == set(NAMES) - {"can_out"}
        assert "can_out is left as it is" in answer.stderr
        assert stack.pids()["can_out"] == after["can_out"]
