"""Home Assistant itself, unmodified, with the battery by MQTT; run by make test-homeassistant."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from harness_mosquitto import Mosquitto
from harness_mqtt import MqttStack
from tinybms_config.model import Can, Config, Mqtt
from tinybms_mqtt_out.discovery import Battery, Discovery

SERIAL = "0123456789abcdef01234567"
DRIVER = Path(__file__).with_name("home_assistant_driver.py")
QUICK_AGEING = {
    "frozen_after_s": 1.0,
    "stale_after_s": 2.0,
    "alarm_after_s": 3.0,
    "lost_after_s": 15.0,
}
START_S = 60.0
SEEN_S = 20.0
CUT_BY_THE_TEST = ("MQTT server", "[paho.mqtt.client]")
SLOW = ("stat_", "setting_", "charge_cycles", "low_voltage_alarms", "high_voltage_alarms")
"""Read from registers that the test does not publish."""


class HomeAssistant:
    """A running one; `states` is what it shows."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        python = os.environ["TINYBMS_HOMEASSISTANT_PYTHON"]
        self._folder = folder / "homeassistant"
        self._folder.mkdir()
        self.log_file = self._folder / "log"
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [python, str(DRIVER), str(self._folder), broker.host, str(broker.port)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()

    @property
    def states(self) -> dict[str, dict[str, Any]]:
        """State and attributes by the key of the entity."""
        registry, states = self._read("registry.json"), self._read("states.json")
        prefix = f"tinybms_{SERIAL}_"
        return {
            unique_id.removeprefix(prefix): states[entity_id]
            for unique_id, entity_id in registry.items()
            if unique_id.startswith(prefix) and entity_id in states
        }

    @property
    def entities(self) -> set[str]:
        """Keys of all entities, those that are switched off too."""
        return {
            unique_id.removeprefix(f"tinybms_{SERIAL}_")
            for unique_id in self._read("registry.json")
        }

    def complaints(self) -> list[str]:
        """Warnings and errors that name MQTT, but for the connection that the test itself cuts."""
        lines = self.log_file.read_text(encoding="utf-8").splitlines()
        return [
            line
            for line in lines
            if ("WARNING" in line or "ERROR" in line)
            and "mqtt" in line.lower()
            and not any(word in line for word in CUT_BY_THE_TEST)
        ]

    def _read(self, name: str) -> dict[str, Any]:
        file = self._folder / name
        read: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return read


def expected() -> set[str]:
    config = Config(mqtt=Mqtt(), can=Can(enabled=False))
    battery = Battery(serial_number=SERIAL, cell_count=16)
    return set(Discovery(config, "victron/tinybms", version="1").entities(battery))


@pytest.mark.homeassistant
@pytest.mark.timeout(240)
def test_every_entity_is_made_and_tells_the_truth(run_dir: Path, mosquitto: Mosquitto) -> None:
    with (
        MqttStack(
            run_dir, mosquitto.port, {"discovery_form": "entities"}, ageing=QUICK_AGEING
        ) as stack,
        HomeAssistant(run_dir, mosquitto) as assistant,
    ):

        def shows(key: str, state: str) -> Callable[[], bool]:
            return lambda: assistant.states.get(key, {}).get("state") == state

        gateway = stack.start()
        stack.feed_until(shows("soc_percent", "63.26"), timeout_s=START_S)
        stack.feed_until(lambda: assistant.entities == expected(), timeout_s=SEEN_S)
        states = assistant.states
        for key, state in {
            "battery_voltage": "52.7",
            "battery_state": "discharging",
            "charged_energy_kwh": "123.4",
            "cell_voltage_16": "3.305",
            "alarm_low_soc": "off",
            "balancing": "off",
            "gateway_data": "fresh",
            "limit_reason_charge": "unknown",
            "time_to_go": "unknown",
        }.items():
            assert states[key]["state"] == state, key
        assert states["charged_energy_kwh"]["state_class"] == "total_increasing"
        gone = [key for key, one in states.items() if one["state"] == "unavailable"]
        assert all(key.startswith(SLOW) for key in gone)

        stack.wait_until(shows("soc_percent", "unavailable"), timeout_s=40.0)
        assert assistant.states["alarm_bms_cable"]["state"] == "on"
        assert assistant.states["gateway_data"]["state"] == "lost"

        stack.feed_until(shows("soc_percent", "63.26"), timeout_s=SEEN_S)
        gateway.kill()
        gateway.wait(10)
        stack.wait_until(shows("alarm_bms_cable", "unavailable"))
        stack.start()
        stack.feed_until(shows("soc_percent", "63.26"), timeout_s=SEEN_S)

        mosquitto.stop()
        stack.wait_until(shows("soc_percent", "unavailable"))
        mosquitto.start()
        stack.feed_until(shows("soc_percent", "63.26"), timeout_s=60.0)
        complaints = assistant.complaints()
        assert complaints == [], "\n".join(complaints)
