"""When SoC is set to 100 %, what is never done, and what is remembered."""

from __future__ import annotations

from dataclasses import replace as changed

import pytest
from msgspec.structs import replace

from fake_charge import BMS, PARAMETERS, make_measurement
from tinybms_charge.machine import truly_full
from tinybms_charge.measurement import Measurement
from tinybms_charge.soc_sync import (
    DAY_S,
    STATUS_WAIT_S,
    VERIFY_S,
    KeptSync,
    Outcome,
    Synced,
    SyncReading,
    SyncState,
    advisories,
    from_bytes,
    resumed,
    synchronised,
    to_bytes,
    told,
)
from tinybms_charge.state import ChargeState
from tinybms_charge.step import step

FULL = SyncReading(soc_pct=95.0, status="charging", firmware=254, full=True, allowed=True)
CALM = replace(FULL, full=False)


def begun() -> SyncState:
    result = synchronised(SyncState(), FULL, 0.1)
    assert result.write
    return result.state


def codes(result: Synced) -> list[str]:
    return [note.code for note in result.notes]


def test_at_a_true_full_charge_soc_is_set_once() -> None:
    state = begun()
    for _ in range(20):
        result = synchronised(state, FULL, 0.1)
        assert not result.write
        state = result.state


def test_without_permission_nothing_is_ever_written() -> None:
    result = synchronised(SyncState(), replace(FULL, allowed=False), 0.1)
    assert (result.write, result.notes) == (False, ())


def test_a_charge_that_is_not_full_writes_nothing() -> None:
    assert not synchronised(SyncState(), CALM, 0.1).write
    assert not synchronised(SyncState(), replace(CALM, status="fully_charged"), 0.1).write


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"firmware": 229}, "2.3.229"),
        ({"soc_pct": 79.9}, "20 %"),
    ],
)
def test_what_is_refused_is_said(changes: dict[str, object], words: str) -> None:
    result = synchronised(SyncState(), replace(FULL, **changes), 0.1)
    assert not result.write
    assert codes(result) == ["soc_not_set"]
    assert words in result.notes[0].text
    assert result.state.blocked == ""


@pytest.mark.parametrize("status", ["idle", "discharging", "fault"])
def test_a_battery_that_rests_when_it_is_full_is_waited_for(status: str) -> None:
    resting = replace(FULL, status=status)
    first = synchronised(SyncState(), resting, 0.1)
    assert (first.write, first.notes) == (False, ())
    later = synchronised(first.state, replace(CALM, status=status, soc_pct=94.6), 600.0)
    assert (later.write, later.notes) == (False, ())
    assert synchronised(later.state, replace(CALM, soc_pct=94.6), 0.1).write


@pytest.mark.parametrize(("changes", "after_s"), [({}, STATUS_WAIT_S), ({"soc_pct": 94.4}, 60.0)])
def test_that_wait_ends_with_a_word(changes: dict[str, object], after_s: float) -> None:
    waiting = synchronised(SyncState(), replace(FULL, status="idle"), 0.1).state
    over = synchronised(waiting, replace(CALM, status="idle", **changes), after_s)
    assert codes(over) == ["soc_not_set"]
    assert "idle" in over.notes[0].text
    assert over.state.blocked == ""
    assert not synchronised(over.state, CALM, 0.1).write


def test_after_that_wait_a_status_of_charging_comes_too_late() -> None:
    waiting = synchronised(SyncState(), replace(FULL, status="idle"), 0.1).state
    assert not synchronised(waiting, CALM, STATUS_WAIT_S).write
    assert not synchronised(waiting, replace(CALM, soc_pct=94.4), 60.0).write


def test_a_doubtful_reading_does_not_end_that_wait() -> None:
    waiting = synchronised(SyncState(), replace(FULL, status="idle"), 0.1).state
    doubtful = synchronised(waiting, replace(CALM, soc_pct=5.0, trusted=False), 0.1)
    assert (doubtful.write, doubtful.notes) == (False, ())
    assert synchronised(doubtful.state, CALM, 0.1).write


def test_a_restart_forgets_that_wait() -> None:
    waiting = synchronised(SyncState(), replace(FULL, status="idle"), 0.1).state
    kept = KeptSync(kernel_boot_id="k", boottime_ns=0, battery="b", state=waiting)
    again = from_bytes(to_bytes(kept), kernel_boot_id="k", boottime_ns=10**9).state
    assert not synchronised(again, CALM, 0.1).write


@pytest.mark.parametrize(
    "changes", [{"firmware": 230}, {"status": "fully_charged"}, {"soc_pct": 80}]
)
def test_the_bounds_themselves_are_allowed(changes: dict[str, object]) -> None:
    assert synchronised(SyncState(), replace(FULL, **changes), 0.1).write


@pytest.mark.parametrize("soc_pct", [float("nan"), float("inf")])
def test_a_soc_that_is_no_number_or_doubtful_is_not_acted_on(soc_pct: float) -> None:
    assert not synchronised(SyncState(), replace(FULL, soc_pct=soc_pct), 0.1).write
    assert not synchronised(SyncState(), replace(FULL, trusted=False), 0.1).write


def test_the_reading_verifies_the_write() -> None:
    waiting = synchronised(begun(), replace(CALM, soc_pct=95.0), 1.0)
    assert (waiting.notes, waiting.state.verifying_s) == ((), 1.0)
    doubtful = synchronised(waiting.state, replace(CALM, soc_pct=100.0, trusted=False), 0.1)
    assert doubtful.notes == ()
    done = synchronised(doubtful.state, replace(CALM, soc_pct=99.9), 0.1)
    assert codes(done) == ["soc_set"]
    assert "from 95.0 % to 100 %" in done.notes[0].text
    assert (done.state.verifying_s, done.state.unsynchronised_s) == (-1.0, 0.0)


