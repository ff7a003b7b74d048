"""Whatever gets lost or late between the processes, replays of a class come in order, and all come.

Real keeper, store and replay; ring, bus, answers and MQTT broker are under the test's control.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from fake_clock import FakeClock
from fake_critical import record_at
from fake_store import open_store
from tinybms_buffer.keeper import Keeper
from tinybms_buffer.store import GapNumbers
from tinybms_buffer.tracked import Memory
from tinybms_buffer.tracker import REPLAY_HOLD_S, STORE_HOLD_S
from tinybms_messages.critical import Critical, CriticalClass
from tinybms_messages.requests import Ack, CatchUp, CaughtUp, Claim, RingBoot, StoredRecord
from tinybms_mqtt_out.delivered import Delivered
from tinybms_mqtt_out.publication import Kind, Publication, RecordId
from tinybms_mqtt_out.replay import RESERVE, Replay

ROOM = 20
RATE = 300
CLAIM_TIMEOUT_S = 2.0
MOST_IN_AN_ANSWER = 3
LONGEST_SILENCE_S = REPLAY_HOLD_S - 10.0
SHORT_SILENCE_S = STORE_HOLD_S - 3.0
DRAIN_STEPS = 3000

Key = tuple[int, int]
"""Number of the start of acquisition, number of the record."""


class Delivery(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tb-order-"))
        self.clock = FakeClock()
        self.ring: dict[str, list[Critical]] = {}
        self.replayed: list[tuple[CriticalClass, Key]] = []
        self.arrived: set[Key] = set()
        self.on_the_way: list[RecordId] = []
        self.late_answer: CaughtUp | None = None
        self.silent_since_s: float | None = None
        self.unanswered_since_s: float | None = None
        """A start that falls silent at once has not answered either: this goes on over restarts."""
        self.longest_silence_s = 0.0
        self.memory: Memory | None = None
        self.delivered = Delivered()
        self.starts = 0
        self.boot = ""
        self.gap_numbers = GapNumbers("buffer")
        self._start_acquisition()
        self._start_buffer()
        self._start_mqtt_out()

    def teardown(self) -> None:
        if not hasattr(self, "keeper"):
            return
        self._drain()
        self.keeper.close()
        shutil.rmtree(self.folder)

    @property
    def now_s(self) -> float:
        return self.clock.boottime_ns() / 1e9

    @rule(
        heard=st.booleans(),
        live=st.sampled_from([False, False, True]),
        record_class=st.sampled_from([CriticalClass.SAMPLE, CriticalClass.ALARM]),
        count=st.integers(1, 4),
    )
    def say(self, *, heard: bool, live: bool, record_class: CriticalClass, count: int) -> None:
        """Acquisition makes records of one class; buffer hears them, the MQTT broker takes them."""
        if self.silent_since_s is not None:
            return
        for _ in range(count):
            said = self.ring[self.boot]
            record = record_at(self.clock, len(said) + 1, boot=self.boot, record_class=record_class)
            said.append(record)
            if heard:
                self.keeper.take(record)
            if live:
                self._arrive(record)

    @rule(seconds=st.sampled_from([0.25, 1.0, 1.0, 3.0, 12.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self._pass(seconds)

    @rule(
        heard=st.lists(st.booleans(), min_size=2, max_size=6),
        silent=st.booleans(),
        restarts=st.booleans(),
        turns=st.integers(0, 3),
    )
    def fall_behind(self, *, heard: list[bool], silent: bool, restarts: bool, turns: int) -> None:
        """What chance alone seldom puts together: records are stored while others are missing."""
        for one in heard:
            self.say(heard=one, live=False, record_class=CriticalClass.SAMPLE, count=1)
        if restarts:
            self._start_acquisition()
            self.say(heard=True, live=False, record_class=CriticalClass.SAMPLE, count=1)
        if silent and self.silent_since_s is None:
            self._be_silent()
        self._pass(4.0)
        for _ in range(turns):
            self._turn(ROOM)

    @rule()
    def lose_an_answer_and_go_on(self) -> None:
        """Records wait in the store, the answer to the claim is lost, the next one comes."""
        for _ in range(3):
            self.say(heard=True, live=False, record_class=CriticalClass.SAMPLE, count=4)
        self._pass(4.0)
        self.lose_the_answer_to_a_claim()
        self.say(heard=True, live=False, record_class=CriticalClass.SAMPLE, count=4)
        self._pass(3.0)
        for _ in range(4):
            self._turn(ROOM)

    @rule()
    def ask_the_ring(self) -> None:
        self._ask()

    @rule()
    def ask_and_get_a_late_answer(self) -> None:
        """The answer is made now and comes with a later step."""
        if self.late_answer is not None or self.silent_since_s is not None:
            return
        request = self.keeper.tracker.wanted(self.now_s)
        if request is None:
            return
        self.late_answer = self._answer(request)

    @rule()
    def tell_what_arrived(self) -> None:
        self.keeper.delivered(self.delivered.message())

    @rule(acknowledge=st.integers(0, ROOM), turns=st.integers(1, 4))
    def replay_some(self, acknowledge: int, turns: int) -> None:
        for _ in range(turns):
            self._turn(acknowledge)

    @rule()
    def lose_the_answer_to_a_claim(self) -> None:
        question = self.replay.question(self.now_s, 1)
        if isinstance(question, Claim):
            self.keeper.claim(question)
            self._pass(CLAIM_TIMEOUT_S)
            self.replay.silence(self.now_s)

    @rule()
    def lose_the_connection(self) -> None:
        self.on_the_way.clear()
        self.replay.disconnected()

    @rule()
    def silence_acquisition(self) -> None:
        if self.silent_since_s is None:
            self._be_silent()

    @rule()
    def restart_acquisition(self) -> None:
        self._start_acquisition()

    @rule()
    def kill_buffer(self) -> None:
        store = self.keeper._store
        assert store is not None
        store.close()
        self._start_buffer()

    @rule()
    def kill_mqtt_out(self) -> None:
        self.on_the_way.clear()
        self._start_mqtt_out()

    @invariant()
    def replays_come_in_order(self) -> None:
        """At first sight: a replay may come again. Starts in order too, after short silences."""
        last: dict[object, Key] = {}
        seen: set[object] = set()
        for record_class, key in getattr(self, "replayed", ()):
            stream: object = record_class
            if self.longest_silence_s > SHORT_SILENCE_S:
                stream = (record_class, key[0])
            if (record_class, key) not in seen:
                assert key > last.get(stream, (0, 0)), (record_class, key, last)
                last[stream] = key
            seen.add((record_class, key))

    def _start_acquisition(self) -> None:
        if self.silent_since_s is not None:
            self.silent_since_s = None
        self.starts += 1
        self.boot = f"start-{self.starts:04}"
        self.ring[self.boot] = []

    def _be_silent(self) -> None:
        self.silent_since_s = self.now_s
        if self.unanswered_since_s is None:
            self.unanswered_since_s = self.now_s

    def _start_buffer(self) -> None:
        self.late_answer = None
        self.keeper = Keeper(
            clock=self.clock,
            open_store=lambda distrust: open_store(
                self.folder / "buffer.db",
                self.clock,
                distrust=distrust,
                gap_numbers=self.gap_numbers,
            ),
            tell=lambda *_, **__: None,
            memory=self.memory,
            save=self._save,
        )

    def _start_mqtt_out(self) -> None:
        self.delivered = Delivered(self.delivered.message())
        self.replay = Replay(
            claimer=f"mqtt_out-{self.now_s}-{len(self.replayed)}",
            rate=RATE,
            delivered=self.delivered,
            make=_publication,
        )

    def _save(self, memory: Memory) -> None:
        self.memory = memory

    def _pass(self, seconds: float) -> None:
        """Time goes on; each second buffer looks at the ring and after what is late."""
        while seconds >= 1.0:
            self._tick(1.0)
            self._ask()
            self.keeper.tick()
            seconds -= 1.0
        self._tick(seconds)

    def _tick(self, seconds: float) -> None:
        self.clock.advance(seconds)
        if self.unanswered_since_s is not None:
            unanswered_s = self.now_s - self.unanswered_since_s
            self.longest_silence_s = max(self.longest_silence_s, unanswered_s)
        silent_since_s = self.silent_since_s
        if silent_since_s is not None and self.now_s - silent_since_s >= LONGEST_SILENCE_S:
            self._start_acquisition()

    def _ask(self) -> None:
        tracker = self.keeper.tracker
        if self.late_answer is not None:
            answer, self.late_answer = self.late_answer, None
            self.unanswered_since_s = self.silent_since_s
            tracker.caught_up(answer, self.now_s)
            return
        request = tracker.wanted(self.now_s)
        if request is None:
            return
        if self.silent_since_s is None:
            self.unanswered_since_s = None
            tracker.caught_up(self._answer(request), self.now_s)
        else:
            tracker.silence(self.now_s)

    def _answer(self, request: CatchUp) -> CaughtUp:
        inventory = tuple(
            RingBoot(boot=boot, first=1, last=len(said)) for boot, said in self.ring.items() if said
        )
        found = [
            one
            for one in self.ring.get(request.boot, ())
            if any(first <= one.seq <= last for first, last in request.ranges)
        ]
        return CaughtUp(inventory=inventory, records=tuple(found[:MOST_IN_AN_ANSWER]))

    def _turn(self, acknowledge: int) -> None:
        """What mqtt_out does in one turn of its loop; the broker acknowledges so many."""
        self._tick(0.05)
        for publication in self.replay.step(self.now_s, ROOM + RESERVE - len(self.on_the_way)):
            record = publication.record
            assert record is not None
            key = self._key(record.boot, record.seq)
            if key is not None:
                made = self.ring[record.boot][record.seq - 1]
                self.replayed.append((made.record_class, key))
            self.on_the_way.append(record)
        for record in self.on_the_way[:acknowledge]:
            self.delivered.add(record.boot, record.seq)
            self.replay.arrived(record)
            key = self._key(record.boot, record.seq)
            self.arrived |= set() if key is None else {key}
        del self.on_the_way[:acknowledge]
        question = self.replay.question(self.now_s, self.keeper.status().rows)
        if isinstance(question, Ack):
            self.replay.answered(self.keeper.ack(question), self.now_s)
        elif question is not None:
            self.replay.answered(self.keeper.claim(question), self.now_s)

    def _arrive(self, record: Critical) -> None:
        self.delivered.add(record.boot, record.seq)
        key = self._key(record.boot, record.seq)
        assert key is not None
        self.arrived.add(key)

    def _key(self, boot: str, seq: int) -> Key | None:
        return (int(boot.removeprefix("start-")), seq) if boot in self.ring else None

    def _drain(self) -> None:
        """In the end nothing goes wrong any more, and all that was made is there."""
        made = {
            (int(boot.removeprefix("start-")), one.seq)
            for boot, said in self.ring.items()
            for one in said
        }
        self.silent_since_s = None
        for _ in range(DRAIN_STEPS):
            self._ask()
            self._turn(ROOM)
            if made <= self.arrived:
                break
            self._tick(0.2)
            self.keeper.tick()
        self.replays_come_in_order()
        assert made <= self.arrived


def _publication(stored: StoredRecord, store: str) -> Publication:
    record = stored.record
    return Publication(
        topic=f"replay/{record.suffix}",
        payload=b"{}",
        qos=1,
        kind=Kind.REPLAY,
        record=RecordId(boot=record.boot, seq=record.seq, stored=stored.id, store=store),
    )


Delivery.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
TestDelivery = Delivery.TestCase
