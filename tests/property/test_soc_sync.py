"""Whatever is read and whatever becomes of writes: one a day, and none after a failure."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tinybms_charge.soc_sync import (
    DAY_S,
    LONGEST_GAP_S,
    STATUS_WAIT_S,
    KeptSync,
    Outcome,
    SyncReading,
    SyncState,
    from_bytes,
    synchronised,
    to_bytes,
    told,
)

READINGS = st.builds(
    SyncReading,
    soc_pct=st.floats() | st.floats(min_value=75, max_value=100),
    status=st.sampled_from(("charging", "fully_charged", "idle", "discharging", "fault")),
    firmware=st.sampled_from((229, 230, 254)),
    full=st.booleans(),
    allowed=st.sampled_from((True, True, False)),
    trusted=st.sampled_from((True, True, True, False)),
)
TIMES = st.sampled_from((0.1, 1.0, 9.0, 3600.0, 90_000.0)) | st.floats()
EVENTS = st.lists(st.tuples(READINGS, TIMES, st.sampled_from(Outcome), st.booleans()), max_size=30)


@given(events=EVENTS)
def test_writes_are_rare_and_never_follow_a_failure(
    events: list[tuple[SyncReading, float, Outcome, bool]],
) -> None:
    state = SyncState()
    since_s = DAY_S
    full_s = math.inf
    failed = False
    for reading, dt_s, outcome, restart in events:
        since_s += dt_s if 0 <= dt_s < float("inf") else 0.0
        full_s += dt_s if 0 <= dt_s < LONGEST_GAP_S else 0.0
        full_s = 0.0 if reading.full and reading.trusted else full_s
        result = synchronised(state, reading, dt_s)
        if result.write:
            assert reading.allowed
            assert full_s < STATUS_WAIT_S
            assert reading.trusted
            assert reading.status in {"charging", "fully_charged"}
            assert reading.firmware >= 230
            assert 80.0 <= reading.soc_pct < 99.9 or 100.1 < reading.soc_pct <= 120.0
            assert since_s >= DAY_S - 1e-3
            assert not failed
            since_s = 0.0
            answered = told(result.state, outcome)
            result, notes = answered, (*result.notes, *answered.notes)
        else:
            notes = result.notes
        state = result.state
        failed = failed or any(note.code == "soc_set_failed" for note in notes)
        assert failed == bool(state.blocked)
        if restart:
            kept = KeptSync(kernel_boot_id="a", boottime_ns=0, battery="b", state=state)
            again = from_bytes(to_bytes(kept), kernel_boot_id="z", boottime_ns=0).state
            assert again == replace(state, due_s=-1.0)
            state, full_s = again, math.inf
