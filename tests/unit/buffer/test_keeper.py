"""Tracker and store together: trouble with the disk loses nothing, and an idle disk stays so."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fake_clock import FakeClock
from fake_critical import BOOT, make_alarm, record_at
from fake_disk import no_file_longer_than
from fake_store import CLAIMER, open_store
from tinybms_buffer import keeper as keeper_module
from tinybms_buffer import trouble
from tinybms_buffer.bounds import StoreLimits
from tinybms_buffer.keeper import CHECK_S, PRUNE_S, RETRY_S, Keeper
from tinybms_buffer.rows import MAX_RECORD_BYTES
from tinybms_buffer.store import Store
from tinybms_buffer.tracked import Memory
from tinybms_buffer.tracker import MOST_VAIN
from tinybms_buffer.trouble import Damaged, OffCode, StorageOff
from tinybms_messages.critical import Critical, DeliveredBoot, MqttDelivered
from tinybms_messages.requests import Ack, CaughtUp, Claim, Claimed, RingBoot
from tinybms_messages.sequences import SequenceSet

HOUR_S = 3600


class Bench:
    """A keeper with its disk, a ring and an MQTT side, all under the test's control."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "buffer.db"
        self.clock = FakeClock()
        self.off: StorageOff | None = None
        self.ram_only = False
        self.silent = False
        self.opened = 0
        self.told: list[str] = []
        self.texts: list[str] = []
        self.memory: Memory | None = None
        self.ring: list[Critical] = []
        self.arrived = SequenceSet()
        self.seq = 0
        self.keeper = self.start()

    def start(self) -> Keeper:
        self.keeper = Keeper(
            clock=self.clock,
            open_store=self._open,
            tell=self._tell,
            memory=self.memory,
            save=self._save,
        )
        self._answer()
        return self.keeper

    def say(self, *, heard: bool = True, acknowledged: bool = False) -> Critical:
        """Acquisition makes a record; the bus and the MQTT broker take it or not."""
        self.seq += 1
        record = record_at(self.clock, self.seq)
        self.ring.append(record)
        if heard:
            self.keeper.take(record)
        if acknowledged:
            self.arrived.add(record.seq)
        return record

    def acknowledge(self) -> None:
        boot = DeliveredBoot.of(BOOT, self.arrived, most_ranges=99)
        self.keeper.delivered(MqttDelivered(boots=(boot,)))

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self._answer()
            self.keeper.tick()

    def claim(self, claimer: str = CLAIMER) -> Claimed:
        return self.keeper.claim(Claim(claimer=claimer))

    def replay(self) -> list[Critical]:
        """MQTT takes all that is stored."""
        records: list[Critical] = []
        while (claimed := self.claim()).records:
            records += [stored.record for stored in claimed.records]
            ids = tuple(stored.id for stored in claimed.records)
            self.keeper.ack(Ack(claimer=CLAIMER, store=claimed.store, ids=ids))
        return records

    def content(self) -> dict[str, tuple[int, bytes]]:
        return {
            file.name: (file.stat().st_mtime_ns, file.read_bytes())
            for file in self.folder.iterdir()
            if not file.name.endswith("-shm")
        }

    def _answer(self) -> None:
        request = self.keeper.tracker.wanted(self.clock.boottime_ns() / 1e9)
        if request is None:
            return
        if self.silent:
            self.keeper.tracker.silence(self.clock.boottime_ns() / 1e9)
            return
        inventory = (RingBoot(boot=BOOT, first=1, last=self.seq),) if self.ring else ()
        found = [one for one in self.ring if any(a <= one.seq <= b for a, b in request.ranges)]
        answer = CaughtUp(inventory=inventory, records=tuple(found[:100]))
        self.keeper.tracker.caught_up(answer, self.clock.boottime_ns() / 1e9)

    def _open(self, distrust: str) -> Store:
        self.opened += 1
        if self.off is not None:
            raise self.off
        path = None if self.ram_only else self.path
        return open_store(path, self.clock, distrust=distrust, limits=StoreLimits())

    def _tell(self, code: str, text: str, severity: str = "info") -> None:
        assert severity in {"info", "warning", "alarm"}
        self.told.append(code)
        self.texts.append(text)

    def _save(self, memory: Memory) -> None:
        self.memory = memory


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.off = None
    bench.keeper.close()


def test_with_mqtt_up_for_an_hour_not_a_byte_is_written(bench: Bench) -> None:
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


def test_what_is_stored_costs_no_more_writing_while_it_waits(bench: Bench) -> None:
    bench.say()
    bench.wait(5)
    assert bench.keeper.status().rows == 1
    before = bench.content()
    bench.wait(100)
    assert bench.content() == before


