"""Figures of the proof that were kept: used again while the code is the same, and only then."""

from pathlib import Path

import pytest
from rich.console import Console

import charge_report
from charge_report import GATEWAY, Job, Kept, measured

OWN = Job(controller=GATEWAY, scenario="S12", seed=1)
PEER = Job(controller="cell latch", scenario="S12", seed=1)


def test_a_run_that_was_kept_is_not_made_again(tmp_path: Path) -> None:
    file = tmp_path / "build" / "kept.jsonl"
    first = measured([OWN, PEER], 1, Console(quiet=True), Kept(file))
    again = Kept(file)
    assert {job: again.get(job) for job in first} == first
    assert len(file.read_text().splitlines()) == 2
    assert measured([OWN, PEER], 1, Console(quiet=True), again) == first
    assert len(file.read_text().splitlines()) == 2


def test_other_code_makes_its_own_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "kept.jsonl"
    kept = Kept(file)
    kept.add(OWN, {"overshoot_mv": 1.0})
    kept.add(PEER, {"overshoot_mv": 2.0})
    monkeypatch.setattr(charge_report, "OWN_CODE", charge_report.PEER_CODE)
    later = Kept(file)
    assert later.get(OWN) is None
    assert later.get(PEER) == {"overshoot_mv": 2.0}


def test_nothing_kept_means_all_is_run() -> None:
    assert Kept(None).get(OWN) is None
