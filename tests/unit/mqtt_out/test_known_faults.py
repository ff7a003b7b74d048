"""Faults that other bridges between a BMS, MQTT and Home Assistant had, and that this one has not.

Each test is named after the fault. What needs a real broker is tested with processes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest

from fake_clock import FakeClock
from fake_live import fake_live, fake_sample
from harness_ha_lint import lint
from tinybms_charge.parameters import charge_parameters
from tinybms_config.model import Config, Mqtt
from tinybms_config.parse import parse
from tinybms_config.problems import ConfigError
from tinybms_messages.header import Header
from tinybms_messages.registers import RegisterValue, RegisterValues
from tinybms_mqtt_out.discovery import Battery, Discovery
from tinybms_mqtt_out.feed import Feed
from tinybms_mqtt_out.publication import Publication
from tinybms_mqtt_out.values import Values

BATTERY = Battery(serial_number="0123456789abcdef01234567", cell_count=16)
CELL_10_RAW = 33385
CELL_10 = RegisterValue(key="cell_voltage_10", address=9, raw=CELL_10_RAW, value=3.3385)
CYCLES = RegisterValue(key="full_charge_count", address=112, raw=77, value=77)


class Gateway:
    """A feed on a clock of its own; remembers what it offered, with the time."""

    def __init__(self, mqtt: Mqtt) -> None:
        self.clock = FakeClock()
        self.offered: list[tuple[float, Publication]] = []
        self._seq = 0
        self.feed = Feed(
            values=Values(mqtt, "root"),
            parameters=charge_parameters(Config()),
            kernel_boot_id=self.clock.kernel_boot_id,
            offer=lambda one: self.offered.append((self.clock.boottime_ns() / 1e9, one)),
        )

    def cycle(self, *registers: RegisterValue, **sample: object) -> None:
        self._seq += 1
        now_ns = self.clock.boottime_ns()
        header = Header(
            source="acquisition",
            boot="a" * 16,
            seq=self._seq,
            wall_ns=self.clock.wall_ns(),
            boottime_ns=now_ns,
            kernel_boot_id=self.clock.kernel_boot_id,
            time_ok=True,
        )
        read = fake_sample(**{"seq": self._seq, "boottime_ns": now_ns, **sample})
        self.feed.live(header, fake_live(sample=read), now_ns)
        values = RegisterValues(live_seq=self._seq, wall_ns=1, values=registers)
        self.feed.registers(header, values, now_ns)
        self.feed.tick(now_ns)


def components(mqtt: Mqtt) -> dict[str, dict[str, Any]]:
    discovery = Discovery(Config(mqtt=mqtt), "root", version="1")
    (document,) = discovery.documents(BATTERY).values()
    found: dict[str, dict[str, Any]] = json.loads(document.payload)["components"]
    return found


@pytest.mark.parametrize(("max_silence_s", "poll_s"), [(10.0, 0.5), (1.0, 2.0), (30.0, 1.0)])
def test_entities_of_a_constant_battery_do_not_flap(max_silence_s: float, poll_s: float) -> None:
    """Expiry shorter than change-suppressed publishing made them unavailable now and then."""
    mqtt = Mqtt(max_silence_s=max_silence_s)
    gateway = Gateway(mqtt)
    cycles = int(600 / poll_s)
    for number in range(cycles):
        slow = number % int(60 / poll_s) == 0
        gateway.cycle(*([CYCLES] if slow else []))
        gateway.clock.advance(poll_s)
    times: dict[str, list[float]] = defaultdict(list)
    for at_s, publication in gateway.offered:
        times[publication.topic.removeprefix("root/")].append(at_s)
    end_s = gateway.clock.boottime_ns() / 1e9
    judged = 0
    for key, one in components(mqtt).items():
        heard = times.get(key)
        if heard is None or "expire_after" not in one:
            continue
        gaps = [after - before for before, after in zip(heard, [*heard[1:], end_s], strict=True)]
        assert max(gaps) < one["expire_after"] / 2, key
        judged += 1
    assert judged > 50


def test_a_cell_keeps_the_full_resolution_of_the_bms() -> None:
    """Rounding, or integer division before the conversion, gave 3.34 or exactly 3 V."""
    gateway = Gateway(Mqtt())
    cells = [3.3] * 16
    cells[6] = CELL_10_RAW / 10_000
    gateway.cycle(CELL_10, cell_voltages_v=tuple(cells))
    payloads = [one.payload for _at, one in gateway.offered if one.topic == "root/cell_voltage_07"]
    assert json.loads(payloads[0])["value"] == 3.3385


def test_no_message_holds_a_word_that_strict_json_does_not_know() -> None:
    """One NaN made every entity on its topic fail."""
    gateway = Gateway(Mqtt())
    for bad in (float("nan"), float("inf"), float("-inf")):
        gateway.cycle(pack_voltage_v=bad, pack_current_a=bad, battery_temperature_c=bad)
        gateway.clock.advance(15.0)

    def refuse(word: str) -> None:
        raise AssertionError(word)

    for _at, publication in gateway.offered:
        json.loads(publication.payload, parse_constant=refuse)
    assert gateway.offered


def test_live_values_are_never_retained() -> None:
    """A retained value was replayed at start and the battery discharged at full power."""
    gateway = Gateway(Mqtt())
    gateway.cycle(CYCLES)
    assert gateway.offered
    assert not any(publication.retain for _at, publication in gateway.offered)


@pytest.mark.parametrize("prefix", ["home assistant", "ha/+", "ha/#", "/ha", "ha/", "hä"])
def test_a_discovery_prefix_that_nobody_would_hear_is_refused(prefix: str) -> None:
    """Spaces, slashes and accents made illegal discovery topics, and entities were missing."""
    with pytest.raises(ConfigError) as caught:
        parse(f'[mqtt]\ndiscovery_prefix = "{prefix}"\n', {})
    assert "mqtt.discovery_prefix" in str(caught.value)


@pytest.mark.parametrize("form", ["device", "entities"])
def test_every_battery_is_one_device(form: str) -> None:
    """Loose entities without a device could not be told apart."""
    config = parse(f'[mqtt]\ndiscovery_form = "{form}"\n', {}).config
    documents = Discovery(config, "root", version="1").documents(BATTERY)
    bodies = [json.loads(one.payload) for one in documents.values()]
    assert {tuple(body["device"]["identifiers"]) for body in bodies} == {
        ("tinybms_0123456789abcdef01234567",)
    }
    for topic, body in zip(documents, bodies, strict=True):
        assert lint(topic, body) == []
        assert "object_id" not in json.dumps(body).replace("default_entity_id", "")
