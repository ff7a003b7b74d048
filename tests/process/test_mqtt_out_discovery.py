"""What Home Assistant would hear of a running mqtt_out, through a real broker."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_live import fake_live
from harness_ha_lint import lint
from harness_mosquitto import Mosquitto
from harness_mqtt import Arrived, Listener, MqttStack
from tinybms_messages.topics import LIVE_DATA

SERIAL = "0123456789abcdef01234567"
DEVICE = f"device/tinybms_{SERIAL}/config"
PREFIX = "homeassistant"


@pytest.fixture
def stack(run_dir: Path, mosquitto: Mosquitto) -> Iterator[MqttStack]:
    with MqttStack(run_dir, mosquitto.port) as stack:
        yield stack


@pytest.fixture
def home_assistant(run_dir: Path, mosquitto: Mosquitto) -> Iterator[Listener]:
    with Listener(mosquitto, run_dir / "home_assistant", under=PREFIX) as listener:
        yield listener


@pytest.fixture
def values(run_dir: Path, mosquitto: Mosquitto) -> Iterator[Listener]:
    with Listener(mosquitto, run_dir / "values") as listener:
        yield listener


def publish(broker: Mosquitto, topic: str, payload: str, *, retain: bool = False) -> None:
    subprocess.run(
        [
            *("mosquitto_pub", "-h", broker.host, "-p", str(broker.port), "-q", "1"),
            *("-t", topic, "-m", payload, *(["-r"] if retain else [])),
        ],
        check=True,
        timeout=10,
    )


def retained_now(broker: Mosquitto, file: Path, marker: str) -> dict[str, Arrived]:
    """What the broker has retained below the prefix; `marker` is a topic that must be there."""
    with Listener(broker, file, under=PREFIX) as late:
        subprocess.run(
            ["mosquitto_sub", "-h", broker.host, "-p", str(broker.port), "-C", "1", "-t", marker],
            check=True,
            timeout=10,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10.0
        while not late.of(marker.removeprefix(f"{PREFIX}/")):
            assert time.monotonic() < deadline, "not within the time"
            time.sleep(0.05)
        return {message.topic: message for message in late.all() if message.retained}


def test_the_first_sample_makes_the_device_and_its_values_follow(
    stack: MqttStack,
    home_assistant: Listener,
    values: Listener,
    mosquitto: Mosquitto,
    run_dir: Path,
) -> None:
    stack.start()
    stack.wait_until(stack.online)
    stack.feed_until(lambda: bool(home_assistant.of(DEVICE)))
    (message,) = home_assistant.of(DEVICE)
    body = message.json
    assert lint(f"{PREFIX}/{DEVICE}", body) == []
    assert message.qos == 1
    assert "cell_voltage_16" in body["components"]
    before = len(values.of("charge_voltage_limit"))
    stack.feed_until(lambda: len(values.of("charge_voltage_limit")) > before, timeout_s=3.0)
    kept = retained_now(mosquitto, run_dir / "late", f"{PREFIX}/{DEVICE}")
    assert set(kept) == {DEVICE}


def test_every_state_topic_and_availability_topic_really_speaks(
    stack: MqttStack, home_assistant: Listener, values: Listener
) -> None:
    stack.start()
    stack.feed_until(lambda: bool(home_assistant.of(DEVICE)))
    body = home_assistant.of(DEVICE)[-1].json
    root = "victron/tinybms/"
    slow = ("stat_", "setting_", "charge_cycles", "low_voltage_alarms", "high_voltage_alarms")
    wanted = {
        one["state_topic"].removeprefix(root)
        for key, one in body["components"].items()
        if not key.startswith(slow)
    } | {row["topic"].removeprefix(root) for row in body["availability"]}
    stack.feed_until(lambda: wanted <= {message.topic for message in values.all()})


def test_a_battery_that_was_seen_once_is_announced_while_it_is_off(
    stack: MqttStack, home_assistant: Listener, values: Listener
) -> None:
    memory = {"battery": {"serial_number": SERIAL, "cell_count": 16}}
    stack.gateway.paths.state_dir.mkdir(parents=True, exist_ok=True)
    stack.gateway.paths.state_file("announced.json").write_text(json.dumps(memory))
    stack.start()
    stack.probe.publish(LIVE_DATA, fake_live(sample=None, limits=None, identity=None))
    stack.wait_until(lambda: bool(home_assistant.of(DEVICE)))
    assert "cell_voltage_16" in home_assistant.of(DEVICE)[-1].json["components"]
    stack.wait_until(lambda: values.payloads("status/data") == ["unknown"])


def test_what_was_announced_outlives_the_process(
    stack: MqttStack, home_assistant: Listener
) -> None:
    process = stack.start()
    stack.feed_until(lambda: bool(home_assistant.of(DEVICE)))
    process.kill()
    process.wait(10)
    stack.start()
    stack.wait_until(lambda: len(home_assistant.of(DEVICE)) == 2)
    first, second = home_assistant.payloads(DEVICE)
    assert first == second


def test_before_the_first_contact_nothing_is_announced(
    stack: MqttStack, home_assistant: Listener
) -> None:
    stack.start()
    stack.wait_until(stack.online)
    stack.probe.publish(LIVE_DATA, fake_live(sample=None, limits=None, identity=None))
    stack.probe.wait_for(lambda: False, 4.5)
    assert home_assistant.all() == []


def test_one_cell_less_is_withdrawn_by_name(stack: MqttStack, home_assistant: Listener) -> None:
    stack.start()
    stack.feed_until(lambda: bool(home_assistant.of(DEVICE)))
    stack.feed_until(
        lambda: len(home_assistant.of(DEVICE)) == 3,
        cell_voltages_v=(3.3,) * 15,
        cells_balancing=(False,) * 15,
    )
    _first, farewell, clean = (message.json["components"] for message in home_assistant.of(DEVICE))
    assert farewell["cell_voltage_16"] == {"platform": "sensor"}
    assert "cell_voltage_16" not in clean
    assert "cell_voltage_15" in clean


def test_strays_go_and_what_others_announced_stays(
    stack: MqttStack, home_assistant: Listener, mosquitto: Mosquitto, run_dir: Path
) -> None:
    ours = (
        '{"origin":{"name":"tinybms-gateway"},'
        '"availability":[{"topic":"victron/tinybms/status/connected"}]}'
    )
    theirs = ours.replace("victron/tinybms", "fleet/other")
    publish(mosquitto, f"{PREFIX}/device/tinybms_old/config", ours, retain=True)
    publish(mosquitto, f"{PREFIX}/device/tinybms_other/config", theirs, retain=True)
    publish(mosquitto, f"{PREFIX}/sensor/x/y/config", '{"name":"foreign"}', retain=True)
    stack.start()
    stack.feed_until(lambda: "" in home_assistant.payloads("device/tinybms_old/config"))
    kept = retained_now(mosquitto, run_dir / "late", f"{PREFIX}/{DEVICE}")
    assert set(kept) == {DEVICE, "device/tinybms_other/config", "sensor/x/y/config"}


def test_one_topic_per_entity_by_option(run_dir: Path, mosquitto: Mosquitto) -> None:
    with (
        MqttStack(run_dir, mosquitto.port, {"discovery_form": "entities"}) as stack,
        Listener(mosquitto, run_dir / "home_assistant", under=PREFIX) as home_assistant,
    ):
        stack.start()
        one = f"sensor/tinybms_{SERIAL}/setting_over_voltage_cutoff/config"
        stack.feed_until(lambda: bool(home_assistant.of(one)))
        stack.feed(1.0)
        for message in home_assistant.all():
            assert lint(f"{PREFIX}/{message.topic}", message.json) == []
        assert len(home_assistant.all()) > 100


def test_discovery_can_be_switched_off(run_dir: Path, mosquitto: Mosquitto) -> None:
    with (
        MqttStack(run_dir, mosquitto.port, {"discovery": False}) as stack,
        Listener(mosquitto, run_dir / "home_assistant", under=PREFIX) as home_assistant,
    ):
        stack.start()
        stack.feed_until(stack.online)
        stack.feed(3.0)
        assert home_assistant.all() == []


def test_an_unusable_memory_is_begun_anew(stack: MqttStack, home_assistant: Listener) -> None:
    stack.gateway.paths.state_dir.mkdir(parents=True, exist_ok=True)
    stack.gateway.paths.state_file("announced.json").write_text("{broken", encoding="utf-8")
    stack.start()
    stack.feed_until(lambda: bool(home_assistant.of(DEVICE)))
    assert any("announced.json" in line["message"] for line in stack.log_lines())


@pytest.mark.long
def test_home_assistants_birth_is_answered(
    stack: MqttStack, home_assistant: Listener, values: Listener, mosquitto: Mosquitto
) -> None:
    stack.start()
    stack.feed_until(lambda: bool(home_assistant.of(DEVICE)))
    stack.feed(2.0)
    told, limits = len(home_assistant.of(DEVICE)), len(values.of("setting_over_voltage_cutoff"))
    publish(mosquitto, f"{PREFIX}/status", "online")
    stack.feed_until(lambda: len(home_assistant.of(DEVICE)) > told, timeout_s=35.0)
    assert limits == 0
    words = len(values.payloads("status/data"))
    stack.feed_until(lambda: len(values.payloads("status/data")) > words, timeout_s=5.0)
