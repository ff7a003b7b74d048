"""A version whose programs end at once: the gateway goes back by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness_machine import Machine
from harness_stack import now_s
from harness_tree import other_version

pytestmark = [pytest.mark.install, pytest.mark.timeout(400)]

NEXT = "9.0.0"


@pytest.mark.parametrize(("broken", "most_gap_s"), [("mqtt_out", 2.0), ("can_out", 20.0)])
def test_it_goes_back_by_itself(
    run_dir: Path, tmp_path: Path, broken: str, most_gap_s: float
) -> None:
    wheels = other_version(NEXT, tmp_path, broken=broken)
    with Machine(run_dir, wheels={"next": wheels}) as machine:
        machine.installed()
        machine.init()
        machine.installed()
        machine.wait_until_well()
        good = machine.current()
        begun_s = now_s()
        done = machine.install(wheels="next")
        gap_s = machine.gap_s(begun_s)
        print(f"{broken}: back after {now_s() - begun_s:.1f} s, longest gap of 0x351 {gap_s:.2f} s")
        assert done.returncode == 1
        assert f"version {NEXT} did not work here" in done.stdout
        assert f"version {good} runs again and is well" in done.stdout, done.stdout
        assert gap_s <= most_gap_s, done.stdout
        assert (machine.current(), machine.versions()) == (good, {good})
        machine.wait_until_well()
        assert "step" not in machine.installed()
