"""Faults that other bridges had on the way to their MQTT broker, and that this one has not.

Each test is named after the fault, and shows with real processes that it can't come back.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from fake_clock import FakeClock
from fake_critical import make_record
from fake_store import open_store
from harness_mosquitto import Mosquitto, users_file
from harness_mqtt import ROOT, Listener, MqttStack
from harness_net import LOOPBACK

BACK_WITHIN_S = 5.0
NOW_WITHIN_S = 2.0
TOLD_AGAIN_WITHIN_S = 10.0
RETAINED = ("status/connected", "status/data", "status/victron_keepalive", "status", "manifest")
DEVICE = "homeassistant/device/tinybms_0123456789abcdef01234567/config"
STORED = 5000
PUBACK_LATE_S = 2.0
WINDOW = 20
CONNACK = bytes.fromhex("20020000")
PUBLISH = 0x30
QOS_BITS = 0x06
SESSION_EXPIRY = 0x11
RAISES = """
import runpy
import sys
from paho.mqtt.client import Client

handle = Client._handle_publish
def fail_once(self):
    Client._handle_publish = handle
    raise {error}("planted in a callback")
Client._handle_publish = fail_once
sys.argv = ["tinybms_mqtt_out", "--config", sys.argv[1]]
runpy.run_module("tinybms_mqtt_out", run_name="__main__")
"""


def publish(broker: Mosquitto, topic: str, payload: str) -> None:
    command = ["mosquitto_pub", "-h", broker.host, "-p", str(broker.port), "-r"]
    subprocess.run([*command, "-t", topic, "-m", payload], check=True, timeout=10)


@pytest.mark.parametrize("error", ["ValueError", "KeyError"])
def test_an_exception_while_paho_works_does_not_end_publishing_for_ever(
    run_dir: Path, mosquitto: Mosquitto, error: str
) -> None:
    """Either the connection is made anew, or the process ends with a word and is started again."""
    with (
        MqttStack(run_dir, mosquitto.port) as stack,
        Listener(mosquitto, run_dir / "heard") as listener,
    ):
        with stack.gateway.log("mqtt_out").open("ab") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-c", RAISES.format(error=error)),
                    str(stack.gateway.config_file),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        stack.gateway.processes["mqtt_out"] = process

        def told() -> bool:
            text = stack.gateway.log("mqtt_out").read_text(encoding="utf-8")
            return "planted in a callback" in text

        stack.feed_until(told)
        if error == "KeyError":
            stack.feed_until(lambda: process.poll() is not None)
            assert process.returncode != 0
            stack.start()
        before = len(listener.of("battery_voltage"))
        stack.feed_until(lambda: len(listener.of("battery_voltage")) > before + 1)


def test_a_late_will_does_not_leave_the_gateway_offline(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    with (
        MqttStack(run_dir, mosquitto.port) as stack,
        Listener(mosquitto, run_dir / "heard") as listener,
    ):
        stack.start()
        stack.feed_until(lambda: "true" in listener.payloads("status/connected"))
        publish(mosquitto, f"{ROOT}/status/connected", "false")
        stack.wait_until(lambda: "false" in listener.payloads("status/connected"))
        stack.feed_until(
            lambda: listener.payloads("status/connected")[-1] == "true", timeout_s=BACK_WITHIN_S
        )
        with Listener(mosquitto, run_dir / "late") as late:
            stack.feed_until(lambda: bool(late.of("status/connected")))
            assert late.payloads("status/connected")[0] == "true"


def test_a_new_subscriber_gets_no_old_value_of_a_battery_that_is_gone(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    """No value is retained, so none needs to be erased; what is retained says that it ended."""
    with MqttStack(run_dir, mosquitto.port, {"discovery": True}) as stack:
        with Listener(mosquitto, run_dir / "heard") as listener:
            stack.start()
            stack.feed_until(lambda: bool(listener.of("battery_voltage")))
        stack.gateway.stop("mqtt_out")
        with Listener(mosquitto, run_dir / "late") as late:
            stack.wait_until(lambda: bool(late.of("status/connected")))
            retained = {one.topic: one.payload for one in late.all()}
    assert retained["status/connected"] == "false"
    assert not [topic for topic, payload in retained.items() if payload.startswith('{"key"')]
    assert all(topic == "manifest" or topic.startswith("status") for topic in retained)


def test_a_password_alone_goes_with_a_name(run_dir: Path) -> None:
    """A broker that wants any name at all refused the empty one."""
    folder = run_dir / "closed"
    folder.mkdir()
    users = users_file(folder / "users", "tinybms-pack1", "secret")
    with (
        Mosquitto(folder, extra_config=f"password_file {users}", anonymous=False) as closed,
        MqttStack(run_dir, closed.port, {"username": ""}) as stack,
    ):
        stack.start(TINYBMS_MQTT_PASSWORD="secret")
        stack.feed_until(stack.online)
        assert "u'tinybms-pack1'" in closed.log_file.read_text(encoding="utf-8")


def test_an_empty_name_is_never_sent(run_dir: Path, mosquitto: Mosquitto) -> None:
    with MqttStack(run_dir, mosquitto.port, {"username": ""}) as stack:
        stack.start()
        stack.feed_until(stack.online)
        log = mosquitto.log_file.read_text(encoding="utf-8")
        assert "as tinybms-pack1 (" in log
        assert "u''" not in log


def test_the_first_value_after_an_outage_is_of_now(run_dir: Path, mosquitto: Mosquitto) -> None:
    """What had waited for hours was taken for the present."""
    with MqttStack(run_dir, mosquitto.port) as stack:
        stack.start()
        stack.feed_until(stack.online)
        mosquitto.kill()
        stack.feed_until(lambda: not stack.online())
        stack.feed(NOW_WITHIN_S + 1.0, pack_voltage_v=49.0)
        mosquitto.start()
        with Listener(mosquitto, run_dir / "heard") as listener:
            listening_ms = time.time() * 1000
            stack.feed_until(
                lambda: bool(listener.of("battery_voltage") and listener.of("soc_percent"))
            )
            for topic in ("battery_voltage", "soc_percent"):
                first = listener.of(topic)[0].json
                assert first["timestamp_ms"] > listening_ms - NOW_WITHIN_S * 1000, topic
            assert listener.of("battery_voltage")[0].json["value"] == 52.7


def test_all_that_is_retained_is_told_to_a_broker_that_lost_its_memory(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    """Discovery and availability were missing after the restart of a broker without persistence."""
    expected = {f"{ROOT}/{word}" for word in RETAINED} | {DEVICE}
    with MqttStack(run_dir, mosquitto.port) as stack:
        stack.start()
        stack.feed_until(stack.online)
        stack.feed(1.0)
        mosquitto.stop()
        stack.feed_until(lambda: not stack.online())
        mosquitto.start()

        def restored() -> bool:
            command = ["mosquitto_sub", "-h", mosquitto.host, "-p", str(mosquitto.port)]
            answer = subprocess.run(
                [*command, "-t", "#", "--retained-only", "-W", "1", "-F", "%t"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            stack.cycle()
            return expected <= set(answer.stdout.split())

        stack.feed_until(restored, timeout_s=TOLD_AGAIN_WITHIN_S)


def test_after_an_outage_no_more_than_a_window_waits_for_acknowledgement(run_dir: Path) -> None:
    """Everything at once made the broker cut the connection, again and again."""
    with (
        socket.create_server((LOOPBACK, 0)) as server,
        MqttStack(run_dir, server.getsockname()[1]) as stack,
    ):
        server.settimeout(15.0)
        clock = FakeClock()
        store = open_store(stack.gateway.paths.state_file("buffer.sqlite"), clock)
        store.append([make_record(number) for number in range(1, STORED + 1)])
        store.close()
        stack.gateway.start("buffer")
        stack.start()
        connection, _address = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(CONNACK)
            stack.feed_until(stack.online)
            stack.feed(PUBACK_LATE_S)
            got = received(connection)
    owed = [packet for packet in got if packet & 0xF0 == PUBLISH and packet & QOS_BITS]
    assert 1 < len(owed) <= WINDOW


def received(connection: socket.socket) -> list[int]:
    """The first byte of each whole MQTT packet that waits in the connection."""
    connection.settimeout(0.2)
    data = bytearray()
    with suppress(TimeoutError):
        while chunk := connection.recv(65_536):
            data += chunk
    found, at = [], 0
    while at < len(data):
        first, size, shift = data[at], 0, 0
        at += 1
        while True:
            size |= (data[at] & 0x7F) << shift
            shift += 7
            at += 1
            if data[at - 1] < 0x80:
                break
        at += size
        found.append(first)
    return found


def test_with_mqtt_5_the_broker_is_told_to_keep_no_session(run_dir: Path) -> None:
    """Else it would hand us commands that have grown old while we were away."""
    with socket.create_server((LOOPBACK, 0)) as server:
        server.settimeout(15.0)
        port: int = server.getsockname()[1]
        with MqttStack(run_dir, port, {"protocol": "5"}) as stack:
            stack.start()
            connection, _address = server.accept()
            with connection:
                packet = connection.recv(4096)
    at = packet.index(b"\x00\x04MQTT\x05") + 7
    clean_start = packet[at] & 0x02
    properties = packet[at + 4 : at + 4 + packet[at + 3]]
    assert clean_start
    assert bytes([SESSION_EXPIRY, 0, 0, 0, 0]) in properties
