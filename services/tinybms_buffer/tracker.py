"""Which critical records have not arrived yet, and which have not even been received. Pure.

A record that the MQTT broker has not acknowledged for WAIT_S is due to be stored. Numbers that are
missing in between are asked for at acquisition, which keeps the newest records in its ring. Until
they are here, or their time is over, what is younger is stored but not given out: order counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from tinybms_buffer.tracked import MAX_SEQ, Boot, Memory, Place, RememberedBoot, Wait
from tinybms_messages.critical import Critical, CriticalClass, MqttDelivered, Range
from tinybms_messages.requests import MAX_RECORDS, CatchUp, CaughtUp
from tinybms_messages.sequences import SequenceSet

WAIT_S: Final = 2.0
STORE_HOLD_S: Final = 10.0
"""How long records of a later start wait in memory until the ring has said which starts there were,
and for those of an earlier one: starts are numbered as they are stored. Records of one start are
stored without such a wait."""
REPLAY_HOLD_S: Final = 60.0
"""How long stored records wait for older ones that may still come. They lie safe on the disk and
live values go on, so this is much longer than acquisition takes to be back on a busy machine."""
INVENTORY_PERIOD_S: Final = 5.0
"""A last record that the bus lost shows in the ring's inventory alone."""
RETRY_S: Final = 1.0
CAPACITY: Final = 10_000
"""Records held in memory while nothing can be stored: as many as the ring has."""
MOST_BOOTS: Final = 32
MOST_VAIN: Final = 3
"""Answers without a record that the ring says it has, after which the record counts as lost."""


