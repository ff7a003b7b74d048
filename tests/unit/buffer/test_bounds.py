"""A full store thins out before it drops, the lowest class first, and says what is missing."""

import re
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from fake_clock import FakeClock
from fake_critical import make_alarm, make_record, record_at
from fake_disk import no_file_longer_than
from fake_store import BUFFER_BOOT, CLAIMER, claim_all, open_store
from tinybms_buffer.bounds import StoreLimits
from tinybms_buffer.store import LOG_ALLOWANCE_BYTES, Store
from tinybms_buffer.trouble import StorageOff
from tinybms_messages.critical import Critical, CriticalClass

MIB = 1024 * 1024
DAY_S = 86_400
OUTAGE_S = 7 * DAY_S
STEP_S = 4


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def store_of(tmp_path: Path, clock: FakeClock, **limits: float) -> Store:
    bounds = {"max_bytes": 64 * MIB, "max_rows": 500_000, "max_age_s": 3650.0 * DAY_S} | limits
    return open_store(
        tmp_path / "buffer.db",
        clock,
        limits=StoreLimits(
            max_bytes=int(bounds["max_bytes"]),
            max_rows=int(bounds["max_rows"]),
            max_age_s=bounds["max_age_s"],
        ),
    )


def samples(clock: FakeClock, first: int, count: int, step_s: float = 1.0) -> Iterator[Critical]:
    for seq in range(first, first + count):
        yield record_at(clock, seq)
        clock.advance(step_s)


def parted(store: Store) -> tuple[list[Critical], list[Critical]]:
    """Everything in the store: gap records, and the others."""
    records = [stored.record for stored in claim_all(store)]
    gaps = [record for record in records if record.boot == BUFFER_BOOT]
    return gaps, [record for record in records if record.boot != BUFFER_BOOT]


