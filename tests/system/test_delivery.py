"""No critical record is lost, whatever is killed: counted at an independent subscriber."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness_delivery import delivery, problems
from harness_mosquitto import Mosquitto

SEED = 20_261_125
FEWEST_RECORDS_A_KILL = 5


def kill_and_count(folder: Path, mosquitto: Mosquitto, *, kills: int, seed: int) -> None:
    with delivery(folder, mosquitto, seed) as stack:
        stack.live(2.0)
        while stack.kills.total() < kills:
            stack.one_kill()
        stack.settle()
        published = stack.published()
        heard = stack.witness.heard
        found = problems(published, heard)
        replayed = sum(one.replayed for one in heard)
        print(f"{dict(stack.kills)}: {len(published)} records, {replayed} replayed messages")
        assert found == []
        assert len(published) > FEWEST_RECORDS_A_KILL * kills
        assert replayed > kills


@pytest.mark.timeout(240)
def test_sixty_kills_lose_no_record(run_dir: Path, mosquitto: Mosquitto) -> None:
    kill_and_count(run_dir, mosquitto, kills=60, seed=SEED)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("part", range(5))
def test_three_hundred_kills_lose_no_record(run_dir: Path, mosquitto: Mosquitto, part: int) -> None:
    kill_and_count(run_dir, mosquitto, kills=60, seed=SEED + 1 + part)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(10))
def test_two_thousand_kills_lose_no_record(run_dir: Path, mosquitto: Mosquitto, part: int) -> None:
    kill_and_count(run_dir, mosquitto, kills=200, seed=SEED + 100 + part)
