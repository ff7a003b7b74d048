"""Tracker and store together: an outage loses nothing, and an idle disk stays so."""

from pathlib import Path

import pytest

from fake_critical import BOOT, make_alarm
from fake_keeper import KeeperRig
from fake_store import CLAIMER
from tinybms_buffer import keeper as keeper_module
from tinybms_buffer.keeper import RETRY_S
from tinybms_buffer.rows import MAX_RECORD_BYTES
from tinybms_buffer.store import Store
from tinybms_buffer.tracked import Memory
from tinybms_buffer.tracker import MOST_VAIN
from tinybms_buffer.trouble import OffCode, StorageOff
from tinybms_messages.critical import Critical
from tinybms_messages.requests import Ack

HOUR_S = 3600


def test_with_mqtt_up_for_an_hour_not_a_byte_is_written(bench: KeeperRig) -> None:
    """Not even at its beginning, nor when the wall clock becomes right in its middle."""
    before = bench.content()
    for second in range(HOUR_S):
        bench.clock.trusted = second >= HOUR_S // 2
        for _ in range(1 + second % 3):
            bench.say(acknowledged=True)
        bench.acknowledge()
        if second % 5 == 0:
            assert bench.claim().records == ()
        bench.keeper.status()
        bench.wait(1)
    assert bench.content() == before
    assert bench.keeper.status().state == "idle"
    assert bench.keeper.status().stored == 0


def test_what_is_stored_costs_no_more_writing_while_it_waits(bench: KeeperRig) -> None:
    bench.say()
    bench.wait(5)
    assert bench.keeper.status().rows == 1
    before = bench.content()
    bench.wait(100)
    assert bench.content() == before


def test_an_outage_is_stored_and_replayed_in_order(bench: KeeperRig) -> None:
    said = []
    for _ in range(200):
        said.append(bench.say())
        bench.wait(1)
    assert bench.keeper.status().state == "storing"
    bench.wait(2)
    assert bench.keeper.status().rows == 200
    assert bench.replay() == said
    assert bench.keeper.status().rows == 0
    assert bench.keeper.status().replayed == 200


def test_what_waits_is_stored_when_the_process_stops(bench: KeeperRig) -> None:
    said = [bench.say(), bench.say()]
    bench.keeper.close()
    bench.start()
    assert bench.replay() == said


def test_a_killed_buffer_loses_nothing(bench: KeeperRig) -> None:
    said = [bench.say() for _ in range(5)]
    bench.wait(3)
    said += [bench.say() for _ in range(5)]
    bench.start()
    bench.wait(10)
    assert bench.replay() == said


def test_what_the_bus_lost_is_fetched_and_stored(bench: KeeperRig) -> None:
    said = [bench.say(), bench.say(heard=False), bench.say()]
    bench.wait(4)
    assert bench.replay() == said


def test_what_is_missing_holds_back_what_is_younger_and_then_goes_first(bench: KeeperRig) -> None:
    said = [bench.say(), bench.say(heard=False), bench.say()]
    bench.silent = True
    bench.wait(20)
    assert bench.keeper.status().rows == 2
    assert bench.replay() == said[:1]
    bench.silent = False
    bench.wait(1)
    assert bench.replay() == said[1:]


def test_a_late_acknowledgement_takes_the_record_out_of_the_store(bench: KeeperRig) -> None:
    bench.say(acknowledged=True)
    bench.say()
    bench.wait(4)
    assert bench.keeper.status().rows == 2
    bench.acknowledge()
    assert [record.seq for record in bench.replay()] == [2]


def test_an_acknowledgement_of_another_database_removes_nothing(bench: KeeperRig) -> None:
    bench.say()
    bench.wait(4)
    claimed = bench.claim()
    ack = Ack(claimer=CLAIMER, store="another", ids=(claimed.records[0].id,))
    assert bench.keeper.ack(ack).removed == 0
    assert bench.keeper.status().rows == 1


def test_what_is_lost_for_good_leaves_a_gap_record(bench: KeeperRig) -> None:
    bench.say()
    bench.say(heard=False)
    bench.say()
    bench.ring = [bench.ring[2]]
    bench.wait(8)
    gap, *rest = bench.replay()
    assert (gap.value, gap.raw) == ("records_never_received", 1)
    assert [record.seq for record in rest] == [1, 3]
    assert bench.keeper.status().never_received == 1


def test_a_gap_record_that_a_full_disk_did_not_take_comes_later(
    bench: KeeperRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageOff(OffCode.FULL, "the disk is full")

    monkeypatch.setattr(Store, "note_gap", full)
    bench.say()
    bench.say(heard=False)
    bench.say()
    bench.ring = [bench.ring[2]]
    bench.wait(10)
    assert bench.keeper.status().never_received == 1
    monkeypatch.undo()
    bench.wait(int(RETRY_S) + 1)
    gap, *rest = bench.replay()
    assert (gap.value, gap.raw) == ("records_never_received", 1)
    assert [record.seq for record in rest] == [1, 3]


def test_what_is_lost_just_before_the_end_leaves_a_gap_record_too(bench: KeeperRig) -> None:
    bench.say()
    bench.say(heard=False)
    bench.say()
    bench.ring = [bench.ring[2]]
    for _ in range(MOST_VAIN + 1):
        bench._answer()
    bench.keeper.close()
    bench.start()
    gap, *rest = bench.replay()
    assert (gap.value, gap.raw) == ("records_never_received", 1)
    assert [record.seq for record in rest] == [1, 3]


def test_a_record_that_can_not_be_stored_is_named_and_does_not_hold_up_the_others(
    bench: KeeperRig,
) -> None:
    bench.keeper.take(make_alarm(1, text="x" * (MAX_RECORD_BYTES + 1)))
    bench.keeper.take(make_alarm(2))
    bench.wait(8)
    assert bench.told == ["record_refused"]
    assert "alarm_low_soc" in bench.texts[0]
    assert bench.keeper.status().refused == 1
    assert {record.seq for record in bench.replay() if record.boot == BOOT} == {2}


def test_in_memory_alone_a_restart_fetches_from_the_ring_what_did_not_arrive(
    tmp_path: Path,
) -> None:
    bench = KeeperRig(tmp_path)
    bench.keeper.close()
    bench.ram_only = True
    bench.memory = None
    bench.path.unlink()
    bench.start()
    said = [bench.say() for _ in range(5)]
    bench.wait(4)
    bench.start()
    bench.wait(8)
    assert bench.replay() == said
    assert not bench.path.exists()


def test_a_long_queue_is_stored_in_batches_of_bounded_size(bench: KeeperRig) -> None:
    sizes: list[int] = []
    original = Store.append

    def counted(store: Store, records: list[Critical]) -> object:
        sizes.append(len(records))
        return original(store, records)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "append", counted)
        for _ in range(2500):
            bench.say()
        bench.wait(3)
    assert sizes == [1000, 1000, 500]
    assert max(sizes) <= keeper_module.BATCH_ROWS


def test_a_run_folder_that_is_full_does_not_stop_the_buffer(bench: KeeperRig) -> None:
    def full(_: Memory) -> None:
        raise OSError(28, "No space left on device")

    bench.keeper._save = full
    said = [bench.say()]
    bench.wait(4)
    assert bench.replay() == said
