"""The ring keeps the last records through kills, and gives them back by boot and number."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_critical import BOOT, make_alarm, make_record
from fake_disk import no_file_longer_than
from tinybms_acquisition import ringfile
from tinybms_acquisition.ringfile import MAX_RECORD_BYTES, CriticalRing
from tinybms_messages.requests import MAX_RECORDS, MAX_RECORDS_BYTES, RingBoot

OTHER = "00000000000000a2"
EVERYTHING = ((1, 10**9),)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pack1-critical.ring"


@pytest.fixture
def ring(path: Path) -> Iterator[CriticalRing]:
    ring = CriticalRing(path)
    yield ring
    ring.close()


def numbers(ring: CriticalRing, *, boot: str = BOOT) -> list[int]:
    """All numbers of a boot, asked for as a buffer would."""
    found: list[int] = []
    while records := ring.caught_up(boot, [(found[-1] + 1 if found else 1, 10**9)]).records:
        found += [record.seq for record in records]
    return found


def test_an_empty_ring_has_nothing(ring: CriticalRing) -> None:
    assert ring.inventory() == ()
    assert ring.caught_up(BOOT, EVERYTHING).records == ()
    assert ring.caught_up("", ()).records == ()


def test_records_come_back_as_they_were(ring: CriticalRing) -> None:
    records = [make_record(1, value=0), make_alarm(2, text="SoC 9 °"), make_record(3, value=None)]
    for record in records:
        ring.append(record)
    answer = ring.caught_up(BOOT, EVERYTHING)
    assert list(answer.records) == records
    assert answer.inventory == (RingBoot(boot=BOOT, first=1, last=3),)


def test_only_what_is_asked_for_comes(ring: CriticalRing) -> None:
    for seq in range(1, 21):
        ring.append(make_record(seq))
    answer = ring.caught_up(BOOT, [(3, 4), (9, 9), (19, 99)])
    assert [record.seq for record in answer.records] == [3, 4, 9, 19, 20]


def test_an_answer_is_bounded(ring: CriticalRing) -> None:
    for seq in range(1, 301):
        ring.append(make_record(seq))
    assert len(ring.caught_up(BOOT, EVERYTHING).records) == MAX_RECORDS
    for seq in range(1, 41):
        ring.append(make_alarm(seq, boot=OTHER, text="x" * 15_000))
    answer = ring.caught_up(OTHER, EVERYTHING)
    assert 0 < sum(len(record.text) for record in answer.records) <= MAX_RECORDS_BYTES
    assert len(numbers(ring)) == 300
    assert len(numbers(ring, boot=OTHER)) == 40


def test_boots_are_listed_in_the_order_in_which_they_came(path: Path) -> None:
    for boot in ("zz", "aa", "mm"):
        ring = CriticalRing(path)
        ring.append(make_record(1, boot=boot))
        ring.append(make_record(2, boot=boot))
        ring.close()
    ring = CriticalRing(path)
    assert [(one.boot, one.first, one.last) for one in ring.inventory()] == [
        ("zz", 1, 2),
        ("aa", 1, 2),
        ("mm", 1, 2),
    ]
    ring.close()


def test_boots_are_in_order_over_both_files(path: Path) -> None:
    ring = CriticalRing(path, records=3)
    for boot in ("zz", "aa"):
        for seq in (1, 2):
            ring.append(make_record(seq, boot=boot))
    assert len(list(path.parent.iterdir())) == 2
    assert [(one.boot, one.last) for one in ring.inventory()] == [("zz", 2), ("aa", 2)]
    ring.close()


def test_the_last_records_stay_and_the_files_stay_bounded(path: Path) -> None:
    ring = CriticalRing(path, records=100)
    for seq in range(1, 1051):
        ring.append(make_record(seq))
        assert numbers_at_least(ring, min(seq, 100))
    assert numbers(ring) == list(range(901, 1051))
    assert len(list(path.parent.iterdir())) == 2
    ring.close()
    again = CriticalRing(path, records=100)
    assert numbers(again) == list(range(901, 1051))
    again.close()


def test_long_records_keep_the_files_bounded_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ringfile, "RING_BYTES", 100_000)
    ring = CriticalRing(path)
    for seq in range(1, 101):
        ring.append(make_alarm(seq, text="x" * 10_000))
        assert sum(file.stat().st_size for file in path.parent.iterdir()) < 2 * 110_000 + 2_000
    found = numbers(ring)
    assert found == list(range(found[0], 101))
    assert len(found) >= 10
    ring.close()


def numbers_at_least(ring: CriticalRing, count: int) -> bool:
    (entry,) = ring.inventory()
    return entry.last - entry.first + 1 >= count


@pytest.mark.parametrize("cut", [1, 4, 8, 12, 60])
def test_what_a_kill_tore_is_cut_off_and_the_rest_stays(path: Path, cut: int) -> None:
    ring = CriticalRing(path)
    for seq in range(1, 6):
        ring.append(make_record(seq))
    ring.close()
    os.truncate(path, path.stat().st_size - cut)
    again = CriticalRing(path)
    assert numbers(again) == [1, 2, 3, 4]
    again.append(make_record(6))
    again.close()
    once_more = CriticalRing(path)
    assert numbers(once_more) == [1, 2, 3, 4, 6]
    once_more.close()


@settings(max_examples=50)
@given(noise=st.binary(max_size=200), where=st.integers(0, 1200))
def test_noise_never_becomes_a_record(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, where: int
) -> None:
    path = tmp_path_factory.mktemp("ring") / "critical.ring"
    ring = CriticalRing(path)
    records = {seq: make_record(seq) for seq in range(1, 6)}
    for record in records.values():
        ring.append(record)
    ring.close()
    with path.open("r+b") as file:
        file.seek(where)
        file.write(noise)
    again = CriticalRing(path)
    found = again.caught_up(BOOT, EVERYTHING).records
    assert all(record == records[record.seq] for record in found)
    again.append(make_record(9))
    assert again.inventory()[-1].last == 9
    again.close()


def test_what_lay_behind_the_damage_never_comes_back(path: Path) -> None:
    ring = CriticalRing(path)
    for seq in range(1, 6):
        ring.append(make_record(seq))
    ring.close()
    length = path.stat().st_size // 5
    with path.open("r+b") as file:
        file.seek(2 * length + 20)
        file.write(b"noise")
    again = CriticalRing(path)
    again.append(make_record(9))
    again.close()
    once_more = CriticalRing(path)
    assert numbers(once_more) == [1, 2, 9]
    once_more.close()


def test_a_record_that_is_too_large_is_refused(ring: CriticalRing) -> None:
    with pytest.raises(ValueError, match="at most"):
        ring.append(make_alarm(1, text="x" * (MAX_RECORD_BYTES + 1)))
    ring.append(make_alarm(2))
    assert numbers(ring) == [2]


@pytest.mark.parametrize("room", [0, 5, 50])
def test_a_full_run_folder_costs_the_record_and_nothing_else(
    ring: CriticalRing, path: Path, room: int
) -> None:
    ring.append(make_record(1))
    with (
        no_file_longer_than(path.stat().st_size + room),
        pytest.raises(OSError, match=r"too large|no space"),
    ):
        ring.append(make_record(2))
    ring.append(make_record(3))
    assert numbers(ring) == [1, 3]


_WRITE_UNTIL_KILLED = """
import itertools, sys
from pathlib import Path
from fake_critical import make_record
from tinybms_acquisition.ringfile import CriticalRing
ring = CriticalRing(Path(sys.argv[1]), records=50)
for seq in itertools.count(1):
    ring.append(make_record(seq))
    sys.stdout.write(f"{seq}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("lines", [1, 49, 50, 51, 137])
def test_what_was_appended_is_there_after_sigkill(path: Path, lines: int) -> None:
    fakes = Path(make_record.__code__.co_filename).parent
    with subprocess.Popen(
        [sys.executable, "-c", _WRITE_UNTIL_KILLED, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(fakes)},
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    last = int(said[-1])
    ring = CriticalRing(path, records=50)
    found = numbers(ring)
    assert last in found
    assert found == list(range(found[0], found[-1] + 1))
    assert len(found) >= min(last, 50)
    ring.close()
