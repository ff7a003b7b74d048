"""Critical records at mqtt_out: live when made, acknowledged on the bus, replayed when stored."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_clock import FakeClock
from fake_critical import make_alarm, make_record
from fake_store import open_store
from harness_gateway import BusProbe
from harness_mosquitto import Mosquitto
from harness_mqtt import Listener, MqttStack
from harness_proxy import Way
from tinybms_messages.critical import Critical, CriticalClass
from tinybms_messages.status import BufferStatus
from tinybms_messages.topics import BUFFER_STATUS, CRITICAL, MQTT_DELIVERED
from tinybms_mqtt_out.window import IN_FLIGHT_LIMIT

STORED = 10_000
CELL = "cell_voltage_16"
LIVE_WITHIN_S = 2.0
RECONNECTIONS = 3
WALL_NS = 1_795_600_000_123_000_000


class Rig:
    """Bus broker, mqtt_out and buffer; the test is acquisition."""

    def __init__(self, stack: MqttStack, listener: Listener) -> None:
        self.stack = stack
        self.listener = listener
        self.probe = stack.probe
        self.probe.listen(MQTT_DELIVERED, BUFFER_STATUS)
        self.boot = secrets.token_hex(8)
        self.seq = 0

    def say(self, *, alarm: bool = False, **changes: object) -> Critical:
        """A new record of now on the bus."""
        self.seq += 1
        fields = {"boot": self.boot, "wall_ns": WALL_NS, **changes}
        record = make_alarm(self.seq, **fields) if alarm else make_record(self.seq, **fields)
        self.probe.publish(CRITICAL, record)
        return record

    def wait(self, done: Callable[[], bool]) -> None:
        self.stack.wait_until(done)

    def wait_until_live(self, record: Critical) -> None:
        key = (record.boot, record.live_seq)
        self.wait(
            lambda: any((body["boot"], body["seq"]) == key for body in self.bodies(record.suffix))
        )

    def delivered(self) -> int:
        """Up to which number all is acknowledged."""
        last = self.probe.last(MQTT_DELIVERED)
        boots = {} if last is None else {boot.boot: boot for boot in last.body.boots}
        return boots[self.boot].up_to if self.boot in boots else 0

    def buffer(self) -> BufferStatus | None:
        last = self.probe.last(BUFFER_STATUS)
        return None if last is None else last.body

    def stored_is(self, rows: int) -> bool:
        status = self.buffer()
        return status is not None and status.rows == rows and status.waiting == 0

    def bodies(self, topic: str) -> list[dict[str, Any]]:
        return [message.json for message in self.listener.of(topic)]


@pytest.fixture
def rig(run_dir: Path, mosquitto: Mosquitto) -> Iterator[Rig]:
    with (
        Listener(mosquitto, run_dir / "heard") as listener,
        MqttStack(run_dir, mosquitto.port) as stack,
    ):
        rig = Rig(stack, listener)
        stack.start()
        stack.gateway.start("buffer")
        stack.wait_until(lambda: stack.online() and rig.buffer() is not None)
        yield rig


def test_a_record_is_published_when_it_is_made_and_its_acknowledgement_told(rig: Rig) -> None:
    rig.say(value=51.5)
    rig.say(alarm=True)
    rig.wait(lambda: rig.delivered() == 2)
    rig.wait(lambda: bool(rig.listener.of("alarm_low_soc")))
    (soc,) = rig.listener.of("soc_percent")
    assert (soc.qos, soc.retained) == (1, False)
    body = soc.json
    assert (body["value"], body["raw"], body["seq"]) == (51.5, 51_500_000, 10)
    assert (body["boot"], body["timestamp_ms"]) == (rig.boot, WALL_NS // 1_000_000)
    assert body["gx"]
    assert "replayed" not in body
    (alarm,) = rig.bodies("alarm_low_soc")
    assert (alarm["value"], alarm["text"]) == (1, "SoC 9 %")
    rig.wait(lambda: rig.stored_is(0))
    assert rig.listener.of("replay/soc_percent") == []


def test_events_have_their_own_topic(rig: Rig) -> None:
    rig.say(
        record_class=CriticalClass.EVENT,
        suffix="event",
        value="bms_fault",
        raw=None,
        text="over-voltage",
        severity="alarm",
    )
    rig.wait(lambda: bool(rig.listener.of("event")))
    (event,) = [body for body in rig.bodies("event") if body["boot"] == rig.boot]
    assert (event["value"], event["text"], event["severity"]) == (
        "bms_fault",
        "over-voltage",
        "alarm",
    )


def test_each_of_many_records_of_one_topic_arrives(rig: Rig) -> None:
    for number in range(150):
        rig.say(value=50.0 + number / 10)
    rig.wait(lambda: len(rig.listener.of("soc_percent")) == 150)
    assert [body["seq"] for body in rig.bodies("soc_percent")] == [10 * n for n in range(1, 151)]


def test_what_an_outage_kept_back_is_replayed_in_order_and_marked(
    rig: Rig, mosquitto: Mosquitto, run_dir: Path
) -> None:
    rig.say()
    rig.wait(lambda: rig.delivered() == 1)
    mosquitto.kill()
    rig.wait(lambda: not rig.stack.online())
    for number in range(30):
        rig.say(alarm=number % 3 == 0)
    rig.wait(lambda: rig.stored_is(30))
    mosquitto.start()
    with Listener(mosquitto, run_dir / "heard again") as listener:
        rig.listener = listener
        rig.wait(lambda: rig.stored_is(0) and rig.delivered() == 31)
        replayed = [m for m in listener.all() if m.topic.startswith("replay/")]
        assert {(m.qos, m.retained, m.json["replayed"]) for m in replayed} == {(1, False, True)}
        alarms = [m.json["seq"] for m in replayed if m.topic == "replay/alarm_low_soc"]
        values = [m.json["seq"] for m in replayed if m.topic == "replay/soc_percent"]
        assert (len(alarms), len(values)) == (10, 20)
        assert (alarms, values) == (sorted(alarms), sorted(values))
        assert [m.topic for m in replayed[:10]] == ["replay/alarm_low_soc"] * 10
        assert {m.json["timestamp_ms"] for m in replayed} == {WALL_NS // 1_000_000}
        live = [m for m in listener.all() if m.topic in {"soc_percent", "alarm_low_soc"}]
        assert live == []


def test_deliveries_are_known_after_sigkill(rig: Rig) -> None:
    for _ in range(5):
        rig.say()
    rig.wait(lambda: rig.delivered() == 5)
    rig.stack.gateway.kill("mqtt_out")
    rig.probe.messages["MQTT_DELIVERED"].clear()
    rig.stack.start()
    rig.wait(lambda: rig.delivered() == 5)
    rig.wait(lambda: rig.stored_is(0))
    assert rig.listener.of("replay/soc_percent") == []


def test_a_record_that_waited_for_long_is_no_live_value(rig: Rig) -> None:
    process = rig.stack.gateway.processes["mqtt_out"]
    rig.say()
    rig.wait(lambda: rig.delivered() == 1)
    process.send_signal(signal.SIGSTOP)
    rig.say()
    rig.wait(lambda: rig.stored_is(1))
    process.send_signal(signal.SIGCONT)
    rig.wait(lambda: bool(rig.listener.of("replay/soc_percent")))
    assert [body["seq"] for body in rig.bodies("soc_percent")] == [10]
    rig.wait(lambda: rig.stored_is(0))


def test_with_the_buffer_switched_off_records_still_go_out_live(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    with (
        Listener(mosquitto, run_dir / "heard") as listener,
        MqttStack(run_dir, mosquitto.port) as stack,
        BusProbe(stack.gateway.paths),
    ):
        rig = Rig(stack, listener)
        stack.start()
        stack.wait_until(stack.online)
        rig.say()
        rig.wait(lambda: rig.delivered() == 1)


def test_a_broker_that_wakes_gets_what_waited_as_replays(rig: Rig, mosquitto: Mosquitto) -> None:
    rig.say()
    rig.wait(lambda: rig.delivered() == 1)
    mosquitto.freeze()
    for _ in range(60):
        rig.say()
        rig.probe.wait_for(lambda: False, 0.06)
    mosquitto.thaw()
    rig.wait(lambda: rig.delivered() == 61)
    live = [body["seq"] for body in rig.bodies("soc_percent")]
    replayed = [body["seq"] for body in rig.bodies("replay/soc_percent")]
    assert set(live) | set(replayed) == {10 * number for number in range(1, 62)}
    # What was on its way is out of our hands; what waited behind it must not come as if new.
    assert len(live) <= 1 + IN_FLIGHT_LIMIT
    rig.wait(lambda: rig.stored_is(0))


def test_live_values_do_not_wait_for_ten_thousand_stored_records(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    with (
        Listener(mosquitto, run_dir / "heard") as listener,
        MqttStack(run_dir, mosquitto.port) as stack,
    ):
        fill_store(stack)
        rig = Rig(stack, listener)
        stack.gateway.start("buffer")
        rig.wait(lambda: rig.stored_is(STORED))
        stack.start()
        stack.feed_until(stack.online)
        started = time.monotonic()
        rig.say()
        stack.feed_until(lambda: bool(listener.of("soc_percent") and listener.of(CELL)))
        assert time.monotonic() - started < LIVE_WITHIN_S
        rig.wait(lambda: len(listener.of("replay/soc_percent")) > 100)
        for _ in range(5):
            said = rig.say()
            started = time.monotonic()
            rig.wait_until_live(said)
            assert time.monotonic() - started < LIVE_WITHIN_S
        status = rig.buffer()
        assert status is not None
        assert status.rows > STORED // 2


def test_live_values_come_within_two_seconds_of_each_reconnection_amid_a_replay(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    with (
        Listener(mosquitto, run_dir / "heard") as listener,
        Way(mosquitto.port) as way,
        MqttStack(run_dir, way.port) as stack,
    ):
        fill_store(stack)
        rig = Rig(stack, listener)
        stack.gateway.start("buffer")
        way.open()
        stack.start()
        for turn in range(RECONNECTIONS):
            wait_for_more_replays(rig)
            way.shut()
            stack.feed_until(lambda: not stack.online())
            way.open()
            feed_until_heard(rig, 3.31 + 0.01 * turn)
            arrived_ns = time.time_ns()
            stack.feed_until(stack.online)
            status = stack.status()
            assert status is not None
            assert arrived_ns - (status.connected_since_wall_ns or 0) < LIVE_WITHIN_S * 1e9
        last = rig.buffer()
        assert last is not None
        assert last.rows > STORED // 2


def fill_store(stack: MqttStack) -> None:
    """Let the buffer find STORED records when it starts."""
    store = open_store(stack.gateway.paths.state_file("buffer.sqlite"), FakeClock())
    store.append([make_record(number) for number in range(1, STORED + 1)])
    store.close()


def wait_for_more_replays(rig: Rig) -> None:
    replayed = len(rig.bodies("replay/soc_percent"))
    rig.wait(lambda: len(rig.bodies("replay/soc_percent")) > replayed + 50)


def feed_until_heard(rig: Rig, cell_v: float) -> None:
    """Publish cycles with all cells at a new voltage until the subscriber has it."""
    rig.stack.feed_until(
        lambda: cell_v in [body["value"] for body in rig.bodies(CELL)],
        cell_voltages_v=(cell_v,) * 16,
    )
