"""When the BMS's state of charge is set to 100 %: a pure decision at a true full charge.

A TinyBMS counts charge and corrects itself only where it calls the pack full by its own voltage; a
charge that ends gently below that lets its count drift for ever (TinyBMS user manual Rev D, state
of charge). One register is written then, at most once a day. What can't be verified is never
written again by itself.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final

import msgspec

from tinybms_protocol.settings import FIRMWARE_SAFE_WRITES
from tinybms_protocol.status import OnlineStatus

SCHEMA: Final = 1
FULL_PCT: Final = 100.0
EQUAL_WITHIN_PCT: Final = 0.1
MOST_CHANGE_PCT: Final = 20.0
NO_NEWS_PCT: Final = 2.0
"""So little is not worth an event when it is not set; the next day will do."""
DAY_S: Final = 86_400.0
VERIFY_S: Final = 10.0
"""Readings of so long may show the new value: a write takes a second at most, a look back half."""
STATUS_WAIT_S: Final = 1800.0
USED_PCT: Final = 0.5
"""A full battery rests or feeds its loads at once, and is asked for a status of charging for so
long after the full charge, as long as no more than that was taken out."""
ADVISE_AFTER_DAYS: Final = 14.0
LONGEST_GAP_S: Final = 400 * DAY_S

_STATUSES: Final = frozenset({OnlineStatus.CHARGING, OnlineStatus.FULLY_CHARGED})


class Outcome(StrEnum):
    """What became of a write on the line."""

    DONE = "done"
    """The BMS acknowledged it."""
    UNKNOWN = "unknown"
    """It was sent and not acknowledged: the reading tells."""
    REFUSED = "refused"
    """The BMS said no."""
    NOT_SENT = "not_sent"


class SyncState(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known from one full charge to the next; times in s."""

    since_write_s: float = DAY_S
    unsynchronised_s: float = 0.0
    """Since SoC was last known to be right, or since the gateway first saw this battery."""
    verifying_s: float = -1.0
    """Since a write whose effect is looked for; -1: none is."""
    due_s: float = -1.0
    """Since a full charge after which SoC may still be set; -1: none."""
    from_pct: float = FULL_PCT
    """What the BMS said before that write, or at that full charge."""
    blocked: str = ""
    """Why nothing is written any more; the owner may resume."""

    @property
    def unsynchronised_days(self) -> float:
        """Days since SoC was last known to be right."""
        return self.unsynchronised_s / DAY_S


class SyncReading(msgspec.Struct, frozen=True, kw_only=True):
    """One reading. `full`: this very reading ended a charge at the target with a small current."""

    soc_pct: float
    status: str
    firmware: int
    full: bool
    allowed: bool
    """acquisition.allow_writes."""
    trusted: bool = True
    """False while the filter doubts the reading."""


class SyncNote(msgspec.Struct, frozen=True, kw_only=True):
    """Something worth an event."""

    code: str
    text: str
    severity: str = "info"


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """Result of one reading; `write`: set SoC to FULL_PCT now, once."""

    state: SyncState
    write: bool = False
    notes: tuple[SyncNote, ...] = ()


def synchronised(state: SyncState, reading: SyncReading, dt_s: float) -> Synced:
    """What to do at a reading taken `dt_s` after the one before; never raises.

    A time that is no time leaves every timer as it is: the day between two writes gets longer.
    """
    passed_s = dt_s if 0.0 <= dt_s < LONGEST_GAP_S else 0.0
    state = msgspec.structs.replace(
        state,
        since_write_s=min(state.since_write_s + passed_s, LONGEST_GAP_S),
        unsynchronised_s=min(state.unsynchronised_s + passed_s, LONGEST_GAP_S),
    )
    known = reading.trusted and math.isfinite(reading.soc_pct)
    right = known and abs(reading.soc_pct - FULL_PCT) <= EQUAL_WITHIN_PCT
    if state.verifying_s >= 0.0:
        return _verified(state, right=right, passed_s=passed_s)
    if right and (reading.full or reading.status == OnlineStatus.FULLY_CHARGED):
        return Synced(state=msgspec.structs.replace(state, unsynchronised_s=0.0, due_s=-1.0))
    if reading.full and known:
        state = msgspec.structs.replace(state, due_s=0.0, from_pct=reading.soc_pct)
    elif state.due_s >= 0.0:
        state = msgspec.structs.replace(state, due_s=state.due_s + passed_s)
    if state.due_s < 0.0 or not known:
        return Synced(state=state)
    return _due(state, reading)


def _due(state: SyncState, reading: SyncReading) -> Synced:
    """SoC is to be set as soon as the BMS's status allows it, if it ever may be."""
    over = msgspec.structs.replace(state, due_s=-1.0)
    if not reading.allowed or state.blocked:
        return Synced(state=over)
    refusal = _refusal(state, reading)
    if state.due_s >= STATUS_WAIT_S or state.from_pct - reading.soc_pct > USED_PCT:
        refusal = refusal or f"its status was not charging then; it is {reading.status} now"
    elif not refusal and reading.status not in _STATUSES:
        return Synced(state=state)
    if refusal and abs(reading.soc_pct - FULL_PCT) <= NO_NEWS_PCT:
        return Synced(state=over)
    if refusal:
        text = f"the battery is full, and SoC {reading.soc_pct:.1f} %; not set to 100 %: {refusal}"
        return Synced(state=over, notes=(SyncNote(code="soc_not_set", text=text),))
    begun = msgspec.structs.replace(
        over, since_write_s=0.0, verifying_s=0.0, from_pct=reading.soc_pct
    )
    return Synced(state=begun, write=True)