def test_a_full_store_keeps_one_sample_in_ten_seconds_first(
    tmp_path: Path, clock: FakeClock
) -> None:
    store = store_of(tmp_path, clock, max_rows=1000)
    for first in range(1, 1101, 50):
        store.append(list(samples(clock, first, 50)))
    assert store.rows <= 1000
    gaps, rest = parted(store)
    (gap,) = gaps
    assert gap.value == "records_thinned_10_s"
    assert gap.raw == 1100 - len(rest)
    oldest = [record.boottime_ns // 10**10 for record in rest[:8]]
    assert len(set(oldest)) == 8
    assert rest[-1].seq == 1100
    store.close()


def test_thinning_keeps_the_last_of_each_value(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock, max_rows=400)
    for seq in range(1, 801, 2):
        store.append(
            [
                record_at(clock, seq),
                record_at(clock, seq + 1, suffix="charge_current_limit"),
            ]
        )
        clock.advance(1)
    _, rest = parted(store)
    thinned = rest[:20]
    for suffix in ("soc_percent", "charge_current_limit"):
        own = [record for record in thinned if record.suffix == suffix]
        assert all(
            before.boottime_ns // 10**10 < after.boottime_ns // 10**10
            for before, after in pairwise(own)
        )
    store.close()


def test_after_ten_seconds_come_sixty_and_then_the_oldest_go(
    tmp_path: Path, clock: FakeClock
) -> None:
    store = store_of(tmp_path, clock, max_rows=300)
    seen: list[object] = []
    for first in range(1, 20_001, 50):
        store.append(list(samples(clock, first, 50)))
        assert store.rows <= 300
        for kind in store.removed:
            if kind not in seen:
                seen.append(kind)
    assert seen == ["records_thinned_10_s", "records_thinned_60_s", "records_dropped"]
    gaps, rest = parted(store)
    assert sum(gap.raw or 0 for gap in gaps) + len(rest) == 20_000
    store.close()


def test_samples_go_before_events_and_events_before_alarms(
    tmp_path: Path, clock: FakeClock
) -> None:
    store = store_of(tmp_path, clock, max_rows=100)
    event = {"record_class": CriticalClass.EVENT, "suffix": "event"}
    for seq in range(1, 301, 3):
        store.append(
            [
                make_alarm(seq),
                make_record(seq + 1, **event),
                # So far apart that thinning finds nothing to take.
                record_at(clock, seq + 2),
            ]
        )
        clock.advance(3600)
    gaps, rest = parted(store)
    kept = [record.record_class for record in rest]
    assert CriticalClass.SAMPLE not in kept[:-3]
    assert kept.count(CriticalClass.ALARM) > kept.count(CriticalClass.EVENT)
    events = [record.seq for record in rest if record.record_class is CriticalClass.EVENT]
    assert events == sorted(events)
    assert all(gap.value == "records_dropped" for gap in gaps)
    assert sum(gap.raw or 0 for gap in gaps) + len(rest) == 300
    store.close()


def test_a_gap_record_says_what_is_missing_and_from_when_to_when(
    tmp_path: Path, clock: FakeClock
) -> None:
    store = store_of(tmp_path, clock, max_rows=20)
    clock.set_wall(1_795_600_000_000_000_000)
    store.append(list(samples(clock, 1, 20, step_s=100)))
    store.append(list(samples(clock, 21, 10, step_s=100)))
    gaps, rest = parted(store)
    (gap,) = gaps
    assert gap.severity == "warning"
    found = re.fullmatch(
        r"(\d+) sample records dropped, for the buffer was full: (\S+) to (\S+)", gap.text
    )
    assert found is not None
    assert int(found[1]) == 30 - len(rest)
    assert found[2] == "2026-11-25T09:46:40+00:00"
    assert found[3] > found[2]
    store.close()


def test_a_gap_record_that_somebody_has_seen_is_not_changed_any_more(
    tmp_path: Path, clock: FakeClock
) -> None:
    store = store_of(tmp_path, clock, max_rows=20)
    store.append(list(samples(clock, 1, 20, step_s=100)))
    store.append(list(samples(clock, 21, 5, step_s=100)))
    (seen,) = store.claim(CLAIMER, 1)
    assert seen.record.value == "records_dropped"
    store.append(list(samples(clock, 26, 20, step_s=100)))
    again, after, *rest = claim_all(store)
    assert again == seen
    assert (after.record.boot, after.record.seq) == (BUFFER_BOOT, seen.record.seq + 1)
    assert (seen.record.raw or 0) + (after.record.raw or 0) + len(rest) == 45
    store.close()


def test_thinning_that_the_disk_did_not_take_is_done_again(
    tmp_path: Path, clock: FakeClock
) -> None:
    """As if the disk had never failed: the same rows stay."""
    first, more = list(samples(clock, 1, 990)), list(samples(clock, 991, 50))
    kept: list[list[int]] = []
    for failing in (False, True):
        folder = tmp_path / f"failing-{failing}"
        folder.mkdir()
        store = store_of(folder, clock, max_rows=1000)
        store.append(first)
        size = (folder / "buffer.db-wal").stat().st_size
        if failing:
            with no_file_longer_than(size), pytest.raises(StorageOff):
                store.append(more)
            assert (store.rows, store.removed) == (990, {})
        store.append(more)
        _, rest = parted(store)
        kept.append([record.seq for record in rest])
        store.close()
    assert len(kept[0]) < 1000
    assert kept[0] == kept[1]


def test_what_is_on_its_way_is_neither_thinned_nor_dropped(
    tmp_path: Path, clock: FakeClock
) -> None:
    store = store_of(tmp_path, clock, max_rows=100)
    store.append(list(samples(clock, 1, 80, step_s=0.0)))
    on_their_way = {stored.id for stored in store.claim(CLAIMER, 40)}
    store.append(list(samples(clock, 81, 80, step_s=0.0)))
    assert store.ack(sorted(on_their_way)) == 40
    store.close()


def test_what_is_on_its_way_is_not_dropped_by_age_either(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock)
    store.append(list(samples(clock, 1, 10)))
    on_their_way = [stored.id for stored in store.claim(CLAIMER, 4)]
    assert store.drop_before(clock.wall_ns()) == 6
    assert store.drop_before(clock.wall_ns()) == 0
    assert store.ack(on_their_way) == 4
    (gap,), rest = parted(store)
    assert (gap.raw, rest) == (6, [])
    store.close()


def test_rows_that_are_too_old_go_with_a_gap_record(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock, max_age_s=DAY_S)
    store.append([*samples(clock, 1, 10), make_alarm(11, wall_ns=clock.wall_ns())])
    clock.advance(DAY_S - 60)
    store.append(list(samples(clock, 12, 3)))
    assert store.prune() == 0
    clock.advance(120)
    assert store.prune() == 11
    gaps, rest = parted(store)
    assert {(gap.value, gap.raw) for gap in gaps} == {
        ("records_expired", 10),
        ("records_expired", 1),
    }
    assert [record.seq for record in rest] == [12, 13, 14]
    store.close()


def test_nothing_grows_too_old_while_the_wall_clock_is_wrong(
    tmp_path: Path, clock: FakeClock
) -> None:
    store = store_of(tmp_path, clock, max_age_s=DAY_S)
    store.append(list(samples(clock, 1, 10)))
    clock.trusted = False
    clock.advance(10 * DAY_S)
    assert store.prune() == 0
    store.close()


def test_the_bound_in_bytes_holds_for_database_and_log(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock, max_bytes=6 * MIB)
    for first in range(1, 60_001, 500):
        store.append(list(samples(clock, first, 500, step_s=0.2)))
        assert store.file_bytes() <= 6 * MIB - LOG_ALLOWANCE_BYTES
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 6 * MIB
    assert store.rows > 1000
    store.close()


@pytest.mark.parametrize("text", ["x" * 15_000, "°" * 7_500, "€" * 5_000])
def test_large_records_do_not_wedge_a_full_store(
    tmp_path: Path, clock: FakeClock, text: str
) -> None:
    store = store_of(tmp_path, clock, max_bytes=6 * MIB)
    for first in range(1, 1001, 64):
        store.append([make_alarm(seq, text=text) for seq in range(first, first + 64)])
    assert store.append([make_record(5000)]).stored == 1
    store.close()


def test_a_restart_goes_on_thinning_where_it_was(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock, max_rows=1000)
    for first in range(1, 1101, 50):
        store.append(list(samples(clock, first, 50)))
    rows = store.rows
    store.close()
    again = store_of(tmp_path, clock, max_rows=1000)
    again.append(list(samples(clock, 1101, 300)))
    assert again.rows <= 1000
    assert set(again.removed) <= {"records_thinned_10_s"}
    assert rows > 900
    again.close()


def test_seven_days_without_mqtt(tmp_path: Path, clock: FakeClock) -> None:
    """A sample each four seconds, an alarm each hour; all alarms are there at the end."""
    store = store_of(tmp_path, clock, max_bytes=8 * MIB, max_rows=15_000)
    began_ns, batch = clock.wall_ns(), list[Critical]()
    for seq, second in enumerate(range(0, OUTAGE_S, STEP_S), start=1):
        suffix = ("soc_percent", "charge_current_limit", "discharge_current_limit")[seq % 3]
        if second % 3600 == 0:
            batch.append(
                record_at(clock, seq, record_class=CriticalClass.ALARM, suffix="alarm_low_soc")
            )
        else:
            batch.append(record_at(clock, seq, suffix=suffix))
        clock.advance(STEP_S)
        if len(batch) == 500:
            store.append(batch)
            store.prune()
            batch = []
            assert store.rows <= 15_000
    store.append(batch)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 8 * MIB
    gaps, rest = parted(store)
    alarms = [record for record in rest if record.record_class is CriticalClass.ALARM]
    assert len(alarms) == OUTAGE_S / 3600
    missing = sum(gap.raw or 0 for gap in gaps)
    assert missing + len(rest) == OUTAGE_S / STEP_S
    values = [record for record in rest if record.record_class is CriticalClass.SAMPLE]
    assert [record.seq for record in values] == sorted(record.seq for record in values)
    # The oldest went: what stays has no hole.
    steps_s = [(after.boottime_ns - before.boottime_ns) / 1e9 for before, after in pairwise(values)]
    assert max(steps_s) <= 75
    per_minute = [
        len(list(group))
        for _, group in groupby(values, key=lambda record: record.boottime_ns // (60 * 10**9))
    ]
    assert max(per_minute[:1000]) <= 3
    assert (values[-1].wall_ns - began_ns) / 1e9 == pytest.approx(OUTAGE_S, abs=10)
    store.close()
