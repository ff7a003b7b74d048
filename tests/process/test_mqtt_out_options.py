"""What options change: MQTT 5, groups of topics, and a second gateway with the same names."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from harness_mosquitto import Mosquitto
from harness_mqtt import ROOT, Listener, MqttStack
from harness_net import LOOPBACK

CONNACK_V5 = bytes.fromhex("2003000000")
TAKEN_OVER_V5 = bytes.fromhex("e0028e00")


def test_with_mqtt_5_measured_values_expire_and_critical_ones_do_not(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    heard = run_dir / "expiry"
    with MqttStack(run_dir, mosquitto.port, {"protocol": "5"}) as stack, heard.open("wb") as output:
        listener = subprocess.Popen(
            [
                *("mosquitto_sub", "-h", mosquitto.host, "-p", str(mosquitto.port), "-V", "5"),
                *("-t", f"{ROOT}/battery_voltage", "-t", f"{ROOT}/soc_percent", "-F", "%t %E"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
        )
        try:
            stack.start()
            stack.feed_until(lambda: len(heard.read_text().splitlines()) >= 2)
        finally:
            listener.kill()
            listener.wait()
    expiry = dict(line.partition(" ")[::2] for line in heard.read_text().splitlines())
    assert int(expiry[f"{ROOT}/battery_voltage"]) in {59, 60}
    assert not expiry[f"{ROOT}/soc_percent"].strip().isdigit()


def test_groups_that_are_off_stay_silent(run_dir: Path, mosquitto: Mosquitto) -> None:
    groups = {"cells": False, "statistics": False, "settings": False}
    with (
        MqttStack(run_dir, mosquitto.port, {"groups": groups}) as stack,
        Listener(mosquitto, run_dir / "heard") as listener,
    ):
        stack.start()
        stack.feed_until(lambda: len(listener.of("status/connected")) >= 3)
        heard = {message.topic for message in listener.all()}
        assert {"battery_voltage", "min_cell_voltage"} <= heard
        assert not [topic for topic in heard if topic.startswith("cell_voltage_")]


def test_a_second_gateway_below_our_root_is_told_once(run_dir: Path, mosquitto: Mosquitto) -> None:
    with MqttStack(run_dir, mosquitto.port) as stack:
        stack.start()
        stack.feed_until(stack.online)
        stack.feed(0.5)
        command = ["mosquitto_pub", "-h", mosquitto.host, "-p", str(mosquitto.port), "-r"]
        for payload in ("[]", "[1]"):
            subprocess.run([*command, "-t", f"{ROOT}/manifest", "-m", payload], check=True)

        def told() -> int:
            return sum("another gateway" in line["message"] for line in stack.log_lines())

        stack.feed_until(lambda: told() == 1)
        stack.feed(0.5)
        assert told() == 1


def test_with_mqtt_5_the_broker_itself_tells_of_a_takeover(run_dir: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        server.settimeout(10.0)
        port: int = server.getsockname()[1]
        with MqttStack(run_dir, port, {"protocol": "5"}) as stack:
            stack.start()
            connection, _address = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(CONNACK_V5)
                stack.feed_until(stack.online)
                connection.sendall(TAKEN_OVER_V5)

                def told() -> bool:
                    status = stack.status()
                    return status is not None and "'tinybms-pack1'" in status.last_error

                stack.feed_until(told)
            stack.feed(3.0)
            status = stack.status()
            assert status is not None
            assert (status.state, status.reconnects) == ("back_off", 0)
