"""The tracker lets no record out before an older one that may still come."""

import pytest

from fake_critical import BOOT, make_record
from fake_tracker import OTHER, asked, numbers, place, ring
from tinybms_buffer.tracker import (
    INVENTORY_PERIOD_S,
    REPLAY_HOLD_S,
    STORE_HOLD_S,
    WAIT_S,
    Tracker,
)
from tinybms_messages.requests import CatchUp, CaughtUp, RingBoot


@pytest.fixture
def tracker() -> Tracker:
    """See fake_tracker.asked."""
    return asked()


def test_records_above_a_gap_are_stored_but_given_out_only_after_it(tracker: Tracker) -> None:
    for seq in (1, 3):
        tracker.take(make_record(seq), 1.0)
    place(tracker, 3)
    tracker.stored(tracker.due(1.0 + WAIT_S))
    assert tracker.waiting == 0
    assert tracker.held(3.0) == ((BOOT, 2),)
    tracker.wanted(3.0)
    tracker.caught_up(ring(1, 3, make_record(2)), 3.0)
    assert tracker.held(3.0) == ((BOOT, 2),)
    late = tracker.due(3.0)
    assert numbers(late) == [2]
    tracker.stored(late)
    assert tracker.held(3.0) == ()


def test_nothing_waits_for_ever_for_a_record_that_may_still_come(tracker: Tracker) -> None:
    tracker.take(make_record(1), 1.0)
    place(tracker, 1)
    tracker.take(make_record(3), 1.0)
    tracker.stored(tracker.due(1.0 + WAIT_S))
    assert tracker.held(3.0) == ((BOOT, 2),)
    tracker.silence(2.0)
    assert tracker.held(3.0 + REPLAY_HOLD_S - 0.1) == ((BOOT, 2),)
    assert tracker.held(3.0 + REPLAY_HOLD_S) == ()


def test_what_waits_to_be_stored_is_not_overtaken_on_its_way_out(tracker: Tracker) -> None:
    for seq in (1, 2, 3):
        tracker.take(make_record(seq), 1.0)
    place(tracker, 3)
    tracker.stored([make_record(1), make_record(3)])
    assert tracker.held(1.0) == ((BOOT, 2),)


def test_a_later_start_waits_until_the_ring_has_named_those_before_it(tracker: Tracker) -> None:
    tracker.take(make_record(1), 1.0)
    place(tracker, 1)
    tracker.take(make_record(1, boot=OTHER), 1.0)
    assert [record.boot for record in tracker.due(1.0 + WAIT_S)] == [BOOT]
    tracker.stored([make_record(1)])
    assert tracker.held(3.0) == ((OTHER, 0),)
    assert tracker.due(1.0 + STORE_HOLD_S - 0.1) == []
    assert [record.boot for record in tracker.due(1.0 + STORE_HOLD_S)] == [OTHER]
    assert tracker.held(1.0 + STORE_HOLD_S) == ((OTHER, 1),)


def test_a_later_start_is_stored_behind_the_last_words_of_the_one_before(tracker: Tracker) -> None:
    tracker.take(make_record(1), 1.0)
    tracker.take(make_record(1, boot=OTHER), 1.0)
    tracker.wanted(1.0)
    inventory = (
        RingBoot(boot=BOOT, first=1, last=2),
        RingBoot(boot=OTHER, first=1, last=1),
    )
    tracker.caught_up(CaughtUp(inventory=inventory), 1.0)
    assert [record.boot for record in tracker.due(1.0 + WAIT_S)] == [BOOT]
    assert tracker.held(3.0) == ((BOOT, 1), (OTHER, 0))


def test_an_answer_that_does_not_know_a_start_yet_is_followed_by_another_question(
    tracker: Tracker,
) -> None:
    assert tracker.wanted(INVENTORY_PERIOD_S) == CatchUp()
    tracker.take(make_record(1), INVENTORY_PERIOD_S)
    tracker.caught_up(CaughtUp(), INVENTORY_PERIOD_S)
    assert tracker.held(INVENTORY_PERIOD_S) == ((BOOT, 0),)
    assert tracker.wanted(INVENTORY_PERIOD_S) == CatchUp()


def test_an_older_record_goes_along_with_a_younger_one_that_is_due(tracker: Tracker) -> None:
    tracker.take(make_record(1), 1.0)
    tracker.take(make_record(3), 1.0)
    tracker.wanted(1.0)
    tracker.caught_up(ring(1, 3, make_record(2)), 2.9)
    assert numbers(tracker.due(3.0)) == [1, 2, 3]


def test_starts_are_in_the_order_of_the_ring_whichever_spoke_first(tracker: Tracker) -> None:
    tracker.take(make_record(1, boot=OTHER), 1.0)
    tracker.wanted(1.0)
    inventory = (
        RingBoot(boot=BOOT, first=1, last=1),
        RingBoot(boot=OTHER, first=1, last=1),
    )
    tracker.caught_up(CaughtUp(inventory=inventory, records=(make_record(1),)), 1.1)
    assert [record.boot for record in tracker.due(9.0)] == [BOOT, OTHER]


def test_at_the_start_nothing_is_stored_before_the_ring_has_answered() -> None:
    tracker = Tracker(None, now_s=0.0)
    tracker.take(make_record(1), 0.0)
    assert tracker.due(0.0) == []
    assert tracker.due(STORE_HOLD_S - 0.1) == []
    assert numbers(tracker.due(STORE_HOLD_S)) == [1]


def test_a_start_without_its_place_has_none_after_a_restart_either(tracker: Tracker) -> None:
    tracker.take(make_record(1, boot=OTHER), 1.0)
    assert tracker.held(1.0) == ((OTHER, 0),)
    again = Tracker(tracker.memory(), now_s=2.0)
    assert again.held(2.0) == ((OTHER, 0),)


def test_after_a_restart_the_end_of_what_is_stored_waits_for_the_ring() -> None:
    before = Tracker(None, now_s=0.0)
    before.caught_up(CaughtUp(), 0.0)
    before.use_store("db")
    before.take(make_record(1), 1.0)
    before.wanted(1.0)
    before.caught_up(ring(1, 1), 1.0)
    before.stored(before.due(3.0))
    tracker = Tracker(before.memory(), now_s=5.0)
    tracker.use_store("db")
    assert tracker.held(5.0) == ((BOOT, 2),)
    tracker.wanted(5.0)
    tracker.caught_up(ring(1, 1), 5.0)
    assert tracker.held(5.0) == ()
