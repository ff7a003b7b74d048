"""The store against a plain model: append, claim, acknowledge, crash, reopen, forget, age."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fake_clock import FakeClock
from fake_critical import record_at
from fake_store import BUFFER_BOOT, open_store
from tinybms_buffer.bounds import StoreLimits
from tinybms_buffer.rows import IN_ORDER, NO_PLACE, RANKS, from_row
from tinybms_buffer.store import GapNumbers, Store
from tinybms_messages.critical import Critical, CriticalClass
from tinybms_messages.requests import LEASE_S, StoredRecord

BOOTS = ("boot-1", "boot-2", "boot-3")
CLAIMERS = ("claimer-1", "claimer-2")
MAX_AGE_S = 1000.0
RANK = {record_class: rank for rank, record_class in enumerate(CriticalClass)}

Key = tuple[str, int, CriticalClass]
KEYS = st.tuples(st.sampled_from(BOOTS), st.integers(1, 40), st.sampled_from(CriticalClass))


def key_of(record: Critical) -> Key:
    return record.boot, record.seq, record.record_class


@dataclass
class Model:
    """Rows in a dictionary; `origins` are the starts in the order in which they were first seen."""

    rows: dict[Key, Critical] = field(default_factory=dict)
    origins: list[str] = field(default_factory=list)
    lease_ends_s: dict[Key, float] = field(default_factory=dict)
    claimer: str = ""

    def in_order(self) -> list[Critical]:
        return sorted(
            self.rows.values(),
            key=lambda one: (RANK[one.record_class], self.origins.index(one.boot), one.seq),
        )

    def drop(self, keys: Iterable[Key]) -> int:
        found = [key for key in set(keys) if key in self.rows]
        for key in found:
            del self.rows[key]
        return len(found)


class StoreMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tb-store-"))
        self.clock = FakeClock()
        self.model = Model()
        self.on_their_way: list[StoredRecord] = []
        self.starts = 0
        self.gap_numbers = GapNumbers(BUFFER_BOOT)
        self._open(self.folder / "buffer.db")

    def _open(self, path: Path) -> None:
        limits = StoreLimits(max_age_s=MAX_AGE_S, max_rows=100_000)
        self.path = path
        self.store: Store = open_store(
            path, self.clock, limits=limits, gap_numbers=self.gap_numbers
        )
        self.model.lease_ends_s.clear()
        self.model.claimer = ""
        if self.store.rows == 0:
            self.model.origins.clear()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder)

    @rule(keys=st.lists(KEYS, min_size=1, max_size=8))
    def append(self, keys: list[Key]) -> None:
        batch = [
            record_at(self.clock, seq, boot=boot, record_class=record_class)
            for boot, seq, record_class in keys
        ]
        before = len(self.model.rows)
        for record in batch:
            if record.boot not in self.model.origins:
                self.model.origins.append(record.boot)
            self.model.rows.setdefault(key_of(record), record)
        assert self.store.append(batch).stored == len(self.model.rows) - before

    @rule(claimer=st.sampled_from(CLAIMERS), limit=st.integers(1, 12))
    def claim(self, claimer: str, limit: int) -> None:
        model, now_s = self.model, self.clock.boottime_ns() / 1e9
        if claimer != model.claimer:
            model.lease_ends_s.clear()
            model.claimer = claimer
        free = [one for one in model.in_order() if model.lease_ends_s.get(key_of(one), 0) <= now_s]
        claimed = self.store.claim(claimer, limit)
        records = [one for one in claimed if one.record.boot != BUFFER_BOOT]
        assert [one.record for one in records] == free[: len(records)]
        assert len(claimed) == limit or len(records) == len(free)
        for one in records:
            model.lease_ends_s[key_of(one.record)] = now_s + LEASE_S
        self.on_their_way += claimed

    @rule(seconds=st.sampled_from([LEASE_S - 0.5, LEASE_S + 0.5]), limit=st.integers(1, 12))
    def claim_again_later(self, seconds: float, limit: int) -> None:
        """The same claimer, for chance alone seldom comes to it before a restart does."""
        claimer = self.model.claimer or CLAIMERS[0]
        self.claim(claimer=claimer, limit=limit)
        self.clock.advance(seconds)
        self.claim(claimer=claimer, limit=limit)

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        if not self.on_their_way:
            return
        chosen = data.draw(st.lists(st.sampled_from(self.on_their_way), max_size=8))
        self.store.ack([one.id for one in chosen])
        for one in chosen:
            key = key_of(one.record)
            if self.model.rows.get(key) == one.record:
                self.model.drop([key])

    @rule(boot=st.sampled_from(BOOTS), first=st.integers(1, 40), length=st.integers(0, 10))
    def forget(self, boot: str, first: int, length: int) -> None:
        """Leased rows stay; which leases the store still counts is its own matter."""
        named = {
            key for key in self.model.rows if key[0] == boot and first <= key[1] <= first + length
        }
        leased = set(self.model.lease_ends_s)
        forgotten = self.store.forget(boot, [(first, first + length)])
        left = {key_of(one) for one in self._rows() if one.boot != BUFFER_BOOT}
        gone = set(self.model.rows) - left
        assert named - leased <= gone <= named
        assert forgotten == self.model.drop(gone)

    @rule(seconds=st.sampled_from([0.5, LEASE_S + 0.5, 300.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def prune(self) -> None:
        """Leased rows stay; which leases the store still counts is its own matter."""
        oldest_ns = self.clock.wall_ns() - round(MAX_AGE_S * 1e9)
        old = {key for key, one in self.model.rows.items() if one.wall_ns < oldest_ns}
        leased = set(self.model.lease_ends_s)
        removed = self.store.prune()
        left = {key_of(one) for one in self._rows() if one.boot != BUFFER_BOOT}
        gone = set(self.model.rows) - left
        assert old - leased <= gone <= old
        assert removed == self.model.drop(gone)

    @rule(
        old=st.lists(KEYS, min_size=1, max_size=4),
        young=st.lists(KEYS, min_size=1, max_size=4),
    )
    def prune_amid_young_ones(self, old: list[Key], young: list[Key]) -> None:
        """Chance alone seldom lets some grow too old while others have not."""
        self.append(keys=old)
        self.clock.advance(MAX_AGE_S + 1)
        self.append(keys=young)
        self.prune()

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self._open(self.path)

    @rule()
    def crash(self) -> None:
        """What the disk has at this moment is all that the next start finds."""
        self.starts += 1
        path = self.folder / f"after-crash-{self.starts}.db"
        for companion in ("", "-wal"):
            file = self.path.with_name(self.path.name + companion)
            if file.exists():
                shutil.copy(file, path.with_name(path.name + companion))
        self.store.close()
        self._open(path)

    @rule()
    def tidy(self) -> None:
        self.store.tidy()
        self.store.check()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        rows = self._rows()
        assert [one for one in rows if one.boot != BUFFER_BOOT] == self.model.in_order()
        assert self.store.rows == len(rows)

    def _rows(self) -> list[Critical]:
        """All rows in order of delivery, read past claims and leases."""
        database = self.store._db
        return [
            from_row(database.with_offset(row)).record
            for rank in sorted(RANKS.values())
            for row in database.connection.execute(IN_ORDER, (rank, *NO_PLACE, 10_000)).fetchall()
        ]


StoreMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestStore = StoreMachine.TestCase
