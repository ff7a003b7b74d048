"""The store gives back what it took, in order, until it is acknowledged, and repairs its times."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_clock import FakeClock
from fake_critical import BOOT, make_alarm, make_record, record_at
from fake_store import CLAIMER, claim_all, open_store
from tinybms_buffer.leases import MOST_LEASED
from tinybms_buffer.rows import IN_ORDER, MAX_RECORD_BYTES, NO_PLACE
from tinybms_buffer.store import Store
from tinybms_messages.critical import CriticalClass
from tinybms_messages.requests import LEASE_S, MAX_RECORDS_BYTES

EARLIER_RUN = "another run of the machine"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    store = open_store(tmp_path / "buffer.db", clock)
    yield store
    store.close()


@pytest.mark.parametrize("value", [0, 0.0, -0.5, 3, 3.0, 51.25, "cleared", "", None, -(2**63) + 1])
def test_a_record_comes_back_as_it_was(store: Store, value: float | str | None) -> None:
    record = make_alarm(1, value=value, raw=-7, text="SoC 9 °", severity="alarm")
    store.append([record])
    (stored,) = store.claim(CLAIMER, 100)
    assert stored.record == record
    assert type(stored.record.value) is type(value)
    assert not stored.repaired


def test_alarms_and_events_come_before_samples_and_each_class_by_its_number(store: Store) -> None:
    event = {"record_class": CriticalClass.EVENT, "suffix": "event"}
    store.append([make_record(5), make_alarm(6), make_record(4)])
    store.append([make_alarm(2), make_record(1), make_record(3, **event)])
    assert [stored.record.seq for stored in claim_all(store)] == [2, 6, 3, 1, 4, 5]


def test_an_older_start_of_acquisition_comes_before_a_younger_one(store: Store) -> None:
    store.append([make_record(8, boot="b-first"), make_record(1, boot="a-second")])
    store.append([make_record(9, boot="b-first")])
    assert [stored.record.seq for stored in claim_all(store)] == [8, 9, 1]


def test_a_record_is_stored_once(store: Store) -> None:
    assert store.append([make_record(1), make_record(2)]).stored == 2
    assert store.append([make_record(2), make_record(3)]).stored == 1
    assert store.rows == 3


def test_an_acknowledged_record_is_gone_and_its_number_never_comes_again(store: Store) -> None:
    store.append([make_record(1)])
    (first,) = claim_all(store)
    assert store.rows == 0
    store.append([make_record(2)])
    (second,) = store.claim(CLAIMER, 1)
    assert second.id > first.id


def test_a_claimed_record_is_not_claimed_twice_until_its_lease_ends(
    store: Store, clock: FakeClock
) -> None:
    store.append([make_record(1), make_record(2)])
    assert len(store.claim(CLAIMER, 1)) == 1
    assert [stored.record.seq for stored in store.claim(CLAIMER, 100)] == [2]
    clock.advance(LEASE_S - 0.1)
    assert store.claim(CLAIMER, 100) == []
    clock.advance(0.2)
    assert [stored.record.seq for stored in store.claim(CLAIMER, 100)] == [1, 2]


def test_nothing_is_given_out_from_the_place_on_that_is_held(store: Store) -> None:
    store.append([make_record(seq) for seq in (1, 2, 4)])
    store.append([make_alarm(3), make_alarm(5), make_record(1, boot="later")])
    held = ((BOOT, 4), ("later", 0), ("never stored", 0))
    assert [stored.record.seq for stored in store.claim(CLAIMER, 100, held)] == [3, 1, 2]
    rest = store.claim(CLAIMER, 100)
    assert [(one.record.boot, one.record.seq) for one in rest] == [
        (BOOT, 5),
        (BOOT, 4),
        ("later", 1),
    ]


def test_a_new_claimer_frees_what_its_predecessor_had(store: Store) -> None:
    store.append([make_record(1), make_record(2)])
    store.claim(CLAIMER, 100)
    assert [stored.record.seq for stored in store.claim("another", 100)] == [1, 2]


def test_an_acknowledgement_after_the_lease_still_counts(store: Store, clock: FakeClock) -> None:
    store.append([make_record(1)])
    (stored,) = store.claim(CLAIMER, 100)
    clock.advance(LEASE_S + 1)
    assert store.ack([stored.id]) == 1
    assert store.claim(CLAIMER, 100) == []


def test_an_acknowledgement_twice_or_of_nothing_is_no_harm(store: Store) -> None:
    store.append([make_record(1), make_record(2)])
    first = store.claim(CLAIMER, 1)[0].id
    assert store.ack([first]) == 1
    assert store.ack([first, 999]) == 0
    assert store.rows == 1


def test_who_never_acknowledges_gets_a_bounded_number(store: Store) -> None:
    store.append([make_record(seq) for seq in range(1, 601)])
    got = sum(len(store.claim(CLAIMER, 100)) for _ in range(10))
    assert got == MOST_LEASED


def test_a_claim_of_long_texts_fits_into_an_answer(store: Store) -> None:
    store.append([make_alarm(seq, text="x" * 16_000) for seq in range(1, 51)])
    claimed = store.claim(CLAIMER, 100)
    assert 0 < sum(len(stored.record.text) for stored in claimed) <= MAX_RECORDS_BYTES
    assert len(claimed) + len(claim_all(store)) == 50


def test_what_arrived_after_all_is_forgotten(store: Store) -> None:
    store.append([*(make_record(seq) for seq in range(1, 6)), make_alarm(6)])
    assert store.forget(make_record(1).boot, [(2, 3), (6, 9)]) == 3
    assert store.forget("unknown", [(1, 9)]) == 0
    assert [stored.record.seq for stored in claim_all(store)] == [1, 4, 5]


def test_what_is_on_its_way_is_not_forgotten_but_counts_when_acknowledged(store: Store) -> None:
    store.append([make_record(seq) for seq in range(1, 5)])
    on_their_way = [stored.id for stored in store.claim(CLAIMER, 2)]
    assert store.forget(BOOT, [(1, 3)]) == 1
    assert store.ack(on_their_way) == 2
    assert [stored.record.seq for stored in claim_all(store)] == [4]


def test_all_survives_a_restart_but_the_leases(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "buffer.db"
    store = open_store(path, clock)
    name = store.name
    store.append([make_record(1), make_alarm(2)])
    store.claim(CLAIMER, 100)
    store.close()
    again = open_store(path, clock)
    assert (again.name, again.rows) == (name, 2)
    assert [stored.record.seq for stored in claim_all(again)] == [2, 1]
    again.close()


def test_each_database_has_its_own_name(tmp_path: Path, clock: FakeClock) -> None:
    stores = [open_store(tmp_path / name, clock) for name in ("a", "b")]
    stores.append(open_store(None, clock))
    assert len({store.name for store in stores}) == 3
    for store in stores:
        store.close()


def test_in_memory_it_works_alike_and_touches_no_disk(tmp_path: Path, clock: FakeClock) -> None:
    store = open_store(None, clock)
    store.append([make_record(1), make_alarm(2)])
    assert [stored.record.seq for stored in claim_all(store)] == [2, 1]
    store.tidy()
    store.check()
    assert store.in_place()
    store.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"text": "x" * (MAX_RECORD_BYTES + 1)}, "bytes, at most"),
        ({"value": "y" * (MAX_RECORD_BYTES + 1)}, "bytes, at most"),
        ({"value": 2**63}, "64 bits"),
        ({"raw": -(2**70)}, "64 bits"),
        ({"live_seq": 2**63}, "64 bits"),
        ({"value": float("nan")}, "value nan"),
        ({"text": "\ud800"}, "no Unicode"),
    ],
)
def test_what_can_not_be_stored_is_refused_and_leaves_a_gap_record(
    store: Store, change: dict[str, object], reason: str
) -> None:
    appended = store.append([make_record(1), make_record(2, **change), make_record(3)])
    assert appended.stored == 2
    ((record, why),) = appended.refused
    assert record.seq == 2
    assert reason in why
    gap, *rest = claim_all(store)
    assert (gap.record.value, gap.record.raw) == ("records_refused", 1)
    assert [stored.record.seq for stored in rest] == [1, 3]


def test_a_time_taken_before_the_clock_was_right_is_repaired(
    store: Store, clock: FakeClock
) -> None:
    clock.trusted = False
    clock.set_wall(0)
    store.append([record_at(clock, 1)])
    clock.advance(30)
    clock.set_wall(1_795_700_000_000_000_000)
    (doubtful,) = store.claim(CLAIMER, 1)
    assert (doubtful.record.time_ok, doubtful.record.wall_ns) == (False, 0)
    clock.trusted = True
    (stored,) = store.claim("another", 1)
    assert stored.repaired
    assert stored.record.time_ok
    assert stored.record.wall_ns == 1_795_700_000_000_000_000 - 30 * 10**9


def test_a_time_of_an_earlier_run_of_the_machine_is_repaired_by_what_was_kept(
    tmp_path: Path, clock: FakeClock
) -> None:
    path = tmp_path / "buffer.db"
    clock.trusted = False
    clock.set_wall(5)
    store = open_store(path, clock)
    store.append([record_at(clock, 1)])
    clock.advance(60)
    clock.trusted = True
    clock.set_wall(1_795_700_000_000_000_000)
    store.keep_clock()
    store.close()

    next_run = FakeClock(boottime_s=1.0, kernel_boot_id="next run", wall_ns=7)
    again = open_store(path, next_run)
    (stored,) = claim_all(again)
    assert stored.repaired
    assert stored.record.wall_ns == 1_795_700_000_000_000_000 - 60 * 10**9
    again.close()


def test_a_time_that_can_not_be_repaired_stays_marked(tmp_path: Path, clock: FakeClock) -> None:
    clock.trusted = False
    store = open_store(tmp_path / "buffer.db", clock)
    store.append([record_at(clock, 1, kernel_boot_id=EARLIER_RUN, wall_ns=77)])
    clock.trusted = True
    (stored,) = claim_all(store)
    assert (stored.record.time_ok, stored.record.wall_ns, stored.repaired) == (False, 77, False)
    store.close()


def test_a_right_time_is_never_changed(store: Store, clock: FakeClock) -> None:
    store.append([record_at(clock, 1)])
    before = clock.wall_ns()
    clock.set_wall(before + 10**15)
    (stored,) = claim_all(store)
    assert (stored.record.wall_ns, stored.repaired) == (before, False)


def test_claims_and_acknowledgements_use_the_indexes_alone(
    tmp_path: Path, clock: FakeClock
) -> None:
    open_store(tmp_path / "buffer.db", clock).close()
    connection = sqlite3.connect(tmp_path / "buffer.db")
    statements = [
        (IN_ORDER, (2, *NO_PLACE, 100)),
        ("DELETE FROM record WHERE id = ?", (1,)),
        ("DELETE FROM record WHERE rank = ? AND origin = ? AND seq BETWEEN ? AND ?", (1, 1, 1, 2)),
    ]
    plans = [
        str(row[3])
        for statement, values in statements
        for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
    ]
    connection.close()
    assert plans
    assert not [plan for plan in plans if "TEMP B-TREE" in plan]
    assert not [plan for plan in plans if plan == "SCAN record"]


def test_an_idle_store_writes_nothing(tmp_path: Path, clock: FakeClock) -> None:
    store = open_store(tmp_path / "buffer.db", clock)
    store.append([make_record(1)])
    claim_all(store)
    store.tidy()
    before = _content(tmp_path)
    for _ in range(100):
        clock.advance(60)
        store.tidy()
        store.prune()
        store.keep_clock()
        store.remove_acked()
        store.forget(make_record(1).boot, [(1, 5)])
        assert store.claim(CLAIMER, 100) == []
    assert _content(tmp_path) == before
    store.close()


def test_the_file_shrinks_when_it_is_empty(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "buffer.db"
    store = open_store(path, clock)
    store.append([make_alarm(seq, text="x" * 500) for seq in range(1, 4001)])
    full = store.file_bytes()
    claim_all(store)
    while store.file_bytes() > full / 10:
        before = store.file_bytes()
        store.tidy()
        assert store.file_bytes() < before
    assert path.stat().st_size < full / 10
    store.close()


def test_a_file_that_was_taken_away_is_noticed(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "buffer.db"
    store = open_store(path, clock)
    assert store.in_place()
    path.unlink()
    assert not store.in_place()
    store.close()


def _content(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        file.name: (file.stat().st_size, file.stat().st_mtime_ns, file.read_bytes())
        for file in folder.iterdir()
        if not file.name.endswith("-shm")
    }