def test_an_outage_is_stored_and_replayed_in_order(bench: Bench) -> None:
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


def test_what_waits_is_stored_when_the_process_stops(bench: Bench) -> None:
    said = [bench.say(), bench.say()]
    bench.keeper.close()
    bench.start()
    assert bench.replay() == said


def test_a_killed_buffer_loses_nothing(bench: Bench) -> None:
    said = [bench.say() for _ in range(5)]
    bench.wait(3)
    said += [bench.say() for _ in range(5)]
    bench.start()
    bench.wait(10)
    assert bench.replay() == said


def test_what_the_bus_lost_is_fetched_and_stored(bench: Bench) -> None:
    said = [bench.say(), bench.say(heard=False), bench.say()]
    bench.wait(4)
    assert bench.replay() == said


def test_what_is_missing_holds_back_what_is_younger_and_then_goes_first(bench: Bench) -> None:
    said = [bench.say(), bench.say(heard=False), bench.say()]
    bench.silent = True
    bench.wait(20)
    assert bench.keeper.status().rows == 2
    assert bench.replay() == said[:1]
    bench.silent = False
    bench.wait(1)
    assert bench.replay() == said[1:]


def test_a_late_acknowledgement_takes_the_record_out_of_the_store(bench: Bench) -> None:
    bench.say(acknowledged=True)
    bench.say()
    bench.wait(4)
    assert bench.keeper.status().rows == 2
    bench.acknowledge()
    assert [record.seq for record in bench.replay()] == [2]


def test_an_acknowledgement_of_another_database_removes_nothing(bench: Bench) -> None:
    bench.say()
    bench.wait(4)
    claimed = bench.claim()
    ack = Ack(claimer=CLAIMER, store="another", ids=(claimed.records[0].id,))
    assert bench.keeper.ack(ack).removed == 0
    assert bench.keeper.status().rows == 1


@pytest.mark.parametrize("code", list(OffCode))
def test_without_storage_records_wait_and_are_stored_when_it_is_back(
    tmp_path: Path, code: OffCode
) -> None:
    bench = Bench(tmp_path)
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
    bench: Bench, monkeypatch: pytest.MonkeyPatch
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
    bench: Bench, monkeypatch: pytest.MonkeyPatch
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
    bench = Bench(tmp_path)
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
    bench = Bench(tmp_path)
    bench.keeper.close()
    bench.off = StorageOff(OffCode.NOT_WRITABLE, "no right")
    bench.start()
    bench.opened = 0
    bench.wait(int(10 * RETRY_S))
    assert 5 <= bench.opened <= 10


def test_storage_comes_back_also_when_nothing_waits_to_be_stored(bench: Bench) -> None:
    bench.keeper.close()
    bench.off = StorageOff(OffCode.NOT_WRITABLE, "no right")
    bench.start()
    bench.wait(3)
    bench.off = None
    bench.wait(int(RETRY_S) + 1)
    assert bench.told == ["storage_off", "storage_on"]
    assert bench.keeper.storage_off is None


def test_a_file_that_breaks_while_it_is_used_is_set_aside_and_filled_from_the_ring(
    bench: Bench,
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
    bench: Bench, monkeypatch: pytest.MonkeyPatch
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


def test_what_grows_too_old_goes_and_its_count_outlives_the_file(bench: Bench) -> None:
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


def test_a_file_that_is_taken_away_is_made_anew_and_filled_from_the_ring(bench: Bench) -> None:
    said = [bench.say() for _ in range(5)]
    bench.wait(4)
    for file in bench.folder.iterdir():
        file.unlink()
    bench.wait(8)
    assert bench.told == ["storage_removed"]
    assert bench.replay() == said


def test_what_is_lost_for_good_leaves_a_gap_record(bench: Bench) -> None:
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
    bench: Bench, monkeypatch: pytest.MonkeyPatch
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


def test_what_is_lost_just_before_the_end_leaves_a_gap_record_too(bench: Bench) -> None:
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
    bench: Bench,
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
    bench = Bench(tmp_path)
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


def test_a_long_queue_is_stored_in_batches_of_bounded_size(bench: Bench) -> None:
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


def test_a_run_folder_that_is_full_does_not_stop_the_buffer(bench: Bench) -> None:
    def full(_: Memory) -> None:
        raise OSError(28, "No space left on device")

    bench.keeper._save = full
    said = [bench.say()]
    bench.wait(4)
    assert bench.replay() == said
