"""Tracker and store as one: what is late goes to the disk, and trouble with the disk stays here.

While nothing can be stored, records wait in memory and the way of live values goes on untouched;
the store is tried again by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final, Protocol

from tinybms_buffer.gaps import Gap, GapKind
from tinybms_buffer.rows import stored_bytes
from tinybms_buffer.store import Store
from tinybms_buffer.tracked import Memory
from tinybms_buffer.tracker import Tracker
from tinybms_buffer.trouble import Damaged, OffCode, StorageOff
from tinybms_messages.critical import Critical, MqttDelivered
from tinybms_messages.requests import Ack, Acked, Claim, Claimed, Drop, Dropped
from tinybms_messages.status import BufferStatus
from tinybms_runtime.clock import Clock

RETRY_S: Final = 5.0
PRUNE_S: Final = 60.0
CHECK_S: Final = 86_400.0
BATCH_ROWS: Final = 1000
BATCH_BYTES: Final = 1024 * 1024
REPLAYING_S: Final = 15.0
"""So long after the last record was claimed the state is no longer "replaying"."""

OpenStore = Callable[[str], Store]
"""Opens the store, or raises StorageOff; the text says why the present file is to be set aside."""


class Tell(Protocol):
    """Says that something happened, as ServiceContext.event does."""

    def __call__(self, code: str, text: str, severity: str = "info") -> object:
        """`code` for programs, `text` for people; `severity` is info, warning or alarm."""


class Keeper:
    """The buffer without its sockets; call `tick` each second."""

    def __init__(
        self,
        *,
        clock: Clock,
        open_store: OpenStore,
        tell: Tell,
        memory: Memory | None,
        save: Callable[[Memory], None],
    ) -> None:
        self.tracker = Tracker(memory, now_s=clock.boottime_ns() / 1e9)
        self._clock = clock
        self._open_store = open_store
        self._tell = tell
        self._save = save
        self._saved = memory
        self._store: Store | None = None
        self._off: StorageOff | None = None
        self._retry_at_s = 0.0
        self._prune_at_s = 0.0
        self._check_at_s = self._now_s() + CHECK_S
        self._claimed_at_s: float | None = None
        self._lost = 0
        self._counts = {"stored": 0, "replayed": 0, "refused": 0, "set_aside": 0, "lost": 0}
        self._gone: dict[GapKind, int] = {}
        self._open()

    @property
    def storage_off(self) -> StorageOff | None:
        """Why nothing can be stored now, None when it can."""
        return self._off

    def take(self, record: Critical) -> None:
        """A record came by the bus."""
        self.tracker.take(record, self._now_s())

    def delivered(self, delivered: MqttDelivered) -> None:
        """The MQTT broker has records; those of them that were stored need no replay."""
        for boot, ranges in self.tracker.acknowledged(delivered):
            self._with_store(partial(Store.forget, boot=boot, ranges=ranges))

    def tick(self) -> None:
        """Store what is late, and look after the store."""
        now_s = self._now_s()
        self._lost += self.tracker.take_lost()
        if self._off is None or now_s >= self._retry_at_s:
            self._work(self.tracker.due(now_s), now_s)
        self.save()

    def claim(self, claim: Claim) -> Claimed:
        """Stored records for mqtt_out; none while the store can't be read."""
        store = self._store
        if store is None:
            return Claimed(store="")
        try:
            held = self.tracker.held(self._now_s())
            records = store.claim(claim.claimer, claim.limit, held)
        except (StorageOff, Damaged) as trouble:
            self._trouble(trouble)
            return Claimed(store="")
        if records:
            self._claimed_at_s = self._now_s()
        return Claimed(store=store.name, records=tuple(records), rows=store.rows)

    def ack(self, ack: Ack) -> Acked:
        """Remove what the MQTT broker has; a number of another database says nothing here."""
        store = self._store
        if store is None or ack.store != store.name:
            return Acked()
        try:
            removed = store.ack(ack.ids)
        except (StorageOff, Damaged) as trouble:
            self._trouble(trouble)
            return Acked()
        self._counts["replayed"] += removed
        return Acked(removed=removed)

    def drop(self, drop: Drop) -> Dropped:
        """Remove some of what the owner does not want any more."""
        removed = 0

        def act(store: Store) -> None:
            nonlocal removed
            removed = store.drop_before(drop.before_wall_ns)

        self._with_store(act)
        return Dropped(removed=removed)

    def close(self) -> None:
        """Store all that has not arrived, and close the file."""
        self._lost += self.tracker.take_lost()
        self._work(self.tracker.pending(), self._now_s())
        self.save()
        if self._store is not None:
            self._close_store(self._store)

    def save(self) -> None:
        """Keep what is known in the run folder, when it is news."""
        memory = self.tracker.memory()
        if memory == self._saved:
            return
        try:
            self._save(memory)
        except OSError:
            # Without it a restart asks the ring for more and repeats some records, marked.
            return
        self._saved = memory

    def status(self) -> BufferStatus:
        """What there is to say; the caller adds what the system knows."""
        store = self._store
        oldest = rows = size = None
        if store is not None:
            try:
                oldest, rows, size = store.oldest(), store.rows, store.file_bytes()
            except (StorageOff, Damaged) as trouble:
                self._trouble(trouble)
        gone = dict(self._gone)
        for kind, count in (self._store.removed if self._store else {}).items():
            gone[kind] = gone.get(kind, 0) + count
        return BufferStatus(
            state=self._state(rows or 0),
            detail="" if self._off is None else str(self._off),
            rows=rows or 0,
            bytes=size or 0,
            oldest_wall_ns=None if oldest is None else oldest.record.wall_ns,
            dropped=gone.get(GapKind.DROPPED, 0) + gone.get(GapKind.EXPIRED, 0),
            thinned=gone.get(GapKind.THINNED_10_S, 0) + gone.get(GapKind.THINNED_60_S, 0),
            replayed=self._counts["replayed"],
            stored=self._counts["stored"],
            refused=self._counts["refused"],
            set_aside=self._counts["set_aside"],
            never_received=self._counts["lost"] + self._lost,
            waiting=self.tracker.waiting,
        )

    def _state(self, rows: int) -> str:
        if self._off is not None:
            return "storage_off"
        if rows == 0:
            return "idle"
        recently = self._claimed_at_s is not None and (
            self._now_s() - self._claimed_at_s < REPLAYING_S
        )
        return "replaying" if recently else "storing"

    def _work(self, due: list[Critical], now_s: float) -> None:
        if self._store is not None and not self._store.in_place():
            self._close_store(self._store)
            self._tell("storage_removed", "the database file was removed or replaced", "alarm")
        if self._store is None:
            self._open()
        for batch in _batches(due):
            if not self._append(batch):
                return
        if self._off is not None and not self._with_store(Store.probe):
            return
        self._note_on()
        if self._lost and self._with_store(lambda store: store.note_gap(_lost(self._lost))):
            self._counts["lost"] += self._lost
            self._lost = 0
        self._with_store(Store.remove_acked)
        self._with_store(Store.keep_clock)
        if now_s >= self._prune_at_s:
            self._prune_at_s = now_s + PRUNE_S
            self._with_store(Store.prune)
            self._with_store(Store.tidy)
        if now_s >= self._check_at_s:
            self._check_at_s = now_s + CHECK_S
            self._with_store(Store.check)

    def _append(self, batch: list[Critical]) -> bool:
        def append(store: Store) -> None:
            appended = store.append(batch)
            self._counts["stored"] += appended.stored
            self._counts["refused"] += len(appended.refused)
            for record, why in appended.refused:
                name = f"record {record.seq} of {record.suffix} of boot {record.boot}"
                text = f"{name} can't be stored and will be missing among the replays: {why}"
                self._tell("record_refused", text, "warning")

        if not self._with_store(append):
            return False
        self.tracker.stored(batch)
        return True

    def _with_store(self, action: Callable[[Store], object]) -> bool:
        """Whether `action` could be done; trouble is taken care of."""
        if self._store is None:
            return False
        try:
            action(self._store)
        except (StorageOff, Damaged) as trouble:
            self._trouble(trouble)
            return False
        return True

    def _trouble(self, trouble: StorageOff | Damaged) -> None:
        store = self._store
        if isinstance(trouble, StorageOff):
            self._note_off(trouble)
            if store is not None and trouble.code is not OffCode.FULL:
                self._close_store(store)
            return
        if store is not None:
            self._close_store(store)
        self._open(str(trouble))

    def _close_store(self, store: Store) -> None:
        for kind, count in store.removed.items():
            self._gone[kind] = self._gone.get(kind, 0) + count
        store.close()
        self._store = None

    def _open(self, distrust: str = "") -> None:
        try:
            store = self._open_store(distrust)
        except StorageOff as trouble:
            self._note_off(trouble)
            return
        self._store = store
        self.tracker.use_store(store.name)
        if store.set_aside is not None:
            self._counts["set_aside"] += 1
            path, damage = store.set_aside
            text = f"the database was damaged ({damage}); it was moved to {path}, a new one begun"
            self._tell("storage_damaged", text, "alarm")

    def _note_off(self, trouble: StorageOff) -> None:
        news = self._off is None or self._off.code is not trouble.code
        self._off = trouble
        self._retry_at_s = self._now_s() + RETRY_S
        if news:
            self._tell("storage_off", f"critical records are not stored: {trouble}", "alarm")

    def _note_on(self) -> None:
        if self._off is not None and self._store is not None:
            self._off = None
            self._tell("storage_on", "critical records can be stored again")

    def _now_s(self) -> float:
        return self._clock.boottime_ns() / 1e9


def _lost(count: int) -> Gap:
    return Gap(kind=GapKind.NEVER_RECEIVED, record_class=None, count=count)


def _batches(records: Iterable[Critical]) -> Iterator[list[Critical]]:
    """`records` in transactions of bounded size."""
    batch: list[Critical] = []
    size = 0
    for record in records:
        if batch and (len(batch) >= BATCH_ROWS or size >= BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += stored_bytes(record)
    if batch:
        yield batch
