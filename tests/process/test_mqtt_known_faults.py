"""Faults that other bridges had on the way to their MQTT broker, and that this one has not.

Each test is named after the fault, and shows with real processes that it can't come back.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness_mosquitto import Mosquitto
from harness_mqtt import ROOT, Listener, MqttStack
from harness_net import LOOPBACK

BACK_WITHIN_S = 5.0
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
