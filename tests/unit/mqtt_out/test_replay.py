"""Replay of stored records: behind what is new, at a bounded rate, nothing twice without need."""

from __future__ import annotations

from dataclasses import replace

from fake_critical import BOOT, make_record
from tinybms_messages.requests import LEASE_S, Ack, Acked, Claim, Claimed, StoredRecord
from tinybms_mqtt_out.delivered import MOST_BOOTS, Delivered
from tinybms_mqtt_out.publication import Kind, Publication, RecordId
from tinybms_mqtt_out.replay import REFUSED_S, RESERVE, Replay

ROOM = 20


def message(stored: StoredRecord, store: str) -> Publication:
    record = stored.record
    return Publication(
        topic=f"replay/{record.suffix}",
        payload=b"{}",
        qos=1,
        kind=Kind.REPLAY,
        record=RecordId(boot=record.boot, seq=record.seq, stored=stored.id, store=store),
    )


class Bench:
    """A replay, a buffer with `rows` records, and a broker that acknowledges when told to."""

    def __init__(self, rows: int, rate: int = 100) -> None:
        self.now_s = 100.0
        self.stored = {n: StoredRecord(id=n, record=make_record(n)) for n in range(1, rows + 1)}
        self.delivered = Delivered()
        self.replay = Replay(claimer="me", rate=rate, delivered=self.delivered, make=message)
        self.sent: list[RecordId] = []
        self.open: list[RecordId] = []
        self.asked: list[Claim | Ack] = []

    def step(self, *, room: int | None = None, acknowledge: bool = True, dt_s: float = 0.05) -> int:
        """One turn; how many messages it sent."""
        self.now_s += dt_s
        free = ROOM - len(self.open) if room is None else room
        due = [one.record for one in self.replay.step(self.now_s, free) if one.record]
        self.sent += due
        self.open += due
        self._ask()
        if acknowledge:
            self.acknowledge()
        return len(due)

    def acknowledge(self) -> None:
        for record in self.open:
            self.delivered.add(record.boot, record.seq)
            self.replay.arrived(record)
        self.open.clear()

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.step()

    def _ask(self) -> None:
        question = self.replay.question(self.now_s, len(self.stored))
        if question is None:
            return
        self.asked.append(question)
        if isinstance(question, Claim):
            first = tuple(self.stored.values())[: question.limit]
            answer = Claimed(store="s", records=first, rows=len(self.stored))
            self.replay.answered(answer, self.now_s)
        else:
            for number in question.ids:
                self.stored.pop(number, None)
            self.replay.answered(Acked(removed=len(question.ids)), self.now_s)

    @property
    def seqs(self) -> list[int]:
        return [record.seq for record in self.sent]


def test_everything_goes_out_once_in_order_and_is_removed() -> None:
    bench = Bench(rows=350)
    bench.run(8.0)
    assert bench.seqs == list(range(1, 351))
    assert bench.stored == {}


def test_the_rate_is_kept() -> None:
    bench = Bench(rows=2000, rate=40)
    bench.run(10.0)
    assert 360 <= len(bench.sent) <= 404


def test_the_slowest_rate_stays_within_its_lease() -> None:
    bench = Bench(rows=12, rate=1)
    bench.run(14.0)
    assert bench.seqs == list(range(1, 13))


def test_buffer_is_told_at_most_once_a_second_or_at_the_end_of_a_batch() -> None:
    bench = Bench(rows=400)
    bench.run(5.0)
    assert len([question for question in bench.asked if isinstance(question, Ack)]) <= 10


def test_live_values_find_a_free_place() -> None:
    bench = Bench(rows=300, rate=1000)
    bench.step()
    for _ in range(20):
        bench.step(acknowledge=False)
    assert len(bench.open) == ROOM - RESERVE
    assert bench.step(room=RESERVE) == 0


def test_what_was_on_its_way_when_the_connection_broke_is_repeated_first() -> None:
    bench = Bench(rows=50)
    while len(bench.open) < 10:
        bench.step(acknowledge=False)
    lost = bench.open[:]
    bench.open.clear()
    bench.replay.disconnected()
    before = len(bench.sent)
    bench.run(2.0)
    assert bench.sent[before : before + len(lost)] == lost
    assert sorted(set(bench.seqs)) == list(range(1, 51))


