"""What a subscriber sees of mqtt_out: topics, QoS, retain flags, payloads, order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fake_live import fake_alarms, fake_limits, fake_live
from harness_mosquitto import Mosquitto
from harness_mqtt import ROOT, Listener, MqttStack
from tinybms_messages.registers import BmsSettings, RegisterValue
from tinybms_messages.status import CanStatus
from tinybms_messages.topics import BMS_SETTINGS, CAN_STATUS, LIVE_DATA

RETAINED = {
    "status/connected",
    "status/data",
    "status/victron_keepalive",
    "status",
    "manifest",
}


@pytest.fixture
def stack(run_dir: Path, mosquitto: Mosquitto) -> Iterator[MqttStack]:
    with MqttStack(run_dir, mosquitto.port) as stack:
        yield stack


@pytest.fixture
def listener(run_dir: Path, mosquitto: Mosquitto) -> Iterator[Listener]:
    with Listener(mosquitto, run_dir / "heard") as listener:
        yield listener


def test_a_cycle_comes_out_with_right_qos_retain_and_payload(
    stack: MqttStack, listener: Listener
) -> None:
    stack.start()
    ends = ("cell_voltage_16", "charge_current_limit", "alarm_low_voltage", "alarm_bms_cable")
    stack.feed_until(lambda: all(listener.of(suffix) for suffix in ends))
    seen = {message.topic: message for message in listener.all()}
    voltage = seen["battery_voltage"]
    assert (voltage.qos, voltage.retained) == (0, False)
    assert voltage.json["value"] == 52.7
    assert voltage.json["raw"] == 5270
    assert voltage.json["address"] == 36
    assert voltage.json["boot"] == "f" * 16
    assert [row["raw"] for row in voltage.json["gx"]] == [527, 5270]
    for suffix in ("soc_percent", "charge_current_limit", "alarm_low_voltage", "alarm_bms_cable"):
        assert (seen[suffix].qos, seen[suffix].retained) == (1, False), suffix
    assert seen["soc_percent"].json["raw"] == 63_260_000
    assert seen["alarm_low_voltage"].json["value"] == 0
    assert seen["cell_voltage_16"].json["value"] == 3.305
    cells = [message.json for message in listener.all() if message.topic.startswith("cell_vol")]
    times_by_seq = {body["seq"]: body["timestamp_ms"] for body in cells}
    assert all(times_by_seq[body["seq"]] == body["timestamp_ms"] for body in cells)
    assert len({body["key"] for body in cells if body["seq"] == cells[0]["seq"]}) == 16


def test_the_retained_words_are_there_for_a_late_subscriber(
    stack: MqttStack, mosquitto: Mosquitto, run_dir: Path
) -> None:
    stack.start()
    stack.feed_until(lambda: (status := stack.status()) is not None and status.publish_count > 100)
    with Listener(mosquitto, run_dir / "late") as late:
        # A value comes after the retained messages, so that all of these have arrived with it.
        stack.feed_until(lambda: any(not message.retained for message in late.all()))
        retained = {message.topic: message for message in late.all() if message.retained}
    assert set(retained) == RETAINED
    assert retained["status/connected"].payload == "true"
    assert retained["status/data"].payload == "fresh"
    assert retained["status/victron_keepalive"].payload == "null"
    status = retained["status"].json
    assert status["publish_count"] >= 0
    assert status["last_error_code"] == 0
    assert status["connected_since"].endswith("+00:00")
    manifest = {entry["key"]: entry for entry in json.loads(retained["manifest"].payload)}
    assert manifest["battery_voltage"]["topic"] == f"{ROOT}/battery_voltage"
    assert manifest["battery_voltage"]["gx"][1]["register"] == 259
    assert manifest["alarm_low_voltage"]["critical"] is True
    assert manifest["cell_voltage_16"]["address"] == 15
    assert manifest["setting_over_voltage_cutoff"]["raw_scale"] == 0.001


def test_before_the_first_sample_only_status_words_leave(
    stack: MqttStack, listener: Listener
) -> None:
    stack.start()
    nothing_yet = fake_live(sample=None, limits=None, identity=None)

    def told() -> bool:
        stack.probe.publish(LIVE_DATA, nothing_yet)
        return listener.payloads("status/connected").count("true") >= 3

    stack.wait_until(told)
    assert listener.payloads("status/data") == ["unknown"]
    assert {message.topic for message in listener.all()} == RETAINED


def test_register_values_wait_for_the_live_data_of_their_cycle(
    stack: MqttStack, listener: Listener
) -> None:
    stack.start()
    stack.feed_until(lambda: bool(listener.of("battery_voltage")))
    seq = stack.probe.bus.next_seq(LIVE_DATA)
    stack.registers(seq, RegisterValue(key="full_charge_count", address=112, raw=77, value=77))
    stack.wait_until(lambda: len(listener.payloads("status/connected")) >= 4)
    assert not listener.of("charge_cycles")
    assert stack.live() == seq
    both = ("charge_cycles", "stat_full_charge_count")
    stack.wait_until(lambda: all(listener.of(suffix) for suffix in both))
    body = listener.of("charge_cycles")[0].json
    assert (body["value"], body["raw"], body["seq"]) == (77, 77, seq)
    assert body["gx"][0] == {
        "service": "com.victronenergy.battery",
        "path": "/History/ChargeCycles",
        "unit": 225,
        "register": 284,
        "raw": 77,
    }
    assert listener.of("stat_full_charge_count")[0].json["address"] == 112


def test_limits_and_alarms_age_when_no_new_sample_comes(
    stack: MqttStack, listener: Listener
) -> None:
    stack.start()
    stack.feed_until(lambda: bool(listener.of("charge_current_limit")))
    changed = fake_live(
        limits=fake_limits(charge_current_a=0.0), alarms=fake_alarms(high_voltage=2)
    )
    seq = stack.live(changed)
    stack.wait_until(lambda: listener.of("charge_current_limit")[-1].json["seq"] == seq)
    stack.wait_until(lambda: listener.of("alarm_high_voltage")[-1].json["seq"] == seq)
    limit = listener.of("charge_current_limit")[-1].json
    assert (limit["value"], limit["gx"][0]["raw"]) == (0.0, 0)
    assert listener.of("alarm_high_voltage")[-1].json["value"] == 2


def test_a_changed_setting_comes_out(stack: MqttStack, listener: Listener) -> None:
    stack.start()
    stack.feed_until(lambda: bool(listener.of("soc_percent")))

    def told(raw: int) -> bool:
        value = RegisterValue(key="over_voltage_cutoff", address=315, raw=raw, value=raw / 1000)
        body = BmsSettings(wall_ns=1, settings_words=(), version_words=(), values=(value,))
        stack.probe.publish(BMS_SETTINGS, body)
        heard = listener.of("setting_over_voltage_cutoff")
        return bool(heard) and heard[-1].json["raw"] == raw

    for raw in (3650, 3600):
        stack.feed_until(partial(told, raw))
    assert listener.of("setting_over_voltage_cutoff")[-1].json["value"] == 3.6


def test_the_keepalive_of_the_gx_is_told(run_dir: Path, mosquitto: Mosquitto) -> None:
    with (
        MqttStack(run_dir, mosquitto.port, can_enabled=True) as stack,
        Listener(mosquitto, run_dir / "heard") as listener,
    ):
        stack.start()
        stack.wait_until(lambda: listener.payloads("status/victron_keepalive") == ["false"])

        def heard() -> bool:
            stack.probe.publish(CAN_STATUS, CanStatus(state="sending", victron_keepalive_ok=True))
            return listener.payloads("status/victron_keepalive")[-1] == "true"

        stack.wait_until(heard)
        stack.wait_until(lambda: listener.payloads("status/victron_keepalive")[-1] == "false")


def test_the_old_names_carry_the_same_values(run_dir: Path, mosquitto: Mosquitto) -> None:
    with (
        MqttStack(run_dir, mosquitto.port, {"legacy_topics": True}) as stack,
        Listener(mosquitto, run_dir / "heard") as listener,
    ):
        stack.start()
        stack.feed_until(
            lambda: bool(
                listener.of("battery_pack_voltage")
                and listener.of("max_charge_current")
                and listener.of("internal_temperature")
            )
        )
        assert listener.of("battery_pack_voltage")[0].json["value"] == 52.7
        assert listener.of("max_charge_current")[0].json["value"] == 60.0
        assert len({message.json["seq"] for message in listener.of("internal_temperature")}) == len(
            listener.of("internal_temperature")
        )


def test_mqtt_5_is_spoken_when_asked_for(run_dir: Path, mosquitto: Mosquitto) -> None:
    with (
        MqttStack(run_dir, mosquitto.port, {"protocol": "5"}) as stack,
        Listener(mosquitto, run_dir / "heard") as listener,
    ):
        stack.start()
        stack.feed_until(lambda: bool(listener.of("battery_voltage") and listener.of("status")))
        assert "p5" in mosquitto.log_file.read_text(encoding="utf-8")


def test_a_disabled_mqtt_out_stays_up_and_says_so(run_dir: Path, mosquitto: Mosquitto) -> None:
    with (
        MqttStack(run_dir, mosquitto.port, {"enabled": False}) as stack,
        Listener(mosquitto, run_dir / "heard") as listener,
    ):
        process = stack.start()
        stack.feed_until(lambda: stack.status() is not None)
        status = stack.status()
        assert status is not None
        assert status.state == "disabled"
        stack.feed(1.0)
        assert process.poll() is None
        assert listener.all() == []
