"""The buffer as a process: acquisition, its ring and mqtt_out are played by the test."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from fake_critical import BOOT, make_alarm, make_record
from harness_gateway import BusProbe, GatewayFolder
from tinybms_acquisition.ringfile import CriticalRing
from tinybms_messages.critical import Critical, DeliveredBoot, MqttDelivered
from tinybms_messages.requests import (
    Ack,
    Acked,
    CatchUp,
    Claim,
    Claimed,
    ReplyBody,
    RequestBody,
    Result,
)
from tinybms_messages.sequences import SequenceSet
from tinybms_messages.status import BufferStatus
from tinybms_messages.topics import BUFFER_STATUS, CRITICAL, HEARTBEAT, MQTT_DELIVERED
from tinybms_runtime.clock import SystemClock
from tinybms_runtime.requests import RequestClient, RequestRefused, RequestServer


class Rig:
    """Broker and buffer, between an acquisition and an mqtt_out of the test."""

    def __init__(self, folder: Path, **buffer: object) -> None:
        self.gateway = GatewayFolder(folder, {"buffer": buffer})
        self.paths = self.gateway.paths
        self.store = self.paths.state_file("buffer.sqlite")
        self.gateway.start("broker")
        self.probe = BusProbe(self.paths, source="acquisition")
        self.outlet = BusProbe(self.paths, source="mqtt_out")
        self.probe.listen(BUFFER_STATUS, HEARTBEAT)
        self.ring = CriticalRing(self.paths.run_file("test-ring"))
        self.arrived = SequenceSet()
        self.seq = 0
        clock = SystemClock(trust_clock=True)
        self.server = RequestServer(
            context=self.probe.bus.context,
            endpoint=self.paths.requests("acquisition"),
            clock=clock,
            loop=self.probe._loop,
            answer=self._answer,
        )
        self.client = RequestClient(
            context=self.probe.bus.context,
            endpoint=self.paths.requests("buffer"),
            clock=clock,
            loop=self.probe._loop,
        )
        self.probe._loop.every(0.3, self._tell_delivered)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()
        self.server.close()
        self.ring.close()
        self.outlet.__exit__(kind, error, trace)
        self.probe.__exit__(kind, error, trace)
        self.gateway.__exit__(kind, error, trace)

    def start(self) -> None:
        self.gateway.start("buffer")
        before = len(self.probe.bodies(BUFFER_STATUS))
        assert self.probe.wait_for(lambda: len(self.probe.bodies(BUFFER_STATUS)) > before)

    def say(self, *, heard: bool = True, arrived: bool = False, alarm: bool = False) -> Critical:
        """A new record, in the ring and (unless it is lost) on the bus."""
        self.seq += 1
        record = make_alarm(self.seq) if alarm else make_record(self.seq)
        self.ring.append(record)
        if arrived:
            self.arrived.add(self.seq)
        if heard:
            self.probe.publish(CRITICAL, record)
        return record

    def wait(self, done: str, **fields: object) -> BufferStatus:
        """Wait for a status with these fields."""

        def reached() -> bool:
            status = self.status()
            return status is not None and all(
                getattr(status, name) == value for name, value in fields.items()
            )

        log = self.gateway.log("buffer").read_text(encoding="utf-8")
        assert self.probe.wait_for(reached, 15.0), (done, self.status(), log)
        status = self.status()
        assert status is not None
        return status

    def status(self) -> BufferStatus | None:
        last = self.probe.last(BUFFER_STATUS)
        return None if last is None else last.body

    def ask(self, body: RequestBody) -> ReplyBody:
        """Ask the buffer; the answer."""
        answers: list[ReplyBody] = []
        silences: list[bool] = []

        def ask_once() -> None:
            self.client.ask(
                body,
                timeout_s=2.0,
                on_reply=lambda reply: (
                    answers.append(reply.body)
                    if reply.result is Result.OK and reply.body
                    else silences.append(True)
                ),
                on_silence=lambda: silences.append(True),
            )

        ask_once()
        assert self.probe.wait_for(lambda: bool(answers) or bool(silences))
        assert answers, "no answer"
        return answers[0]

    def claim(self, claimer: str = "c1") -> Claimed:
        claimed = self.ask(Claim(claimer=claimer))
        assert isinstance(claimed, Claimed)
        return claimed

    def ack(self, claimed: Claimed, claimer: str = "c1") -> int:
        ids = tuple(stored.id for stored in claimed.records)
        acked = self.ask(Ack(claimer=claimer, store=claimed.store, ids=ids))
        assert isinstance(acked, Acked)
        return acked.removed

    def _answer(self, body: RequestBody) -> ReplyBody:
        if not isinstance(body, CatchUp):
            raise RequestRefused("only catch_up")
        return self.ring.caught_up(body.boot, body.ranges)

    def _tell_delivered(self) -> None:
        boots = (DeliveredBoot.of(BOOT, self.arrived, most_ranges=100),) if self.seq else ()
        self.outlet.publish(MQTT_DELIVERED, MqttDelivered(boots=boots))


@pytest.fixture
def rig(run_dir: Path) -> Iterator[Rig]:
    with Rig(run_dir) as rig:
        rig.start()
        yield rig


@pytest.mark.parametrize(
    ("tables", "state"),
    [({"mqtt": {"enabled": False}}, "idle"), ({"buffer": {"enabled": False}}, "disabled")],
)
def test_without_mqtt_or_switched_off_it_says_so_and_writes_no_file(
    run_dir: Path, tables: dict[str, dict[str, object]], state: str
) -> None:
    with GatewayFolder(run_dir, tables) as gateway, BusProbe(gateway.paths) as probe:
        probe.listen(BUFFER_STATUS, HEARTBEAT)
        gateway.start("broker")
        gateway.start("buffer")
        assert probe.wait_for(lambda: len(probe.bodies(BUFFER_STATUS)) >= 3)
        assert set(map(repr, probe.bodies(BUFFER_STATUS))) == {repr(BufferStatus(state=state))}
        assert probe.wait_for(lambda: any(beat.state == state for beat in probe.bodies(HEARTBEAT)))
        assert list(gateway.paths.state_dir.iterdir()) == []
        assert gateway.stop("buffer") == 0


def test_it_lives_without_a_broker_and_runs_with_less_priority(run_dir: Path) -> None:
    with GatewayFolder(run_dir, {}) as gateway, BusProbe(gateway.paths) as probe:
        probe.listen(BUFFER_STATUS)
        process = gateway.start("buffer")

        def nice() -> int:
            return int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[16])

        assert probe.wait_for(lambda: nice() == min(19, os.nice(0) + 10))
        assert not probe.wait_for(lambda: process.poll() is not None, 1.0)
        gateway.start("broker")
        assert probe.wait_for(lambda: bool(probe.bodies(BUFFER_STATUS)))
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


def test_what_arrives_is_not_stored(rig: Rig) -> None:
    for _ in range(20):
        rig.say(arrived=True)
        rig.probe.wait_for(lambda: False, 0.2)
    rig.wait("nothing waits", waiting=0, rows=0, stored=0, state="idle")


def test_what_does_not_arrive_is_stored_claimed_and_gone_once_acknowledged(rig: Rig) -> None:
    said = [rig.say(), rig.say(alarm=True), rig.say()]
    rig.wait("stored", rows=3, stored=3, state="storing")
    claimed = rig.claim()
    assert [stored.record for stored in claimed.records] == [said[1], said[0], said[2]]
    assert rig.ack(claimed) == 3
    rig.wait("empty", rows=0, replayed=3)
    assert rig.claim().records == ()


def test_what_the_bus_lost_comes_from_the_ring(rig: Rig) -> None:
    rig.say(heard=False)
    rig.say()
    rig.say(heard=False)
    rig.wait("all three", rows=3, never_received=0)


def test_a_record_that_arrives_late_is_not_replayed(rig: Rig) -> None:
    rig.say()
    rig.wait("stored", rows=1)
    rig.arrived.add(1)
    rig.wait("forgotten", rows=0)


def test_sigkill_loses_nothing_and_stores_nothing_twice(rig: Rig) -> None:
    for turn in range(3):
        rig.say(arrived=turn == 0)
        rig.say()
        rig.probe.wait_for(lambda: False, 0.7 * turn)
        rig.gateway.kill("buffer")
        rig.say(heard=False)
        rig.start()
    rig.wait("all that did not arrive", rows=8, waiting=0, never_received=0)
    seqs = [stored.record.seq for stored in rig.claim().records]
    assert seqs == [2, 3, 4, 5, 6, 7, 8, 9]


def test_sigterm_stores_what_is_pending(rig: Rig) -> None:
    rig.say()
    rig.wait("received", waiting=1)
    rig.arrived.add(1)
    rig.wait("arrived", waiting=0, rows=0)
    rig.say()
    assert rig.gateway.stop("buffer") == 0
    with closing(sqlite3.connect(rig.store)) as connection:
        assert connection.execute("SELECT seq FROM record").fetchall() == [(2,)]


def test_a_new_claimer_gets_what_its_predecessor_had(rig: Rig) -> None:
    rig.say()
    rig.wait("stored", rows=1)
    assert len(rig.claim("c1").records) == 1
    assert len(rig.claim("c1").records) == 0
    assert len(rig.claim("c2").records) == 1


def test_ram_only_writes_no_file(run_dir: Path) -> None:
    with Rig(run_dir, ram_only=True) as rig:
        rig.start()
        rig.say()
        rig.wait("stored", rows=1, ram_only=True)
        assert list(rig.paths.state_dir.iterdir()) == []
        assert len(rig.claim().records) == 1


def test_a_file_of_another_program_is_left_alone_and_said(run_dir: Path) -> None:
    with Rig(run_dir) as rig:
        with closing(sqlite3.connect(rig.store)) as connection:
            connection.execute("CREATE TABLE foreign_table (x)")
        before = rig.store.read_bytes()
        rig.start()
        status = rig.wait("off", state="storage_off")
        assert "another program" in status.detail
        rig.say()
        rig.wait("it waits in memory", waiting=1)
        assert rig.store.read_bytes() == before
        rig.store.unlink()
        rig.wait("it recovers by itself", rows=1, state="storing")