def told(state: SyncState, outcome: Outcome) -> Synced:
    """What became of the write."""
    if state.verifying_s < 0.0:
        return Synced(state=state)
    match outcome:
        case Outcome.REFUSED:
            return _failed(state, "the BMS refused it")
        case Outcome.NOT_SENT:
            text = "SoC could not be set at this full charge; tried again at a later one"
            note = SyncNote(code="soc_not_set", text=text)
            return Synced(state=msgspec.structs.replace(state, verifying_s=-1.0), notes=(note,))
        case _:
            return Synced(state=state)


def resumed(state: SyncState) -> SyncState:
    """The owner has looked: at a full charge SoC may be set again."""
    return msgspec.structs.replace(state, blocked="")


def advisories(state: SyncState, *, allowed: bool) -> tuple[str, ...]:
    """Sentences for the owner."""
    found = []
    if state.blocked:
        found.append(
            f"SoC is no longer set at a full charge: {state.blocked}; look at the BMS, then "
            "tinybms-ctl soc resume"
        )
    if state.unsynchronised_days > ADVISE_AFTER_DAYS:
        how = (
            "charge it to full" if allowed else "charge it to full, or set acquisition.allow_writes"
        )
        found.append(
            f"SoC has not been set right for {state.unsynchronised_days:.0f} days and drifts: {how}"
        )
    return tuple(found)


class KeptSync(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept on disk: the state, whose it is, and when it was kept by CLOCK_BOOTTIME."""

    schema: int = SCHEMA
    kernel_boot_id: str
    boottime_ns: int
    battery: str
    """Serial number; empty before one is known."""
    state: SyncState


def to_bytes(kept: KeptSync) -> bytes:
    """`kept` as JSON."""
    return msgspec.json.encode(kept)


def from_bytes(data: bytes | None, *, kernel_boot_id: str, boottime_ns: int) -> KeptSync:
    """What `to_bytes` made, as of now: with the time since then where that is known.

    A damaged file may have held a block: nothing is written until the owner resumes.
    """
    fresh = KeptSync(
        kernel_boot_id=kernel_boot_id, boottime_ns=boottime_ns, battery="", state=SyncState()
    )
    if data is None:
        return fresh
    try:
        kept = msgspec.json.decode(data, type=KeptSync)
    except (msgspec.DecodeError, UnicodeDecodeError):
        kept = None
    if kept is None or kept.schema != SCHEMA or not _plausible(kept.state):
        damaged = SyncState(blocked="what was known of earlier writes is damaged")
        return msgspec.structs.replace(fresh, state=damaged)
    gap_s = (boottime_ns - kept.boottime_ns) / 1e9
    if kept.kernel_boot_id != kernel_boot_id or not 0.0 <= gap_s < LONGEST_GAP_S:
        gap_s = 0.0
    state = msgspec.structs.replace(
        kept.state,
        since_write_s=kept.state.since_write_s + gap_s,
        unsynchronised_s=kept.state.unsynchronised_s + gap_s,
        due_s=-1.0,
    )
    return msgspec.structs.replace(fresh, battery=kept.battery, state=state)


def _plausible(state: SyncState) -> bool:
    times = (state.since_write_s, state.unsynchronised_s, state.verifying_s + 1.0)
    return all(0.0 <= value <= LONGEST_GAP_S + 1.0 for value in times)


def _refusal(state: SyncState, reading: SyncReading) -> str:
    if reading.firmware < FIRMWARE_SAFE_WRITES:
        return f"firmware 2.3.{reading.firmware} is too old for writes"
    if abs(FULL_PCT - reading.soc_pct) > MOST_CHANGE_PCT:
        return (
            f"more than {MOST_CHANGE_PCT:.0f} % apart; check capacity (register 306) and the "
            "current sensor"
        )
    if state.since_write_s < DAY_S:
        return "it was set less than a day ago"
    return ""


def _verified(state: SyncState, *, right: bool, passed_s: float) -> Synced:
    if right:
        text = f"SoC was set from {state.from_pct:.1f} % to 100 % at a full charge"
        after = msgspec.structs.replace(state, verifying_s=-1.0, unsynchronised_s=0.0)
        return Synced(state=after, notes=(SyncNote(code="soc_set", text=text),))
    waited_s = state.verifying_s + passed_s
    if waited_s < VERIFY_S:
        return Synced(state=msgspec.structs.replace(state, verifying_s=waited_s))
    return _failed(state, f"registers 46/47 did not show it within {VERIFY_S:.0f} s")


def _failed(state: SyncState, why: str) -> Synced:
    blocked = f"setting it from {state.from_pct:.1f} % to 100 % failed, {why}"
    after = msgspec.structs.replace(state, verifying_s=-1.0, blocked=blocked)
    text = f"SoC: {blocked}; it is not tried again by itself"
    return Synced(
        state=after, notes=(SyncNote(code="soc_set_failed", text=text, severity="warning"),)
    )
