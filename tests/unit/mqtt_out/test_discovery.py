"""Every discovery message is one that Home Assistant takes, and says what the values are."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from harness_ha_lint import lint
from tinybms_config.model import Can, Config, Gateway, Mqtt, MqttGroups
from tinybms_mqtt_out.discovery import Battery, Discovery, searched
from tinybms_mqtt_out.entity_table import NOT_ANNOUNCED, entity_of
from tinybms_mqtt_out.topics import value_topics

SERIAL = "0123456789abcdef01234567"
BATTERY = Battery(serial_number=SERIAL, firmware=243, hardware="2.1", cell_count=16)
DEVICE_TOPIC = f"homeassistant/device/tinybms_{SERIAL}/config"


def discovery(config: Config | None = None, root: str = "victron/tinybms") -> Discovery:
    return Discovery(config or Config(), root, version="1.0.0")


def bodies(config: Config | None = None, battery: Battery = BATTERY) -> dict[str, dict[str, Any]]:
    documents = discovery(config).documents(battery)
    return {topic: json.loads(one.payload) for topic, one in documents.items()}


def components(config: Config | None = None, battery: Battery = BATTERY) -> dict[str, Any]:
    (body,) = bodies(config, battery).values()
    found: dict[str, Any] = body["components"]
    return found


CONFIGS = [
    Config(mqtt=Mqtt(discovery_form=form, groups=groups), can=Can(enabled=can))
    for form in ("device", "entities")
    for groups in (MqttGroups(), MqttGroups(cells=False, statistics=False, settings=False))
    for can in (True, False)
]


@pytest.mark.parametrize("cells", [0, 4, 16])
@pytest.mark.parametrize("config", CONFIGS)
def test_home_assistant_would_find_nothing_wrong(config: Config, cells: int) -> None:
    battery = Battery(serial_number=SERIAL, cell_count=cells)
    for topic, body in bodies(config, battery).items():
        assert lint(topic, body) == [], topic


@pytest.mark.parametrize(
    ("key", "change", "finding"),
    [
        ("charged_energy_kwh", {"state_class": "measurement"}, "does not go with energy"),
        ("consumed_ah", {"device_class": "energy"}, "does not go with energy"),
        ("soc_percent", {"unit_of_measurement": "kWh"}, "does not go with battery"),
        ("battery_voltage", {"device_class": "volts"}, "unknown device_class"),
        ("battery_voltage", {"object_id": "x"}, "object_id"),
        ("battery_voltage", {"unique_id": None}, "no unique_id"),
        ("battery_voltage", {"platform": "valve"}, "unknown platform"),
        ("battery_voltage", {"device_klass": "voltage"}, "unknown key"),
        ("battery_voltage", {"name": "TinyBMS pack1 Voltage"}, "repeats"),
        ("battery_voltage", {"unique_id": f"tinybms_{SERIAL}_battery_current"}, "twice"),
        ("battery_state", {"options": []}, "enum"),
        ("alarm_low_soc", {"device_class": "voltage"}, "unknown device_class"),
    ],
)
def test_the_linter_finds_the_mistakes_that_others_made(
    key: str, change: dict[str, Any], finding: str
) -> None:
    body = copy.deepcopy(bodies()[DEVICE_TOPIC])
    body["components"][key] |= change
    assert any(finding in found for found in lint(DEVICE_TOPIC, body))


def test_every_value_topic_is_announced_or_named_as_not_announced() -> None:
    found = components()
    for topic in value_topics(16, legacy=False):
        assert (topic.suffix in found) is (topic.suffix not in NOT_ANNOUNCED), topic.suffix
        assert (entity_of(topic) is None) is (topic.suffix in NOT_ANNOUNCED)


def test_one_message_makes_one_device() -> None:
    assert list(bodies()) == [DEVICE_TOPIC]
    body = bodies()[DEVICE_TOPIC]
    assert body["device"]["identifiers"] == [f"tinybms_{SERIAL}"]
    assert body["device"]["serial_number"] == SERIAL
    assert body["device"]["sw_version"] == "2.3.243"
    assert body["origin"] == {"name": "tinybms-gateway", "sw_version": "1.0.0"}
    assert len(json.dumps(body)) < 100_000


def test_the_fallback_has_a_topic_for_each_entity_and_the_same_entities() -> None:
    single = bodies(Config(mqtt=Mqtt(discovery_form="entities")))
    ids = {body["unique_id"] for body in single.values()}
    assert ids == {one["unique_id"] for one in components().values()}
    assert f"homeassistant/sensor/tinybms_{SERIAL}/battery_voltage/config" in single
    assert f"homeassistant/binary_sensor/tinybms_{SERIAL}/alarm_low_soc/config" in single
    assert all("platform" not in body for body in single.values())


def test_ids_follow_the_serial_number_and_nothing_else() -> None:
    other = Config(gateway=Gateway(device="elsewhere"), mqtt=Mqtt(host="other", client_id="other"))
    one, two = components(), components(other)
    assert {key: body["unique_id"] for key, body in one.items()} == {
        key: body["unique_id"] for key, body in two.items()
    }


def test_a_blank_serial_number_does_not_join_two_batteries() -> None:
    blank = Battery(serial_number="0" * 24)
    nodes = {
        discovery(Config(gateway=Gateway(device=name))).node(blank) for name in ("left", "right")
    }
    assert nodes == {"tinybms_left", "tinybms_right"}


def test_any_name_is_kept_for_people_and_stays_out_of_topics() -> None:
    name = "Cabin/Nord é #1+"
    config = Config(mqtt=Mqtt(discovery_name=name))
    (topic, body), *_rest = bodies(config).items()
    assert body["device"]["name"] == name
    assert re.fullmatch(r"[A-Za-z0-9_/-]+", topic)
    for one in body["components"].values():
        assert re.fullmatch(r"[A-Za-z0-9_/-]+", one["state_topic"])
        assert re.fullmatch(r"[A-Za-z0-9_]+", one["unique_id"])


def test_a_value_needs_both_the_process_and_its_data() -> None:
    rows = bodies()[DEVICE_TOPIC]["availability"]
    assert [row["topic"] for row in rows] == [
        "victron/tinybms/status/connected",
        "victron/tinybms/status/data",
    ]
    assert (rows[0]["payload_available"], rows[0]["payload_not_available"]) == ("true", "false")
    assert rows[1]["value_template"] == (
        "{{ 'online' if value in ['fresh', 'stale'] else 'offline' }}"
    )


def test_the_alarm_of_lost_data_stays_available_when_they_are_lost() -> None:
    found = components()
    (row,) = found["alarm_bms_cable"]["availability"]
    assert row["topic"].endswith("/status/connected")
    assert "availability" not in found["alarm_low_soc"]


def test_an_entity_expires_only_after_three_silences() -> None:
    for silence_s in (1.0, 10.0, 300.0):
        found = components(Config(mqtt=Mqtt(max_silence_s=silence_s)))
        for key, one in found.items():
            expiry_s = one.get("expire_after")
            if expiry_s is not None:
                assert expiry_s >= 3 * silence_s, key
    found = components()
    assert found["battery_voltage"]["expire_after"] == 36
    assert found["charge_cycles"]["expire_after"] == 180
    assert found["setting_over_voltage_cutoff"]["expire_after"] == 3 * 3600


def test_what_is_retained_does_not_expire() -> None:
    retained = {"victron/tinybms/status", "victron/tinybms/status/data"}
    seen = [one for one in components().values() if one["state_topic"] in retained]
    assert seen
    assert not any("expire_after" in one for one in seen)


def test_classes_feed_the_energy_dashboard() -> None:
    found = components()
    for key in ("charged_energy_kwh", "discharged_energy_kwh"):
        assert found[key]["device_class"] == "energy"
        assert found[key]["state_class"] == "total_increasing"
        assert found[key]["unit_of_measurement"] == "kWh"
    batteries = [key for key, one in found.items() if one.get("device_class") == "battery"]
    assert batteries == ["soc_percent"]
    assert "device_class" not in found["consumed_ah"]


def test_alarms_are_problems_with_their_level_and_words() -> None:
    alarm = components()["alarm_high_voltage"]
    assert alarm["platform"] == "binary_sensor"
    assert alarm["device_class"] == "problem"
    assert "alarm_level" in alarm["json_attributes_template"]
    assert alarm["qos"] == 1


def test_groups_that_are_off_are_not_announced() -> None:
    off = MqttGroups(cells=False, statistics=False, settings=False)
    found = components(Config(mqtt=Mqtt(groups=off)))
    assert not [key for key in found if key.startswith(("cell_voltage_", "stat_", "setting_"))]
    assert "min_cell_voltage" in found


def test_settings_and_statistics_are_there_but_switched_off() -> None:
    for key, one in components().items():
        if key.startswith(("stat_", "setting_")):
            assert one["enabled_by_default"] is False
            assert one["entity_category"] == "diagnostic"


def test_the_gx_is_announced_only_with_can() -> None:
    assert "gx_connected" in components(Config(can=Can(enabled=True)))
    assert "gx_connected" not in components(Config(can=Can(enabled=False)))


def test_only_messages_of_a_gateway_with_our_root_are_ours() -> None:
    ours, other = discovery(), discovery(root="fleet/other")
    (document,) = ours.documents(BATTERY).values()
    assert ours.is_ours(document.payload)
    assert not other.is_ours(document.payload)
    foreign = [b"", b"{", b"[]", b"{}", b'{"origin":{"name":"zigbee2mqtt"},"availability":[]}']
    assert not any(ours.is_ours(payload) for payload in foreign)


def test_filters_match_whole_levels() -> None:
    filters = discovery().searches(BATTERY)
    assert searched(DEVICE_TOPIC, filters)
    assert searched(f"homeassistant/sensor/tinybms_{SERIAL}/x/config", filters)
    assert not searched("homeassistant/sensor/tinybms_other/x/config", filters)
    assert not searched("homeassistant/device/a/b/config", filters)
