"""Replay of stored records: claim some, publish them behind all that is new, acknowledge. Pure.

One batch at a time, in the order in which buffer gives it. What the broker did not acknowledge
before the connection broke is published again; what was not acknowledged when the lease ends
is claimed anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tinybms_messages.requests import (
    LEASE_S,
    MAX_RECORDS,
    Ack,
    Acked,
    Claim,
    Claimed,
    ReplyBody,
    StoredRecord,
)
from tinybms_mqtt_out.delivered import Delivered
from tinybms_mqtt_out.publication import Publication, RecordId

RESERVE: Final = 4
"""Places of the window that replays leave free, so that live values find one at once."""
BURST_S: Final = 0.1
"""Replays that may go at once, as time at the configured rate."""
BATCH_S: Final = 5.0
"""A batch is published within this time at the configured rate, well inside its lease."""
ACK_PERIOD_S: Final = 1.0
"""Each acknowledgement to buffer costs a write to disk."""
RETRY_S: Final = 1.0
REFUSED_S: Final = 60.0
"""Pause after the broker refused a replay: its access list will not change in a moment."""

Make = Callable[[StoredRecord, str], Publication]


class Replay:
    """`step` says what to publish, `question` what to ask buffer; `now_s` is CLOCK_BOOTTIME."""

    def __init__(self, *, claimer: str, rate: int, delivered: Delivered, make: Make) -> None:
        self._name = claimer
        self._silences = 0
        self._rate = rate
        self._delivered = delivered
        self._make = make
        self._store = ""
        self._batch: dict[int, StoredRecord] = {}
        self._on_the_way: set[int] = set()
        self._arrived: list[int] = []
        self._acking: int = 0
        self._claimed_s = 0.0
        self._claim_at_s = 0.0
        self._ack_at_s = 0.0
        self._paused_until_s = 0.0
        self._allowed = 0.0
        self._allowed_s: float | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is claimed and nothing is to be told to buffer."""
        return not self._batch and not self._arrived

    def step(self, now_s: float, room: int) -> list[Publication]:
        """What to publish now, when the window has `room`."""
        self._end_lease(now_s)
        self._fill(now_s)
        if now_s < self._paused_until_s or now_s - self._claimed_s > LEASE_S - RETRY_S:
            return []
        due: list[Publication] = []
        for number, stored in list(self._batch.items()):
            if number in self._on_the_way:
                continue
            if self._delivered.has(stored.record.boot, stored.record.seq):
                self._note_arrival(number)
            elif self._allowed >= 1 and len(due) < room - RESERVE:
                self._allowed -= 1
                self._on_the_way.add(number)
                due.append(self._make(stored, self._store))
            else:
                break
        return due

    def question(self, now_s: float, rows: int) -> Claim | Ack | None:
        """What to ask buffer, which has about `rows`; `answered` or `silence` must follow."""
        if self._arrived and (not self._batch or now_s >= self._ack_at_s):
            self._ack_at_s = now_s + ACK_PERIOD_S
            self._acking = len(self._arrived)
            return Ack(claimer=self._claimer, store=self._store, ids=tuple(self._arrived))
        if self._batch or rows <= 0 or now_s < max(self._claim_at_s, self._paused_until_s):
            return None
        limit = max(1, min(MAX_RECORDS, round(self._rate * BATCH_S)))
        return Claim(claimer=self._claimer, limit=limit)

    def answered(self, body: ReplyBody, now_s: float) -> None:
        """Buffer answered the last question."""
        match body:
            case Claimed(store=store, records=records):
                self._store = store
                self._batch = {stored.id: stored for stored in records}
                self._claimed_s = now_s
                self._ack_at_s = now_s + ACK_PERIOD_S
                if not records:
                    self._claim_at_s = now_s + RETRY_S
            case Acked():
                del self._arrived[: self._acking]
            case _:
                self.silence(now_s)

    def silence(self, now_s: float) -> None:
        """Buffer did not answer; what arrived is told again."""
        self._silences += 1
        self._claim_at_s = self._ack_at_s = now_s + RETRY_S

    def arrived(self, record: RecordId) -> None:
        """The broker has acknowledged a replay."""
        if record.store == self._store and record.stored is not None:
            self._note_arrival(record.stored)

    def refused(self, record: RecordId, now_s: float) -> None:
        """The broker does not take a replay; it is tried again later, with all others."""
        if record.stored is not None:
            self._on_the_way.discard(record.stored)
        self._paused_until_s = now_s + REFUSED_S

    def disconnected(self) -> None:
        """What was on its way is to be published again."""
        self._on_the_way.clear()

    @property
    def _claimer(self) -> str:
        """Another one after each silence: an answer that got lost has leased what nobody has.

        Buffer frees the leases of a former claimer at once; otherwise its next answer would begin
        behind them.
        """
        return f"{self._name}-{self._silences}"

    def _note_arrival(self, number: int) -> None:
        self._on_the_way.discard(number)
        self._batch.pop(number, None)
        if number not in self._arrived:
            self._arrived.append(number)

    def _end_lease(self, now_s: float) -> None:
        if self._batch and now_s - self._claimed_s > LEASE_S:
            self._batch.clear()
            self._on_the_way.clear()
            self._claim_at_s = now_s + RETRY_S

    def _fill(self, now_s: float) -> None:
        since_s = 0.0 if self._allowed_s is None else now_s - self._allowed_s
        most = max(1.0, self._rate * BURST_S)
        self._allowed = min(most, self._allowed + since_s * self._rate)
        self._allowed_s = now_s
