"""The whole way of a gateway on a Debian 12 of its own: install, upgrade, back, out, twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness_machine import CONFIG, Machine
from harness_stack import now_s
from harness_tree import other_version

pytestmark = [pytest.mark.install, pytest.mark.timeout(600)]

OLD = "0.0.1"
MOST_S = 2.0
"""0x351 is never missing for longer, whatever install.sh does."""
OF_USERADD = {
    f"/etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")
}


@pytest.fixture(scope="module")
def old_wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return other_version(OLD, tmp_path_factory.mktemp("old"))


def test_the_whole_journey_twice(run_dir: Path, old_wheels: Path) -> None:
    with Machine(run_dir, wheels={"old": old_wheels}) as machine:
        bare = machine.files()
        lists = [journey(machine, bare) for _ in range(2)]
        assert lists[0] == lists[1]


def journey(machine: Machine, bare: dict[str, str]) -> list[set[str]]:
    """The paths that were new after each part of the journey."""
    seen: list[set[str]] = []

    def new_paths() -> set[str]:
        files = machine.files()
        unlike = {path for path, facts in bare.items() if files.get(path) != facts} - OF_USERADD
        assert not unlike
        seen.append({path for path in files if path not in bare} - OF_USERADD)
        return seen[-1]

    machine.installed(wheels="old")
    machine.init()
    assert "runs. See" in machine.installed(wheels="old")
    machine.wait_until_well()
    assert machine.versions() == {OLD}
    assert machine.good("stat", "-c", "%a %U %G", CONFIG) == "640 root tinybms\n"
    counted = charge_ah(machine)
    assert set(new_paths()) >= {"/etc/tinybms/gateway.toml", "/usr/local/bin/tinybms-ctl"}

    upgrade(machine)
    assert charge_ah(machine) >= counted
    back(machine)
    out(machine)
    assert set(new_paths()) >= {CONFIG, "/var/lib/tinybms"}
    machine.installed("--purge")
    assert new_paths() == set()
    assert "nothing of the gateway is left" in machine.installed("--purge")
    return seen


def upgrade(machine: Machine) -> None:
    begun_s = now_s()
    said = machine.installed()
    gap_s = machine.gap_s(begun_s)
    print(f"upgrade: {now_s() - begun_s:.1f} s, longest gap of 0x351 {gap_s:.2f} s")
    assert gap_s <= MOST_S, said
    new = machine.current()
    assert new != OLD
    assert machine.versions() == {new}
    assert machine.good("tinybms-ctl", "status")
    assert machine.good("test", "-s", f"/var/lib/tinybms/before-{new}.tar.gz") == ""
    again = machine.installed()
    assert "step" not in again


def back(machine: Machine) -> None:
    begun_s = now_s()
    said = machine.installed("--rollback")
    gap_s = machine.gap_s(begun_s)
    print(f"rollback: {now_s() - begun_s:.1f} s, longest gap of 0x351 {gap_s:.2f} s")
    assert gap_s <= MOST_S, said
    assert machine.versions() == {OLD}
    machine.wait_until_well()
    assert "step" not in machine.installed("--rollback")


def out(machine: Machine) -> None:
    machine.installed("--remove")
    assert machine.versions() == set()
    assert "step" not in machine.installed("--remove")


def charge_ah(machine: Machine) -> float:
    counters = json.loads(machine.good("tinybms-ctl", "status", "--json"))["counters"]
    return float(counters["charged_ah"] + counters["discharged_ah"])