def test_what_arrived_live_after_all_is_not_sent_again() -> None:
    bench = Bench(rows=3)
    bench.delivered.add(BOOT, 2)
    bench.run(1.0)
    assert bench.seqs == [1, 3]
    assert bench.stored == {}


def test_a_lease_that_ends_is_claimed_anew() -> None:
    bench = Bench(rows=5)
    for _ in range(10):
        bench.step(acknowledge=False)
    bench.open.clear()
    bench.now_s += LEASE_S
    bench.run(3.0)
    assert bench.seqs == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]
    assert bench.stored == {}


def test_nothing_is_sent_just_before_its_lease_ends() -> None:
    """Another claimer could have it by the time it arrives."""
    bench = Bench(rows=5)
    bench.step()
    assert bench.step(dt_s=LEASE_S - 0.5) == 0
    bench.run(4.0)
    assert bench.seqs == [1, 2, 3, 4, 5]
    assert bench.stored == {}


def test_an_unanswered_acknowledgement_is_told_again() -> None:
    bench = Bench(rows=2)
    bench.step()
    bench.step(dt_s=0.1)
    bench.now_s += 2.0
    question = bench.replay.question(bench.now_s, 2)
    assert isinstance(question, Ack)
    bench.replay.silence(bench.now_s)
    bench.run(3.0)
    assert bench.stored == {}
    assert bench.seqs == [1, 2]


def test_what_arrives_while_an_acknowledgement_is_on_its_way_is_told_with_the_next() -> None:
    bench = Bench(rows=2)
    bench.step()
    bench.step(acknowledge=False)
    first, second = bench.open
    bench.replay.arrived(first)
    question = bench.replay.question(bench.now_s + 2.0, 2)
    bench.replay.arrived(second)
    bench.replay.answered(Acked(removed=1), bench.now_s + 2.1)
    again = bench.replay.question(bench.now_s + 4.0, 1)
    assert isinstance(question, Ack)
    assert isinstance(again, Ack)
    assert (question.ids, again.ids) == ((first.stored,), (second.stored,))


def test_a_number_of_another_database_says_nothing_of_this_one() -> None:
    bench = Bench(rows=2)
    bench.step()
    bench.step(acknowledge=False)
    for record in bench.open:
        bench.replay.arrived(replace(record, store="the one before"))
    assert bench.replay.question(bench.now_s + 2.0, 2) is None
    bench.acknowledge()
    bench.run(2.0)
    assert bench.stored == {}


def test_after_a_lost_answer_another_claimer_asks_so_that_no_lease_is_skipped() -> None:
    bench = Bench(rows=3)
    lost = bench.replay.question(bench.now_s, 3)
    bench.replay.silence(bench.now_s)
    again = bench.replay.question(bench.now_s + 5.0, 3)
    assert isinstance(lost, Claim)
    assert isinstance(again, Claim)
    assert again.claimer != lost.claimer


def test_a_refusal_pauses_the_replay() -> None:
    bench = Bench(rows=5)
    bench.step()
    bench.step(acknowledge=False)
    bench.replay.refused(bench.open.pop(), bench.now_s)
    before, asked = len(bench.sent), len(bench.asked)
    bench.run(REFUSED_S - 1)
    assert len(bench.sent) == before
    assert [one for one in bench.asked[asked:] if isinstance(one, Claim)] == []
    bench.run(5.0)
    assert bench.stored == {}


def test_an_empty_store_is_not_asked_again_and_again() -> None:
    bench = Bench(rows=0)
    for _ in range(100):
        bench.now_s += 0.05
        if bench.replay.question(bench.now_s, 7) is not None:
            bench.asked.append(Claim(claimer="x"))
            bench.replay.answered(Claimed(store="s"), bench.now_s)
    assert 4 <= len(bench.asked) <= 6


def test_deliveries_survive_a_restart_and_old_starts_are_forgotten() -> None:
    delivered = Delivered()
    for boot in range(MOST_BOOTS + 3):
        for seq in (1, 2, 5):
            delivered.add(f"boot{boot}", seq)
    again = Delivered(delivered.message())
    assert again.message() == delivered.message()
    assert again.has("boot18", 5)
    assert not again.has("boot18", 4)
    assert not again.has("boot0", 5)