class Tracker:
    """Driven by messages and time; `now_s` is CLOCK_BOOTTIME in s."""

    def __init__(self, memory: Memory | None, *, now_s: float, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._boots: dict[str, Boot] = {}
        self._fresh = memory is None
        self._store = "" if memory is None else memory.store
        self._inventory_at_s = now_s
        self._ask_at_s = now_s
        self._answered = False
        self._started_s = now_s
        self._store_wait = Wait()
        self._replay_wait = Wait()
        self._asked: CatchUp | None = None
        self._asked_tops: dict[str, int] = {}
        self._vain = 0
        self._lost = 0
        for remembered in () if memory is None else memory.boots:
            boot = Boot(since_s=now_s, top=remembered.top, placed=remembered.placed)
            boot.done = SequenceSet(remembered.done)
            boot.stored = SequenceSet(remembered.stored)
            boot.known = SequenceSet([*remembered.done, *remembered.stored])
            self._boots[remembered.boot] = boot

    @property
    def waiting(self) -> int:
        """Records in memory that are neither acknowledged nor stored."""
        return sum(len(boot.pending) for boot in self._boots.values())

    def take(self, record: Critical, now_s: float) -> None:
        """A record came, by the bus or from the ring."""
        boot = self._boots.get(record.boot)
        if boot is None:
            boot = self._boots[record.boot] = Boot(since_s=now_s)
            # What the process before this one said last may have been lost.
            self._inventory_at_s = now_s
        boot.top = max(boot.top, record.seq)
        if record.seq not in boot.known:
            boot.known.add(record.seq)
            boot.pending[record.seq] = (record, now_s)
            self._bound()

    def acknowledged(self, delivered: MqttDelivered) -> list[tuple[str, list[Range]]]:
        """Note what arrived; of that, by boot, what is in the store and may go from there."""
        stored: list[tuple[str, list[Range]]] = []
        for said in delivered.boots:
            boot = self._boots.setdefault(said.boot, Boot(since_s=self._started_s))
            before = boot.done
            news = [part for span in said.numbers().ranges() for part in before.missing(*span)]
            for first, last in news:
                boot.done.add(first, last)
                boot.known.add(first, last)
            for number in [number for number in boot.pending if number in boot.done]:
                del boot.pending[number]
            both = [part for span in news for part in _overlap(boot.stored, span)]
            if both:
                stored.append((said.boot, both))
        return stored

    def due(self, now_s: float) -> list[Critical]:
        """What should be stored now, in order; `stored` must follow once it is."""
        late: list[Critical] = []
        younger: list[Critical] = []
        for boot, overtaken_up_to in self._storable(now_s):
            for number in sorted(boot.pending):
                record, came_s = boot.pending[number]
                younger.append(record)
                if now_s - came_s >= WAIT_S or number < overtaken_up_to:
                    # All before it go along, also if they came later: order counts.
                    late += younger
                    younger = []
        return late

    def held(self, now_s: float) -> tuple[Place, ...]:
        """For each start that has to wait the number from which on its records do."""
        place = self._first_place(now_s, pending=True)
        if place is None or self._replay_wait.lasts_s(place, now_s) >= REPLAY_HOLD_S:
            return ()
        names = list(self._boots)
        later = names[names.index(place[0]) + 1 :]
        return (place, *((name, 0) for name in later))

    def pending(self) -> list[Critical]:
        """All that is neither acknowledged nor stored, in order."""
        return [
            boot.pending[number][0]
            for boot in self._boots.values()
            for number in sorted(boot.pending)
        ]

    def stored(self, records: Iterable[Critical]) -> None:
        """`records` are on the disk, or were refused for good."""
        for record in records:
            boot = self._boots[record.boot]
            boot.stored.add(record.seq)
            boot.pending.pop(record.seq, None)

    def use_store(self, name: str) -> None:
        """Records are stored in this database; what only another one had is asked for again."""
        if name == self._store:
            return
        self._store = name
        for boot in self._boots.values():
            boot.stored = SequenceSet()
            boot.known = SequenceSet([*boot.done.ranges(), *((n, n) for n in boot.pending)])
        self._inventory_at_s = self._ask_at_s

    def wanted(self, now_s: float) -> CatchUp | None:
        """The request that should be sent now; `caught_up` or `silence` must follow."""
        if now_s < self._ask_at_s:
            return None
        self._asked = None
        for name, boot in self._boots.items():
            gaps = self._gaps(boot)
            if gaps:
                self._asked = CatchUp(boot=name, ranges=tuple(gaps[:MAX_RECORDS]))
                break
        if self._asked is None and now_s >= self._inventory_at_s:
            self._asked = CatchUp()
        self._asked_tops = {name: boot.top for name, boot in self._boots.items()}
        return self._asked

    def silence(self, now_s: float) -> None:
        """Acquisition did not answer."""
        self._ask_at_s = now_s + RETRY_S

    def caught_up(self, answer: CaughtUp, now_s: float) -> None:
        """Acquisition answered the last request."""
        asked, self._asked = self._asked, None
        self._take_inventory(answer, now_s)
        for record in answer.records:
            self.take(record, now_s)
        if asked is not None and asked.boot in self._boots:
            self._note_progress(self._boots[asked.boot], asked.ranges)
        self._fresh = False
        self._answered = True
        # A start that began while the answer was on its way is not in it.
        complete = all(boot.placed for boot in self._boots.values() if boot.top)
        self._inventory_at_s = now_s + (INVENTORY_PERIOD_S if complete else 0.0)
        self._ask_at_s = now_s

    def take_lost(self) -> int:
        """How many records were lost for good since the last call."""
        lost, self._lost = self._lost, 0
        return lost

    def memory(self) -> Memory:
        """What should outlive this process."""
        return Memory(
            store=self._store,
            boots=tuple(
                RememberedBoot(
                    boot=name,
                    top=boot.top,
                    done=tuple(boot.done.ranges()),
                    stored=tuple(boot.stored.ranges()),
                    placed=boot.placed,
                )
                for name, boot in self._boots.items()
            ),
        )

    def _storable(self, now_s: float) -> Iterator[tuple[Boot, int]]:
        """Starts whose records may be stored, each with the number that was stored too early.

        Starts after one of which records are missing have to wait, but not for ever.
        """
        place = self._first_place(now_s, pending=False)
        if self._store_wait.lasts_s(place, now_s) >= STORE_HOLD_S:
            place = None
        boots = list(self._boots.items())
        if place is not None:
            end = [name for name, _ in boots].index(place[0])
            boots = boots[:end] if place[1] == 0 else boots[: end + 1]
        overtaken = [boot.stored.last for _, boot in boots]
        for index, (_, boot) in enumerate(boots):
            yield boot, MAX_SEQ if any(overtaken[index + 1 :]) else overtaken[index]

    def _first_place(self, now_s: float, *, pending: bool) -> Place | None:
        """The first record that is missing and may still come, or that waits to be stored.

        Number 0 when the start itself waits for its place among the others.
        """
        for name, boot in self._boots.items():
            if boot.top and not boot.placed and now_s - boot.since_s < STORE_HOLD_S:
                return name, 0
            first = [low for low, _ in self._gaps(boot)[:1]]
            first += boot.pending if pending else ()
            if first:
                return name, min(first)
        starting = not self._answered and now_s - self._started_s < STORE_HOLD_S
        if not starting or not self._boots:
            return None
        last, boot = next(reversed(self._boots.items()))
        return last, boot.top + 1

    @staticmethod
    def _gaps(boot: Boot) -> list[Range]:
        return boot.known.missing(1, boot.top)

    def _note_progress(self, boot: Boot, asked: tuple[Range, ...]) -> None:
        """Give up what the ring says it has and yet does not give."""
        left = [part for span in asked for part in boot.known.missing(*span)]
        self._vain = self._vain + 1 if left == list(asked) else 0
        if self._vain >= MOST_VAIN:
            self._vain = 0
            self._give_up(boot, left)

    def _take_inventory(self, answer: CaughtUp, now_s: float) -> None:
        """The ring's order is the order of the process starts; what it lacks nobody has."""
        held = {entry.boot: entry for entry in answer.inventory}
        for name, boot in self._boots.items():
            if name not in held:
                # What came while the answer was on its way is younger than the answer.
                self._give_up(boot, ((1, self._asked_tops.get(name, 0)),))
                boot.placed = boot.placed or name in self._asked_tops
        for name, entry in held.items():
            known_before = name in self._boots
            boot = self._boots.pop(name) if known_before else Boot(since_s=now_s)
            self._boots[name] = boot
            boot.top = max(boot.top, entry.last)
            boot.placed = True
            if self._fresh and not known_before:
                # From before our time: nobody can say whether it arrived.
                boot.known.add(1, entry.first - 1)
                boot.done.add(1, entry.first - 1)
            self._give_up(boot, ((1, entry.first - 1),))
        spare = [name for name, boot in self._boots.items() if name not in held]
        for name in spare[: max(0, len(self._boots) - MOST_BOOTS)]:
            if not self._boots[name].pending:
                del self._boots[name]

    def _give_up(self, boot: Boot, ranges: Iterable[Range]) -> None:
        for first, last in ranges:
            for low, high in boot.known.missing(first, last):
                self._lost += high - low + 1
                boot.known.add(low, high)
                boot.done.add(low, high)

    def _bound(self) -> None:
        """Keep the memory bounded: the oldest of the lowest class go first."""
        if self.waiting <= self._capacity:
            return
        classes = list(CriticalClass)
        record = max(self.pending(), key=lambda one: classes.index(one.record_class))
        boot = self._boots[record.boot]
        del boot.pending[record.seq]
        boot.done.add(record.seq)
        self._lost += 1


def _overlap(numbers: SequenceSet, span: Range) -> list[Range]:
    """The parts of `span` that are in `numbers`."""
    first, last = span
    parts: list[Range] = []
    for low, high in [*numbers.missing(first, last), (last + 1, last + 1)]:
        if first < low:
            parts.append((first, low - 1))
        first = high + 1
    return parts
