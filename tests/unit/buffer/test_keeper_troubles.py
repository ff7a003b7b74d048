"""Trouble with the disk or its file is said, loses nothing and ends by itself."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fake_disk import no_file_longer_than
from fake_keeper import KeeperRig
from fake_store import CLAIMER
from tinybms_buffer import trouble
from tinybms_buffer.bounds import StoreLimits
from tinybms_buffer.keeper import CHECK_S, PRUNE_S, RETRY_S
from tinybms_buffer.store import Store
from tinybms_buffer.trouble import Damaged, OffCode, StorageOff
from tinybms_messages.requests import Ack


@pytest.mark.parametrize("code", list(OffCode))
def test_without_storage_records_wait_and_are_stored_when_it_is_back(
    tmp_path: Path, code: OffCode
) -> None:
    bench = KeeperRig(tmp_path)
    bench.keeper.close()
    bench.off = StorageOff(code, "why, where, what to do")
    bench.start()
    said = []
    for _ in range(20):
        said.append(bench.say())
        bench.wait(1)
    status = bench.keeper.status()
    assert (status.state, status.waiting, status.rows) == ("storage_off", 20, 0)
    assert "what to do" in status.detail
    assert bench.told == ["storage_off"]
    assert bench.claim().records == ()
    bench.off = None
    bench.wait(int(RETRY_S) + 3)
    assert bench.told == ["storage_off", "storage_on"]
    assert bench.keeper.status().state == "storing"
    assert bench.replay() == said
    bench.keeper.close()


def test_a_disk_that_fills_up_is_said_once_and_recovers_by_itself(
    bench: KeeperRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [bench.say()]
    bench.wait(3)

    def full(*_: object, **__: object) -> None:
        raise StorageOff(OffCode.FULL, "the disk is full")

    for name in ("append", "probe", "remove_acked"):
        monkeypatch.setattr(Store, name, full)
    for _ in range(20):
        said.append(bench.say())
        bench.wait(1)
    assert bench.told == ["storage_off"]
    assert len(bench.claim().records) == 1
    monkeypatch.undo()
    bench.wait(int(RETRY_S) + 3)
    assert bench.told == ["storage_off", "storage_on"]
    assert [record.seq for record in bench.replay()] == [one.seq for one in said[1:]]


def test_what_a_full_disk_kept_from_being_removed_goes_once_there_is_room(
    bench: KeeperRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.say()
    bench.wait(4)
    claimed = bench.claim()
    ids = tuple(stored.id for stored in claimed.records)
    monkeypatch.setattr(trouble, "_is_full", lambda _: True)
    with no_file_longer_than(bench.path.with_name(f"{bench.path.name}-wal").stat().st_size):
        ack = Ack(claimer=CLAIMER, store=claimed.store, ids=ids)
        assert bench.keeper.ack(ack).removed == 0
        bench.wait(1)
    assert bench.keeper.status().rows == 1
    bench.wait(int(RETRY_S) + 10)
    assert bench.told == ["storage_off", "storage_on"]
    assert bench.keeper.status().rows == 0
    assert bench.claim().records == ()


def test_another_reason_why_nothing_is_stored_is_said_too(tmp_path: Path) -> None:
    bench = KeeperRig(tmp_path)
    bench.keeper.close()
    for code in (OffCode.FULL, OffCode.NOT_WRITABLE):
        bench.off = StorageOff(code, f"because of {code}")
        if code is OffCode.FULL:
            bench.start()
        bench.wait(int(RETRY_S) + 1)
    assert bench.told == ["storage_off", "storage_off"]
    assert "not_writable" in bench.texts[1]
    assert "not_writable" in bench.keeper.status().detail


def test_a_store_that_can_not_be_opened_is_tried_now_and_then(tmp_path: Path) -> None:
    bench = KeeperRig(tmp_path)
    bench.keeper.close()
    bench.off = StorageOff(OffCode.NOT_WRITABLE, "no right")
    bench.start()
    bench.opened = 0
    bench.wait(int(10 * RETRY_S))
    assert 5 <= bench.opened <= 10


def test_storage_comes_back_also_when_nothing_waits_to_be_stored(bench: KeeperRig) -> None:
    bench.keeper.close()
    bench.off = StorageOff(OffCode.NOT_WRITABLE, "no right")
    bench.start()
    bench.wait(3)
    bench.off = None
    bench.wait(int(RETRY_S) + 1)
    assert bench.told == ["storage_off", "storage_on"]
    assert bench.keeper.storage_off is None


def test_a_file_that_breaks_while_it_is_used_is_set_aside_and_filled_from_the_ring(
    bench: KeeperRig,
) -> None:
    said = [bench.say() for _ in range(5)]
    bench.wait(4)
    with closing(sqlite3.connect(bench.path, isolation_level=None)) as other:
        other.execute("UPDATE record SET suffix = ''")
    assert bench.claim().records == ()
    assert bench.told == ["storage_damaged"]
    assert str(bench.path) in bench.texts[0]
    bench.wait(8)
    assert bench.replay() == said
    assert bench.keeper.status().set_aside == 1


def test_the_whole_file_is_looked_at_each_day(
    bench: KeeperRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_: Store) -> None:
        raise Damaged("a page is noise")

    monkeypatch.setattr(Store, "check", damaged)
    bench.clock.advance(CHECK_S - 10)
    bench.wait(5)
    assert bench.told == []
    bench.wait(10)
    assert bench.told == ["storage_damaged"]
    assert "a page is noise" in bench.texts[0]


def test_what_grows_too_old_goes_and_its_count_outlives_the_file(bench: KeeperRig) -> None:
    bench.say()
    bench.wait(4)
    bench.clock.advance(StoreLimits().max_age_s + 1)
    bench.wait(int(PRUNE_S) + 1)
    assert bench.keeper.status().dropped == 1
    for file in bench.folder.iterdir():
        file.unlink()
    bench.wait(8)
    assert bench.told == ["storage_removed"]
    assert bench.keeper.status().dropped == 1


def test_a_file_that_is_taken_away_is_made_anew_and_filled_from_the_ring(
    bench: KeeperRig,
) -> None:
    said = [bench.say() for _ in range(5)]
    bench.wait(4)
    for file in bench.folder.iterdir():
        file.unlink()
    bench.wait(8)
    assert bench.told == ["storage_removed"]
    assert bench.replay() == said
