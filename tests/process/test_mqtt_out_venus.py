"""The battery as the Venus OS driver dbus-mqtt-battery hears it from a running mqtt_out."""

from __future__ import annotations

from pathlib import Path

from fake_live import fake_live
from harness_mosquitto import Mosquitto
from harness_mqtt import Listener, MqttStack
from harness_venus import check_venus
from tinybms_messages.topics import LIVE_DATA

QUICK_AGEING = {
    "frozen_after_s": 1.0,
    "stale_after_s": 2.0,
    "alarm_after_s": 14.0,
    "lost_after_s": 15.0,
}


def test_a_full_object_each_second_and_silence_when_stale(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    with (
        MqttStack(run_dir, mosquitto.port, ageing=QUICK_AGEING) as stack,
        Listener(mosquitto, run_dir / "heard") as listener,
    ):
        stack.start()
        stack.feed_until(lambda: len(listener.of("venus")) == 1)
        stack.feed(5.0)
        spoken = listener.of("venus")
        assert 4 <= len(spoken) <= 7
        assert {(message.qos, message.retained) for message in spoken} == {(0, False)}
        bodies = [check_venus(message.payload.encode()) for message in spoken]
        assert all(body.keys() == bodies[0].keys() for body in bodies)
        stack.wait_until(lambda: listener.payloads("status/data")[-1] == "stale")
        told = len(listener.of("venus"))
        beats = len(listener.of("status/connected"))
        stack.wait_until(lambda: len(listener.of("status/connected")) >= beats + 3)
        assert len(listener.of("venus")) == told
        with Listener(mosquitto, run_dir / "late") as late:
            stack.wait_until(lambda: bool(late.of("status/connected")))
            assert not late.of("venus")
        stack.feed_until(lambda: len(listener.of("venus")) > told)


def test_nothing_before_the_first_sample(run_dir: Path, mosquitto: Mosquitto) -> None:
    with (
        MqttStack(run_dir, mosquitto.port) as stack,
        Listener(mosquitto, run_dir / "heard") as listener,
    ):
        stack.start()
        stack.probe.publish(LIVE_DATA, fake_live(sample=None, limits=None, identity=None))
        stack.wait_until(lambda: len(listener.payloads("status/connected")) >= 4)
        assert not listener.of("venus")


def test_with_can_there_is_one_battery_only(run_dir: Path, mosquitto: Mosquitto) -> None:
    with (
        MqttStack(run_dir, mosquitto.port, can_enabled=True) as stack,
        Listener(mosquitto, run_dir / "heard") as listener,
    ):
        stack.start()
        stack.feed_until(lambda: len(listener.of("status/connected")) >= 4)
        assert listener.of("battery_voltage")
        assert not listener.of("venus")
