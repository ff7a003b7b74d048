"""Node-RED with the flow that is shipped; run by make test-node-red."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness_mosquitto import Mosquitto
from harness_mqtt import MqttStack
from harness_net import LOOPBACK, free_port

FLOW = Path(__file__).parents[2] / "deploy" / "node-red" / "battery.json"
QUICK_AGEING = {
    "frozen_after_s": 1.0,
    "stale_after_s": 2.0,
    "alarm_after_s": 3.0,
    "lost_after_s": 15.0,
}


@contextmanager
def node_red(folder: Path, broker: Mosquitto) -> Iterator[int]:
    """A running one with the shipped flow, its broker changed; its HTTP port."""
    flow = json.loads(FLOW.read_text(encoding="utf-8"))
    for node in flow:
        if node["type"] == "mqtt-broker":
            node |= {"broker": broker.host, "port": str(broker.port)}
    (folder / "flow.json").write_text(json.dumps(flow), encoding="utf-8")
    settings = f'module.exports = {{uiHost: "{LOOPBACK}", telemetry: {{enabled: false}}}};\n'
    (folder / "settings.js").write_text(settings, encoding="utf-8")
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(os.environ["TINYBMS_NODE_RED"], "--userDir", str(folder), "--port", str(port)),
                *("--settings", str(folder / "settings.js"), "flow.json"),
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


def battery(port: int) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/battery", timeout=2) as answer:
            body: dict[str, Any] = json.load(answer)
            return body
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return {}


def test_the_flow_reads_topics_that_exist() -> None:
    nodes = json.loads(FLOW.read_text(encoding="utf-8"))
    topics = {node["topic"] for node in nodes if node["type"] == "mqtt in"}
    assert topics == {"victron/tinybms/+", "victron/tinybms/status/+"}
    ids = {node["id"] for node in nodes}
    wires = {wire for node in nodes for output in node.get("wires", []) for wire in output}
    assert wires <= ids


@pytest.mark.nodered
@pytest.mark.timeout(120)
def test_node_red_shows_values_and_none_when_the_battery_is_lost(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    folder = run_dir / "node-red"
    folder.mkdir()
    with (
        MqttStack(run_dir, mosquitto.port, ageing=QUICK_AGEING) as stack,
        node_red(folder, mosquitto) as port,
    ):
        stack.start()
        stack.feed_until(lambda: "battery_voltage" in battery(port).get("values", {}), timeout_s=40)
        shown = battery(port)
        assert shown["usable"] is True
        assert shown["values"]["battery_voltage"]["value"] == 52.7
        assert shown["values"]["battery_voltage"]["unit"] == "V"
        assert "status" not in shown["values"]
        stack.wait_until(lambda: battery(port).get("data") == "lost", 40.0)
        assert battery(port) == {"usable": False, "data": "lost", "values": {}}
        stack.feed_until(lambda: battery(port).get("usable") is True)
