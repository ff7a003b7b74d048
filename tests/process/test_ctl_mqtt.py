"""`tinybms-ctl mqtt`: manifest, discovery and forget, against a real broker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from harness_gateway import GatewayFolder
from harness_ha_lint import lint
from harness_mosquitto import Mosquitto
from harness_mqtt import ROOT, Listener, MqttStack
from harness_net import LOOPBACK, free_port
from harness_sim import wait_until

SERIAL = "0123456789abcdef01234567"
PREFIX = "homeassistant"
DEVICE = f"device/tinybms_{SERIAL}/config"
RETAINED = {"status/connected", "status/data", "status/victron_keepalive", "status", "manifest"}


def ctl(gateway: GatewayFolder, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-P", "-m", "tinybms_ctl", "mqtt", *arguments),
            *("--config", str(gateway.config_file)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        env={k: v for k, v in os.environ.items() if not k.startswith("TINYBMS_")},
        check=False,
    )


def gateway_of(run_dir: Path, port: int, *, known: bool = True, **mqtt: object) -> GatewayFolder:
    gateway = GatewayFolder(run_dir, {"mqtt": {"host": LOOPBACK, "port": port, **mqtt}})
    if known:
        gateway.paths.state_dir.mkdir(parents=True, exist_ok=True)
        memory = {
            "battery": {"serial_number": SERIAL, "cell_count": 14},
            "announced": {f"{PREFIX}/{DEVICE}": {"battery_voltage": "sensor"}},
        }
        gateway.paths.state_file("announced.json").write_text(json.dumps(memory))
    return gateway


def test_the_manifest_can_be_read_without_a_broker(run_dir: Path) -> None:
    gateway = gateway_of(run_dir, free_port())
    rows = json.loads(ctl(gateway, "manifest", "--json").stdout)
    by_key = {row["key"]: row for row in rows}
    assert by_key["cell_voltage_01"]["address"] == 2
    assert "cell_voltage_15" not in by_key
    listed = ctl(gateway, "manifest")
    assert listed.returncode == 0
    assert len(listed.stdout.splitlines()) == len(rows)
    assert any(
        "battery_voltage" in line and "840,259" in line for line in listed.stdout.split("\n")
    )


def test_discovery_can_be_looked_at_without_a_broker(run_dir: Path) -> None:
    answer = ctl(gateway_of(run_dir, free_port()), "discovery", "--dry-run")
    topic, _newline, body = answer.stdout.partition("\n")
    assert topic == f"{PREFIX}/{DEVICE}"
    assert lint(topic, json.loads(body)) == []


def test_before_the_first_contact_there_is_nothing_to_announce(run_dir: Path) -> None:
    answer = ctl(gateway_of(run_dir, free_port(), known=False), "discovery", "--dry-run")
    assert answer.returncode == 1
    assert "no battery has been seen yet" in answer.stderr


def test_discovery_publishes_and_forget_takes_everything_of_ours_back(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    gateway = gateway_of(run_dir, mosquitto.port, discovery=False)
    foreign = ["mosquitto_pub", "-h", mosquitto.host, "-p", str(mosquitto.port), "-r"]
    subprocess.run([*foreign, "-t", f"{PREFIX}/device/x/config", "-m", "{}"], check=True)
    with Listener(mosquitto, run_dir / "heard", under=PREFIX) as heard:
        assert ctl(gateway, "discovery").stdout == "announced 1 topics\n"
        gateway.paths.state_file("announced.json").unlink()
        answer = ctl(gateway, "forget")
        assert answer.returncode == 0, answer.stderr
        assert f"withdrawn: {PREFIX}/{DEVICE}" in answer.stdout
        assert heard.payloads(DEVICE)[-1] == ""
        assert heard.payloads("device/x/config") == ["{}"]


def test_forget_uses_what_was_remembered_and_says_what_a_running_gateway_does(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    gateway = gateway_of(run_dir, mosquitto.port)
    answer = ctl(gateway, "forget")
    assert "1 topics withdrawn" in answer.stdout
    assert "announces again" in answer.stderr
    left = json.loads(gateway.paths.state_file("announced.json").read_text())
    assert left["announced"] == {}
    assert left["battery"]["serial_number"] == SERIAL


def test_nothing_retained_is_left_of_a_battery_that_is_taken_away(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    """Screens showed the last words about a battery for ever after it had been removed."""
    foreign = ["mosquitto_pub", "-h", mosquitto.host, "-p", str(mosquitto.port), "-r"]
    for topic in (f"{ROOT}/note", "victron/other/status"):
        subprocess.run([*foreign, "-t", topic, "-m", "mine"], check=True)
    with MqttStack(run_dir, mosquitto.port) as stack:
        stack.start()
        with Listener(mosquitto, run_dir / "seen", under=PREFIX) as seen:
            stack.feed_until(lambda: bool(seen.of(DEVICE)))
        answer = ctl(stack.gateway, "forget")
        assert f"stop it to withdraw what it retains below {ROOT}" in answer.stderr
        assert f"withdrawn: {PREFIX}/{DEVICE}" in answer.stdout
        with Listener(mosquitto, run_dir / "running", under=ROOT) as running:
            # The live `true` comes after everything that is retained.
            stack.feed_until(lambda: not all(one.retained for one in running.all()))
            kept = {message.topic for message in running.all() if message.retained}
            assert kept == {*RETAINED, "note"}
        stack.gateway.stop("mqtt_out")
        answer = ctl(stack.gateway, "forget")
        assert answer.returncode == 0, answer.stderr
        for topic in RETAINED:
            assert f"withdrawn: {ROOT}/{topic}" in answer.stdout
    with Listener(mosquitto, run_dir / "late", under="victron") as late:
        subprocess.run([*foreign, "-t", "victron/last", "-m", "x"], check=True)
        wait_until(lambda: bool(late.of("last")), 10, "the last retained message")
        assert {message.topic for message in late.all()} == {
            *("tinybms/note", "other/status", "last"),
        }


def test_without_a_broker_the_reason_is_one_line(run_dir: Path) -> None:
    gateway = gateway_of(run_dir, free_port())
    for command in ("forget", "discovery"):
        answer = ctl(gateway, command)
        assert answer.returncode == 1
        assert "connection refused" in answer.stderr
        assert "tinybms-ctl mqtt test" in answer.stderr
        assert "Traceback" not in answer.stderr


def test_a_running_gateway_keeps_its_connection(run_dir: Path, mosquitto: Mosquitto) -> None:
    with MqttStack(run_dir, mosquitto.port) as stack:
        stack.start()
        stack.feed_until(stack.online)
        for command in (("test",), ("discovery", "--dry-run"), ("discovery",)):
            stack.feed(0.3)
            answer = ctl(stack.gateway, *command)
            assert answer.returncode == 0, answer.stdout + answer.stderr
        stack.feed(0.5)
        status = stack.status()
        assert status is not None
        assert (status.connected, status.reconnects) == (True, 0)
