"""The whole table of topics, as mosquitto_sub hears it of a gateway beside a simulated battery."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from fake_critical import make_record
from fake_live import fake_live
from harness_gateway import BusProbe, GatewayFolder
from harness_mosquitto import Mosquitto
from harness_mqtt import ROOT, Arrived, Listener, MqttStack
from harness_net import LOOPBACK
from harness_sim import SimBms
from tinybms_messages.critical import CriticalClass
from tinybms_messages.live import Link
from tinybms_messages.topics import CRITICAL, LIVE_DATA

ALL_TOPICS_S = 45.0
LIMITS = tuple(f"{name}_limit" for name in ("charge_voltage", "charge_current")) + tuple(
    f"{name}_limit" for name in ("discharge_voltage", "discharge_current")
)
CRITICAL_VALUES = {"soc_percent", *LIMITS}
RETAINED = {"status/connected", "status/data", "status/victron_keepalive", "status", "manifest"}
VALUE_KEYS = [
    *("key", "address", "value", "raw", "unit", "timestamp_ms", "label", "seq", "boot"),
    *("dbus_path", "modbus_address", "gx"),
]
MANIFEST_KEYS = {
    *("topic", "key", "label", "unit", "group", "register_key", "address", "raw_scale"),
    *("dbus_path", "modbus_address", "gx", "qos", "retain", "critical"),
}
STATUS_KEYS = {
    *("publish_count", "failed_publish_count", "last_error_code", "last_error"),
    *("connected_since", "reconnects", "victron_keepalive_ok", "data", "link", "buffer"),
    "versions",
}


class Heard:
    """What two subscribers got: `live` from the beginning, `late` when all had been said."""

    def __init__(self, live: Listener, late: list[Arrived]) -> None:
        self.by_topic: dict[str, list[Arrived]] = {}
        for message in live.all():
            self.by_topic.setdefault(message.topic, []).append(message)
        self.retained = {message.topic: message for message in late if message.retained}

    def last(self, topic: str) -> Arrived:
        return self.by_topic[topic][-1]


@contextmanager
def heard_of_a_gateway(folder: Path, broker: Mosquitto) -> Iterator[Heard]:
    with SimBms(folder / "sim") as bms:
        tables: dict[str, dict[str, object]] = {
            "acquisition": {"port": str(bms.link)},
            "can": {"enabled": False},
            "mqtt": {"host": LOOPBACK, "port": broker.port},
        }
        with (
            GatewayFolder(folder, tables) as gateway,
            BusProbe(gateway.paths) as probe,
            Listener(broker, folder / "live") as live,
        ):
            for name in ("broker", "buffer", "acquisition", "mqtt_out"):
                gateway.start(name)
            assert probe.wait_for(lambda: silent(live) == set(), ALL_TOPICS_S), silent(live)
            assert probe.wait_for(lambda: has_settled(live), ALL_TOPICS_S), live.of("status")
            with Listener(broker, folder / "late") as late:
                assert probe.wait_for(lambda: not all(one.retained for one in late.all()))
                yield Heard(live, list(late.all()))


def silent(listener: Listener) -> set[str] | None:
    """Topics that the manifest names and that said nothing yet; None without a manifest."""
    manifests = listener.payloads("manifest")
    if not manifests:
        return None
    named = {row["key"] for row in json.loads(manifests[-1])}
    return named - {message.topic for message in listener.all()}


def has_settled(listener: Listener) -> bool:
    """Whether the words about the gateway tell of a running one, and the heartbeat came twice."""
    status = listener.of("status")[-1].json
    return (
        status["link"] is not None
        and status["link"]["state"] == "online"
        and status["buffer"] is not None
        and len(listener.of("status/connected")) > 1
        and bool(listener.of("venus"))
    )


def test_every_topic_has_its_qos_its_flag_and_its_payload(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    with heard_of_a_gateway(run_dir, mosquitto) as heard:
        manifest = json.loads(heard.retained["manifest"].payload)
        for row in manifest:
            check_value(row, heard)
        assert len(manifest) > 120
        assert set(heard.retained) == RETAINED
        assert {message.qos for message in heard.retained.values()} == {1}
        check_words(heard)


def check_value(row: dict[str, Any], heard: Heard) -> None:
    key = row["key"]
    assert MANIFEST_KEYS <= row.keys() <= MANIFEST_KEYS | {"legacy", "note"}, key
    critical = key in CRITICAL_VALUES or key.startswith("alarm_")
    assert (row["critical"], row["qos"], row["retain"]) == (critical, int(critical), False), key
    assert row["topic"] == f"{ROOT}/{key}"
    messages = heard.by_topic[key]
    assert {(one.qos, one.retained) for one in messages} == {(int(critical), False)}, key
    for message in messages:
        body = message.json
        assert message.payload == json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        assert [name for name in body if name in VALUE_KEYS] == VALUE_KEYS, key
        same = ("key", "address", "unit", "label", "dbus_path", "modbus_address")
        assert {name: body[name] for name in same} == {name: row[name] for name in same}
        places = ("service", "path", "unit", "register")
        assert [[gx[place] for place in places] for gx in body["gx"]] == [
            [gx[place] for place in places] for gx in row["gx"]
        ]
        assert all({"raw", *places} == gx.keys() for gx in body["gx"]), key
        assert isinstance(body["timestamp_ms"], int)
        if key.startswith("alarm_"):
            assert body["value"] in {0, 1, 2}
            assert body["address"] is None


def check_words(heard: Heard) -> None:
    assert {one.payload for one in heard.by_topic["status/connected"]} == {"true"}
    assert len(heard.by_topic["status/connected"]) > 1
    assert heard.retained["status/data"].payload == "fresh"
    assert heard.retained["status/victron_keepalive"].payload == "null"
    status = heard.retained["status"].json
    assert status.keys() == STATUS_KEYS
    assert datetime.fromisoformat(status["connected_since"]).tzinfo is not None
    assert status["link"]["state"] == "online"
    assert status["buffer"]["state"]
    assert {(one.qos, one.retained) for one in heard.by_topic["venus"]} == {(0, False)}
    for topic in RETAINED:
        assert {one.qos for one in heard.by_topic[topic]} == {1}, topic
    known = {*RETAINED, "venus", "event"} | {
        row["key"] for row in json.loads(heard.retained["manifest"].payload)
    }
    assert {topic for topic in heard.by_topic if not topic.startswith("replay/")} <= known


def test_a_sleeping_battery_is_called_so_and_an_event_keeps_its_time(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    with (
        MqttStack(run_dir, mosquitto.port) as stack,
        Listener(mosquitto, run_dir / "heard") as listener,
    ):
        stack.start()
        stack.feed_until(lambda: "fresh" in listener.payloads("status/data"))
        happened_ns = stack.clock.wall_ns() - 1_000_000_000
        event = make_record(
            1,
            boot="00000000000000e1",
            record_class=CriticalClass.EVENT,
            suffix="event",
            value="bms_fault",
            raw=None,
            text="over-voltage",
            wall_ns=happened_ns,
            boottime_ns=stack.clock.boottime_ns(),
            kernel_boot_id=stack.clock.kernel_boot_id,
        )
        stack.probe.publish(CRITICAL, event)
        stack.feed_until(lambda: bool(told(listener)))
        (message,) = told(listener)
        assert (message.qos, message.retained) == (1, False)
        assert message.json["timestamp_ms"] == happened_ns // 1_000_000
        sleeping = fake_live(asleep=True, link=Link(state="asleep"))

        def asleep() -> bool:
            stack.probe.publish(LIVE_DATA, sleeping)
            return listener.payloads("status/data")[-1] == "asleep"

        stack.wait_until(asleep)
        stack.feed_until(lambda: listener.payloads("status/data")[-1] == "fresh")
        words = [word for word, _repeats in groupby(listener.payloads("status/data"))]
        assert words[-3:] == ["fresh", "asleep", "fresh"]
        assert {(one.qos, one.retained) for one in listener.of("status/data")} == {(1, False)}


def told(listener: Listener) -> list[Arrived]:
    return [one for one in listener.of("event") if one.json["value"] == "bms_fault"]


def test_names_for_people_make_topics_that_every_broker_takes(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    """Spaces, slashes, accents and wildcards stay in the name and out of the topics."""
    name = "Cabin/Nord é #1+"
    mqtt = {"root_topic": "my boat/cabin é/{device}", "discovery_name": name}
    with (
        MqttStack(run_dir, mosquitto.port, mqtt) as stack,
        Listener(mosquitto, run_dir / "heard", under="my_boat/cabin_/pack1") as listener,
        Listener(mosquitto, run_dir / "announced", under="homeassistant/device") as announced,
    ):
        stack.start()
        stack.feed_until(lambda: bool(listener.of("battery_voltage") and announced.all()))
        (message,) = announced.all()
        assert re.fullmatch("[A-Za-z0-9_-]+/config", message.topic)
        assert name in message.json["device"]["name"]
        states = {one["state_topic"] for one in message.json["components"].values()}
        assert all(topic.startswith("my_boat/cabin_/pack1/") for topic in states)
        assert all(re.fullmatch("[A-Za-z0-9_/-]+", topic) for topic in states)


@pytest.mark.parametrize("root", ["fleet/+/{device}", "fleet/#", "/fleet", "é"])
def test_a_root_topic_that_a_broker_would_refuse_is_named(
    run_dir: Path, mosquitto: Mosquitto, root: str
) -> None:
    with MqttStack(run_dir, mosquitto.port, {"root_topic": root}) as stack:
        process = stack.start()
        assert process.wait(10) != 0
        log = stack.gateway.log("mqtt_out").read_text(encoding="utf-8")
        assert "mqtt.root_topic" in log
        assert root in log
        assert "Traceback" not in log
