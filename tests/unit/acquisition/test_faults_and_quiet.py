"""Active faults from log and status, and when an empty pack is left alone."""

import pytest
from msgspec.structs import replace

from fake_bms_frames import log_words, settings_words, version_words
from fake_live import fake_sample
from tinybms_acquisition.battery import Battery, Settled
from tinybms_acquisition.faults import UNKNOWN_FAULT, FaultTracker, event_ids
from tinybms_acquisition.quiet import QuietMode
from tinybms_acquisition.sample import Moment
from tinybms_messages.live import Sample
from tinybms_messages.status import CanStatus

NOW = 1_000_000
MOMENT = Moment(boottime_ns=10**12, wall_ns=1_790_000_000_000_000_000, time_ok=True)


@pytest.fixture
def known() -> Settled:
    battery = Battery(None)
    battery.take_version(version_words())
    battery.take_settings(settings_words())
    assert battery.settled is not None
    return battery.settled


def sample(status: str = "idle", **changes: object) -> Sample:
    return replace(fake_sample(), online_status=status, lifetime_s=NOW, **changes)


def test_a_fault_in_log_and_status_is_active_with_its_time(known: Settled) -> None:
    tracker = FaultTracker()
    tracker.take_log(log_words((0x61, NOW - 500), (0x03, NOW - 40)), NOW)
    (fault,) = tracker.active(sample("fault"), known, MOMENT)
    assert (fault.number, fault.kind) == (0x03, "fault")
    assert fault.wall_ns == MOMENT.wall_ns - 40_000_000_000
    assert event_ids((fault,)) == {0x03}


def test_a_log_without_the_status_is_history(known: Settled) -> None:
    tracker = FaultTracker()
    tracker.take_log(log_words((0x03, NOW - 40)), NOW)
    assert tracker.active(sample("idle"), known, MOMENT) == ()


def test_a_status_without_the_log_is_an_unknown_fault(known: Settled) -> None:
    tracker = FaultTracker()
    assert tracker.active(sample("fault"), known, MOMENT) == (UNKNOWN_FAULT,)
    assert event_ids((UNKNOWN_FAULT,)) == frozenset()


def test_a_recovered_fault_is_not_the_cause_of_the_present_one(known: Settled) -> None:
    tracker = FaultTracker()
    log = log_words((0x03, NOW - 400), (0x79, NOW - 300), (0x05, NOW - 2))
    tracker.take_log(log, NOW)
    assert event_ids(tracker.active(sample("fault"), known, MOMENT)) == {0x05}


def test_a_warning_ends_when_the_cells_contradict_it(known: Settled) -> None:
    tracker = FaultTracker()
    tracker.take_log(log_words((0x31, NOW - 40)), NOW)
    low = sample(cell_voltages_v=(2.85,) + (3.3,) * 15)
    assert event_ids(tracker.active(low, known, MOMENT)) == {0x31}
    assert tracker.active(sample(), known, MOMENT) == ()


def test_the_begin_of_a_fault_does_not_wander_with_the_clock(known: Settled) -> None:
    tracker = FaultTracker()
    tracker.take_log(log_words((0x03, NOW - 40)), NOW)
    before = tracker.active(sample("fault"), known, MOMENT)
    assert tracker.active(sample("idle"), known, MOMENT) == ()
    later = Moment(
        boottime_ns=MOMENT.boottime_ns + 700_000_000,
        wall_ns=MOMENT.wall_ns + 700_000_000,
        time_ok=True,
    )
    tracker.take_log(log_words((0x03, NOW - 40), (0x64, NOW - 1)), NOW)
    assert tracker.active(sample("fault"), known, later) == before


def test_without_a_right_clock_the_begin_is_unknown(known: Settled) -> None:
    tracker = FaultTracker()
    tracker.take_log(log_words((0x03, NOW - 40)), NOW)
    moment = Moment(boottime_ns=0, wall_ns=0, time_ok=False)
    assert tracker.active(sample("fault"), known, moment)[0].wall_ns is None


def test_times_beyond_the_24_bits_are_put_right(known: Settled) -> None:
    tracker = FaultTracker()
    lifetime_s = 0x01000010
    tracker.take_log(log_words((0x03, 0xFFFFF0)), lifetime_s)
    faulty = replace(sample("fault"), lifetime_s=lifetime_s)
    fault = tracker.active(faulty, known, MOMENT)[0]
    assert fault.wall_ns == MOMENT.wall_ns - 32_000_000_000


EMPTY = sample(cell_voltages_v=(2.8,) * 16, pack_current_a=0.0)


def quiet_mode(*, enabled: bool = True, can: bool = True) -> QuietMode:
    mode = QuietMode(enabled=enabled, can_enabled=can, now_s=0.0)
    mode.note_sample(EMPTY, frozenset(), 2.9)
    return mode


def test_quiet_only_when_switched_on() -> None:
    assert not quiet_mode(enabled=False, can=False).is_quiet(10_000.0)


def test_an_empty_pack_without_gx_is_left_alone_after_ten_minutes() -> None:
    mode = quiet_mode()
    assert not mode.is_quiet(599.0)
    assert mode.is_quiet(600.0)


def test_an_empty_pack_without_can_is_left_alone_at_once() -> None:
    assert quiet_mode(can=False).is_quiet(1.0)


def test_a_gx_keeps_the_line_busy_and_wakes_it() -> None:
    mode = quiet_mode()
    assert mode.is_quiet(700.0)
    mode.note_can(CanStatus(state="sending", victron_keepalive_ok=True, keepalive_age_s=0.4), 700.0)
    assert not mode.is_quiet(700.0)
    mode.note_can(CanStatus(state="sending", victron_keepalive_ok=False), 1290.0)
    assert not mode.is_quiet(1299.0)
    assert mode.is_quiet(1299.7)


def test_an_old_message_about_a_gx_is_no_gx() -> None:
    mode = quiet_mode()
    mode.note_can(CanStatus(state="sending", keepalive_age_s=0.4), 50.0)
    assert not mode.is_quiet(649.0)
    assert mode.is_quiet(650.0)


def test_a_charging_pack_is_not_left_alone() -> None:
    mode = quiet_mode(can=False)
    mode.note_sample(replace(EMPTY, pack_current_a=5.0), frozenset({0x02}), 2.9)
    assert not mode.is_quiet(10_000.0)


@pytest.mark.parametrize("number", [0x02, 0x31])
def test_the_bms_saying_empty_is_enough(number: int) -> None:
    mode = QuietMode(enabled=True, can_enabled=False, now_s=0.0)
    mode.note_sample(sample(pack_current_a=0.0), frozenset({number}), 2.9)
    assert mode.is_quiet(1.0)


def test_a_full_pack_is_not_left_alone() -> None:
    mode = QuietMode(enabled=True, can_enabled=False, now_s=0.0)
    mode.note_sample(sample(pack_current_a=0.0), frozenset(), 2.9)
    assert not mode.is_quiet(10_000.0)
