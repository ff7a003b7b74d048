"""The tracker stores what is late, asks for what is missing and gives up what nobody has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_critical import BOOT, make_alarm, make_record
from fake_tracker import OTHER, asked, delivered, numbers, place, ring
from tinybms_buffer.tracker import (
    INVENTORY_PERIOD_S,
    MOST_BOOTS,
    MOST_VAIN,
    RETRY_S,
    WAIT_S,
    Tracker,
)
from tinybms_messages.critical import Critical
from tinybms_messages.requests import CatchUp, CaughtUp, RingBoot


@pytest.fixture
def tracker() -> Tracker:
    """See fake_tracker.asked."""
    return asked()


def test_a_record_that_is_acknowledged_in_time_is_never_due(tracker: Tracker) -> None:
    tracker.take(make_record(1), 1.0)
    assert tracker.due(1.0 + WAIT_S - 0.1) == []
    tracker.acknowledged(delivered(1))
    assert tracker.due(100.0) == []
    assert tracker.waiting == 0


def test_an_answer_that_is_older_than_a_record_gives_nothing_up(tracker: Tracker) -> None:
    now_s = INVENTORY_PERIOD_S
    assert tracker.wanted(now_s) == CatchUp()
    tracker.take(make_record(2), now_s)
    tracker.caught_up(CaughtUp(), now_s)
    assert tracker.take_lost() == 0
    assert tracker.wanted(now_s) == CatchUp(boot=BOOT, ranges=((1, 1),))
    tracker.caught_up(ring(1, 2, make_record(1)), now_s)
    assert numbers(tracker.pending()) == [1, 2]


def test_a_record_that_is_not_acknowledged_is_due_until_it_is_stored(tracker: Tracker) -> None:
    tracker.take(make_record(1), 1.0)
    place(tracker, 1)
    assert numbers(tracker.due(1.0 + WAIT_S)) == [1]
    assert numbers(tracker.due(1.0 + WAIT_S)) == [1]
    tracker.stored([make_record(1)])
    assert tracker.due(100.0) == []


def test_a_record_that_comes_again_is_no_news(tracker: Tracker) -> None:
    tracker.take(make_record(1), 1.0)
    place(tracker, 1)
    tracker.stored(tracker.due(9.0))
    tracker.take(make_record(1), 10.0)
    tracker.acknowledged(delivered(2))
    tracker.take(make_record(2), 10.0)
    assert tracker.due(100.0) == []


def test_records_that_came_early_wait_their_time(tracker: Tracker) -> None:
    tracker.take(make_record(1), 1.0)
    tracker.take(make_record(2), 2.5)
    place(tracker, 2, 2.5)
    assert numbers(tracker.due(3.0)) == [1]


def test_what_was_stored_and_arrives_after_all_may_go(tracker: Tracker) -> None:
    for seq in range(1, 6):
        tracker.take(make_record(seq), 1.0)
    place(tracker, 5)
    tracker.stored(tracker.due(5.0))
    assert tracker.acknowledged(delivered(2, 3, 5)) == [(BOOT, [(2, 3), (5, 5)])]
    assert tracker.acknowledged(delivered(2, 3, 5)) == []


def test_a_gap_is_asked_for_and_filled(tracker: Tracker) -> None:
    tracker.take(make_record(1), 1.0)
    assert tracker.wanted(1.0) == CatchUp()
    tracker.caught_up(ring(1, 1), 1.0)
    assert tracker.wanted(1.0) is None
    for seq in (2, 5):
        tracker.take(make_record(seq), 1.5)
    assert tracker.wanted(1.5) == CatchUp(boot=BOOT, ranges=((3, 4),))
    tracker.caught_up(ring(1, 5, make_record(3), make_record(4)), 1.6)
    assert tracker.wanted(1.7) is None
    assert numbers(tracker.due(9.0)) == [1, 2, 3, 4, 5]
    assert tracker.take_lost() == 0


def test_a_first_number_other_than_one_is_a_gap(tracker: Tracker) -> None:
    tracker.take(make_record(3), 1.0)
    assert tracker.wanted(1.0) == CatchUp(boot=BOOT, ranges=((1, 2),))


def test_silence_is_followed_by_a_pause(tracker: Tracker) -> None:
    tracker.take(make_record(2), 1.0)
    assert tracker.wanted(1.0) is not None
    tracker.silence(2.0)
    assert tracker.wanted(2.0 + RETRY_S - 0.1) is None
    assert tracker.wanted(2.0 + RETRY_S) is not None


def test_a_last_record_that_the_bus_lost_is_found_by_the_inventory(tracker: Tracker) -> None:
    tracker.take(make_record(1), 1.0)
    tracker.wanted(1.0)
    tracker.caught_up(ring(1, 1), 1.0)
    assert tracker.wanted(1.0 + INVENTORY_PERIOD_S) == CatchUp()
    tracker.caught_up(ring(1, 2), 6.0)
    assert tracker.wanted(6.0) == CatchUp(boot=BOOT, ranges=((2, 2),))
    tracker.caught_up(ring(1, 2, make_record(2)), 6.1)
    assert numbers(tracker.due(20.0)) == [1, 2]


def test_what_the_process_before_said_last_is_asked_for_when_a_new_one_speaks(
    tracker: Tracker,
) -> None:
    tracker.take(make_record(1), 1.0)
    tracker.take(make_record(1, boot=OTHER), 2.0)
    assert tracker.wanted(2.0) == CatchUp()
    inventory = (
        RingBoot(boot=BOOT, first=1, last=2),
        RingBoot(boot=OTHER, first=1, last=1),
    )
    tracker.caught_up(CaughtUp(inventory=inventory), 2.1)
    assert tracker.wanted(2.1) == CatchUp(boot=BOOT, ranges=((2, 2),))
    tracker.caught_up(CaughtUp(inventory=inventory, records=(make_record(2),)), 2.2)
    due = tracker.due(9.0)
    assert [(record.boot, record.seq) for record in due] == [(BOOT, 1), (BOOT, 2), (OTHER, 1)]


def test_what_the_ring_has_no_more_is_lost_and_counted(tracker: Tracker) -> None:
    tracker.take(make_record(1), 1.0)
    tracker.take(make_record(20), 1.0)
    tracker.wanted(1.0)
    tracker.caught_up(ring(15, 20), 1.1)
    assert tracker.take_lost() == 13
    assert tracker.take_lost() == 0
    assert tracker.wanted(1.1) == CatchUp(boot=BOOT, ranges=((15, 19),))


def test_what_no_ring_knows_is_lost_and_counted(tracker: Tracker) -> None:
    tracker.take(make_record(4), 1.0)
    tracker.wanted(1.0)
    tracker.caught_up(ring(1, 1, make_record(1, boot=OTHER), boot=OTHER), 1.1)
    assert tracker.take_lost() == 3
    assert {record.boot for record in tracker.due(9.0)} == {BOOT, OTHER}


def test_what_arrived_is_not_lost_though_it_was_never_received(tracker: Tracker) -> None:
    tracker.acknowledged(delivered(1, 2, 3))
    tracker.take(make_record(4), 1.0)
    tracker.wanted(1.0)
    tracker.caught_up(ring(4, 4), 1.1)
    assert tracker.take_lost() == 0


def test_a_ring_that_promises_and_does_not_give_is_not_asked_for_ever(tracker: Tracker) -> None:
    tracker.take(make_record(1), 1.0)
    tracker.take(make_record(3), 1.0)
    for _ in range(MOST_VAIN):
        assert tracker.wanted(2.0) == CatchUp(boot=BOOT, ranges=((2, 2),))
        tracker.caught_up(ring(1, 3), 2.0)
    assert tracker.take_lost() == 1
    assert tracker.wanted(2.0) is None


def test_a_first_start_in_the_middle_calls_nothing_lost() -> None:
    tracker = Tracker(None, now_s=0.0)
    tracker.wanted(0.0)
    tracker.caught_up(ring(500, 501), 0.1)
    assert tracker.take_lost() == 0
    assert tracker.wanted(0.1) == CatchUp(boot=BOOT, ranges=((500, 501),))


def test_a_restart_remembers_what_arrived_and_what_is_stored() -> None:
    tracker = Tracker(None, now_s=0.0)
    tracker.caught_up(CaughtUp(), 0.0)
    tracker.use_store("db")
    for seq in (1, 2, 3):
        tracker.take(make_record(seq), 1.0)
    tracker.acknowledged(delivered(1))
    tracker.stored([make_record(2)])
    again = Tracker(tracker.memory(), now_s=5.0)
    again.use_store("db")
    assert again.wanted(5.0) == CatchUp(boot=BOOT, ranges=((3, 3),))


def test_what_only_a_lost_database_had_is_asked_for_again() -> None:
    tracker = Tracker(None, now_s=0.0)
    tracker.caught_up(CaughtUp(), 0.0)
    tracker.use_store("db")
    for seq in (1, 2, 3):
        tracker.take(make_record(seq), 1.0)
    tracker.acknowledged(delivered(1))
    tracker.stored([make_record(2)])
    tracker.use_store("another db")
    assert tracker.wanted(5.0) == CatchUp(boot=BOOT, ranges=((2, 2),))
    assert numbers(tracker.pending()) == [3]


def test_what_waits_in_memory_is_bounded_and_samples_go_first() -> None:
    tracker = Tracker(None, now_s=0.0, capacity=4)
    for seq in range(1, 7):
        record = make_alarm(seq) if seq in {2, 3} else make_record(seq)
        tracker.take(record, 1.0)
    assert numbers(tracker.pending()) == [2, 3, 5, 6]
    assert tracker.take_lost() == 2
    assert tracker.memory().boots[0].done == ((1, 1), (4, 4))


def test_starts_of_long_ago_are_forgotten() -> None:
    tracker = Tracker(None, now_s=0.0)
    for start in range(100):
        tracker.take(make_record(1, boot=f"boot-{start:03}"), float(start))
        tracker.acknowledged(delivered(1, boot=f"boot-{start:03}"))
        tracker.wanted(float(start))
        tracker.caught_up(ring(1, 1, boot=f"boot-{start:03}"), float(start))
    assert len(tracker.memory().boots) <= 33
    assert tracker.memory().boots[-1].boot == "boot-099"


def test_a_start_of_long_ago_is_kept_while_its_records_wait(tracker: Tracker) -> None:
    for start in range(MOST_BOOTS + 8):
        tracker.take(make_record(1, boot=f"boot-{start:03}"), 1.0)
    assert tracker.wanted(1.0) == CatchUp()
    tracker.caught_up(ring(1, 1), 1.0)
    assert tracker.waiting == MOST_BOOTS + 8


@given(st.data())
def test_whatever_is_lost_on_the_way_everything_is_stored_or_arrives(data: st.DataObject) -> None:
    """Records reach the tracker by chance, acknowledgements too; the ring has them all."""
    tracker = Tracker(None, now_s=0.0)
    tracker.use_store("db")
    last = data.draw(st.integers(1, 30))
    records = {seq: make_record(seq) for seq in range(1, last + 1)}
    acknowledged: set[int] = set()
    stored: list[int] = []
    now_s = 0.0
    for seq, record in records.items():
        now_s += data.draw(st.sampled_from([0.0, 0.3, 3.0]))
        if data.draw(st.booleans()):
            tracker.take(record, now_s)
        if data.draw(st.booleans()):
            acknowledged.add(data.draw(st.integers(1, seq)))
            tracker.acknowledged(delivered(*acknowledged))
        if data.draw(st.booleans()):
            _ask(tracker, {n: one for n, one in records.items() if n <= seq}, now_s)
        due = tracker.due(now_s)
        stored += numbers(due)
        tracker.stored(due)
    for _ in range(60):
        now_s += 1.0
        _ask(tracker, records, now_s)
        due = tracker.due(now_s)
        stored += numbers(due)
        tracker.stored(due)
    assert sorted(set(stored)) == sorted(stored)
    assert set(stored) | acknowledged == set(records)
    assert tracker.take_lost() == 0


def _ask(tracker: Tracker, records: dict[int, Critical], now_s: float) -> None:
    request = tracker.wanted(now_s)
    if request is None:
        return
    found = [
        record
        for seq, record in records.items()
        if any(first <= seq <= last for first, last in request.ranges)
    ]
    tracker.caught_up(ring(1, max(records), *found[:5]), now_s)