def test_an_unverified_write_is_an_event_and_never_again_by_itself() -> None:
    state = begun()
    result = synchronised(state, replace(CALM, soc_pct=99.8), VERIFY_S - 0.1)
    assert result.notes == ()
    result = synchronised(result.state, replace(CALM, soc_pct=99.8), 0.1)
    assert [(note.code, note.severity) for note in result.notes] == [("soc_set_failed", "warning")]
    state = result.state
    for _ in range(5):
        result = synchronised(state, FULL, 2 * DAY_S)
        assert not result.write
        state = result.state
    assert "tinybms-ctl soc resume" in advisories(state, allowed=True)[0]
    assert synchronised(resumed(state), FULL, 0.1).write


def test_a_refusal_of_the_bms_blocks_at_once() -> None:
    result = told(begun(), Outcome.REFUSED)
    assert codes(result) == ["soc_set_failed"]
    assert not synchronised(result.state, FULL, 2 * DAY_S).write


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.UNKNOWN])
def test_an_acknowledgement_alone_proves_nothing(outcome: Outcome) -> None:
    state = begun()
    assert told(state, outcome) == Synced(state=state)


def test_a_write_that_was_not_sent_waits_for_a_later_day() -> None:
    state = told(begun(), Outcome.NOT_SENT).state
    assert state.blocked == ""
    early = synchronised(state, FULL, DAY_S - 1.0)
    assert (early.write, "less than a day" in early.notes[0].text) == (False, True)
    assert synchronised(early.state, FULL, 1.0).write


def test_two_writes_are_a_day_apart_and_bad_times_make_it_longer() -> None:
    done = synchronised(begun(), replace(CALM, soc_pct=100.0), 0.1).state
    for dt_s in (-1e6, float("nan"), float("inf"), 1e30):
        done = synchronised(done, CALM, dt_s).state
    assert not synchronised(done, FULL, DAY_S - 1.0).write
    assert synchronised(done, FULL, DAY_S).write


def test_days_without_a_right_soc_are_counted_and_advised() -> None:
    state = synchronised(SyncState(), CALM, 14.5 * DAY_S).state
    assert state.unsynchronised_days == 14.5
    assert "allow_writes" in advisories(state, allowed=False)[0]
    assert "allow_writes" not in advisories(state, allowed=True)[0]
    full = replace(CALM, status="fully_charged", soc_pct=100.0)
    assert synchronised(state, full, 0.1).state.unsynchronised_s == 0.0
    right = replace(FULL, soc_pct=99.95, allowed=False)
    assert synchronised(state, right, 0.1).state.unsynchronised_s == 0.0
    assert advisories(SyncState(), allowed=False) == ()


def kept(state: SyncState) -> bytes:
    return to_bytes(KeptSync(kernel_boot_id="one", boottime_ns=0, battery="b", state=state))


def test_a_restart_forgets_neither_day_nor_block() -> None:
    state = replace(SyncState(), since_write_s=5.0, unsynchronised_s=7.0, blocked="why")
    again = from_bytes(kept(state), kernel_boot_id="one", boottime_ns=60 * 10**9)
    assert (again.battery, again.state.blocked) == ("b", "why")
    assert (again.state.since_write_s, again.state.unsynchronised_s) == (65.0, 67.0)
    reboot = from_bytes(kept(state), kernel_boot_id="two", boottime_ns=60 * 10**9)
    assert (reboot.state.since_write_s, reboot.state.blocked) == (5.0, "why")


def test_killed_between_note_and_write_it_counts_as_failed() -> None:
    again = from_bytes(kept(begun()), kernel_boot_id="one", boottime_ns=10**9)
    assert codes(synchronised(again.state, CALM, VERIFY_S)) == ["soc_set_failed"]


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"\xff", kept(replace(SyncState(), since_write_s=-5.0)), kept(SyncState())[:-9]],
)
def test_a_damaged_file_blocks(data: bytes) -> None:
    again = from_bytes(data, kernel_boot_id="one", boottime_ns=1)
    assert "damaged" in again.state.blocked
    assert not synchronised(again.state, FULL, 0.1).write


def test_a_missing_file_is_a_fresh_start() -> None:
    assert from_bytes(None, kernel_boot_id="one", boottime_ns=1).state == SyncState()


def ends(measured: Measurement, seconds: int) -> list[bool]:
    """Whether each step of a charge was a true full."""
    state = ChargeState()
    found = []
    for _ in range(seconds):
        after = step(state, measured, BMS, PARAMETERS, 1.0).state
        found.append(truly_full(state.cycle, after.cycle))
        state = after
    return found


def test_a_small_current_at_the_target_is_a_true_full_and_told_once() -> None:
    full = make_measurement(cell_v=3.45, pack_current_a=3.0, status="charging")
    assert ends(full, 1200).count(True) == 1


def test_rest_time_or_the_word_of_the_bms_is_no_true_full() -> None:
    resting = make_measurement(cell_v=3.38, pack_current_a=0.0)
    said = make_measurement(cell_v=3.45, pack_current_a=3.0, status="fully_charged")
    assert not any(ends(resting, 4000))
    assert not any(ends(said, 1200))
    assert not any(ends(changed(said, status="charging", pack_current_a=50.0), 1200))
