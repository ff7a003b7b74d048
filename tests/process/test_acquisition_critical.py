"""Critical records of the acquisition process: on the bus, in the ring, and asked for again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness_gateway import BusProbe, GatewayFolder
from harness_sim import SimBms
from tinybms_acquisition.critical import ALARM_SUFFIXES, DEAD_BANDS
from tinybms_acquisition.ringfile import CriticalRing
from tinybms_messages.critical import Critical, CriticalClass
from tinybms_messages.requests import CatchUp, CaughtUp, Claim, Reply, RequestBody, Result
from tinybms_messages.status import GatewayEvent, MqttStatus
from tinybms_messages.topics import CRITICAL, GATEWAY_EVENT, LIVE_DATA, MQTT_STATUS
from tinybms_runtime.clock import SystemClock
from tinybms_runtime.requests import RequestClient

KEYFRAME = {*DEAD_BANDS, *ALARM_SUFFIXES.values()}
STILL = {46: 60_000_000 & 0xFFFF, 47: 60_000_000 >> 16}


class Rig:
    """A broker, acquisition at a battery that does not change, and a probe as mqtt_out."""

    def __init__(self, gateway: GatewayFolder, sim: SimBms, probe: BusProbe) -> None:
        self.gateway = gateway
        self.sim = sim
        self.probe = probe

    @property
    def records(self) -> list[Critical]:
        records: list[Critical] = self.probe.bodies(CRITICAL)
        return records

    def suffixes(self, first: int = 0) -> set[str]:
        return {record.suffix for record in self.records[first:]}

    def start_acquisition(self) -> None:
        """Start it, and let the battery answer only when its way to the probe stands.

        The first records are said once: a probe that is connected later would never hear them.
        """
        self.sim.scenario("silence")
        lives = self.probe.messages["LIVE_DATA"]
        lives.clear()
        self.gateway.start("acquisition")
        assert self.probe.wait_for(lambda: bool(lives))
        self.sim.scenario("normal")

    def wait_for_keyframe(self, first: int = 0) -> None:
        assert self.probe.wait_for(lambda: self.suffixes(first) >= KEYFRAME), self.suffixes(first)

    def wait_for_event(self, code: str) -> Critical:
        def found() -> list[Critical]:
            return [record for record in self.records if record.value == code]

        assert self.probe.wait_for(lambda: bool(found())), [r.value for r in self.records]
        assert len(found()) == 1
        return found()[0]

    def ring(self) -> list[Critical]:
        """What the ring file holds; only when acquisition has ended, for opening mends its end."""
        assert "acquisition" not in self.gateway.processes
        ring = CriticalRing(self.gateway.paths.run_file("critical-ring"))
        try:
            return [
                record
                for entry in ring.inventory()
                for first in range(entry.first, entry.last + 1, 50)
                for record in ring.caught_up(entry.boot, [(first, first + 49)]).records
            ]
        finally:
            ring.close()

    def ask(self, body: RequestBody) -> Reply:
        replies: list[Reply | None] = []
        client = RequestClient(
            context=self.probe.bus.context,
            endpoint=self.gateway.paths.requests("acquisition"),
            clock=SystemClock(trust_clock=True),
            loop=self.probe._loop,
        )
        client.ask(
            body, timeout_s=3.0, on_reply=replies.append, on_silence=lambda: replies.append(None)
        )
        assert self.probe.wait_for(lambda: bool(replies))
        client.close()
        assert replies[0] is not None
        return replies[0]


@contextmanager
def rig_of(run_dir: Path, *, broker: bool = True) -> Iterator[Rig]:
    with (
        SimBms(run_dir, registers=STILL, scenario="silence") as sim,
        GatewayFolder(run_dir, {"acquisition": {"port": str(sim.link)}}) as gateway,
        BusProbe(gateway.paths, source="mqtt_out") as probe,
    ):
        probe.listen(CRITICAL, LIVE_DATA, GATEWAY_EVENT)
        rig = Rig(gateway, sim, probe)
        if broker:
            gateway.start("broker")
            rig.start_acquisition()
        else:
            gateway.start("acquisition")
            sim.scenario("normal")
        yield rig


@pytest.fixture
def rig(run_dir: Path) -> Iterator[Rig]:
    with rig_of(run_dir) as rig:
        yield rig


def test_the_first_records_are_a_keyframe_numbered_from_1(rig: Rig) -> None:
    rig.wait_for_keyframe()
    assert [record.seq for record in rig.records] == list(range(1, len(rig.records) + 1))
    soc = next(record for record in rig.records if record.suffix == "soc_percent")
    assert (soc.value, soc.raw, soc.record_class) == (60.0, 60_000_000, CriticalClass.SAMPLE)
    lives = {message.header.seq: message for message in rig.probe.messages["LIVE_DATA"]}
    assert {record.boot for record in rig.records} == {
        message.header.boot for message in lives.values()
    }
    if soc.live_seq in lives:
        assert soc.wall_ns == lives[soc.live_seq].body.sample.wall_ns


def test_a_still_battery_makes_no_more_records(rig: Rig) -> None:
    rig.wait_for_keyframe()
    # CCL ramps up from 0 at first.
    rig.probe.wait_for(lambda: False, 3.0)
    before = len(rig.records)
    rig.probe.wait_for(lambda: False, 3.0)
    later = {record.suffix for record in rig.records[before:]}
    assert later <= {"charge_current_limit"}


def test_both_edges_of_an_mqtt_outage_bring_a_keyframe(rig: Rig) -> None:
    rig.wait_for_keyframe()
    rig.probe.publish(MQTT_STATUS, MqttStatus(state="test", connected=True))
    rig.probe.wait_for(lambda: False, 0.5)
    before = len(rig.records)
    rig.probe.publish(MQTT_STATUS, MqttStatus(state="test", connected=True))
    rig.probe.wait_for(lambda: False, 0.5)
    assert rig.suffixes(before) <= {"charge_current_limit"}
    for connected in (False, True):
        before = len(rig.records)
        rig.probe.publish(MQTT_STATUS, MqttStatus(state="test", connected=connected))
        rig.wait_for_keyframe(before)


def test_events_of_all_processes_become_records(rig: Rig) -> None:
    rig.wait_for_keyframe()
    event = GatewayEvent(code="of_another", text="said by mqtt_out", wall_ns=5, severity="alarm")
    rig.probe.publish(GATEWAY_EVENT, event)
    record = rig.wait_for_event("of_another")
    assert (record.record_class, record.suffix) == (CriticalClass.EVENT, "event")
    assert (record.text, record.severity, record.wall_ns) == ("said by mqtt_out", "alarm", 5)
    rig.sim.scenario("over_voltage")
    assert "over-voltage" in rig.wait_for_event("bms_fault").text


def test_what_was_published_is_in_the_ring_after_sigkill(rig: Rig) -> None:
    for _ in range(3):
        before = len(rig.records)
        rig.wait_for_keyframe(before)
        rig.gateway.kill("acquisition")
        rig.probe.wait_for(lambda: False, 0.3)
        kept = {(record.boot, record.seq): record for record in rig.ring()}
        assert {(record.boot, record.seq): record for record in rig.records}.items() <= kept.items()
        rig.start_acquisition()


def test_records_are_kept_without_a_bus_and_given_on_request(run_dir: Path) -> None:
    with rig_of(run_dir, broker=False) as rig:

        def caught() -> CaughtUp:
            inventory = rig.ask(CatchUp()).body
            assert isinstance(inventory, CaughtUp)
            if not inventory.inventory:
                return inventory
            entry = inventory.inventory[-1]
            answer = rig.ask(CatchUp(boot=entry.boot, ranges=((entry.first, entry.last),))).body
            assert isinstance(answer, CaughtUp)
            return answer

        assert rig.probe.wait_for(
            lambda: {record.suffix for record in caught().records} >= KEYFRAME
        )
        assert rig.records == []


def test_what_others_answer_is_refused_in_words(rig: Rig) -> None:
    reply = rig.ask(Claim(claimer="x"))
    assert reply.result is Result.REFUSED
    assert reply.text == "acquisition does not answer this"
