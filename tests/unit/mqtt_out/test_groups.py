"""Groups that are switched off, old names, and a second gateway below the same root."""

from __future__ import annotations

import json

from tinybms_config.model import Mqtt, MqttGroups
from tinybms_mqtt_out.events import Received
from tinybms_mqtt_out.manifest import manifest
from tinybms_mqtt_out.rivals import RivalWatch
from tinybms_mqtt_out.topics import value_topics
from tinybms_mqtt_out.values import Values


def suffixes(**groups: bool) -> set[str]:
    values = Values(Mqtt(groups=MqttGroups(**groups)), "root")
    values.set_cell_count(16)
    entries = json.loads(manifest(values.topics, root="root", qos_of=lambda _topic: 0))
    return {entry["key"] for entry in entries}


def test_each_group_is_switched_off_by_itself() -> None:
    every = suffixes()
    for group, start in (("cells", "cell_voltage_"), ("statistics", "stat_"), ("settings", "set")):
        gone = every - suffixes(**{group: False})
        assert gone == {suffix for suffix in every if suffix.startswith(start)}, group
        assert gone


def test_what_a_gx_has_a_register_for_stays_without_the_groups() -> None:
    left = suffixes(cells=False, statistics=False, settings=False)
    assert {"min_cell_voltage", "max_cell_voltage", "charge_cycles", "low_voltage_alarms"} <= left


def test_the_old_names_stay_with_the_settings_off() -> None:
    off = MqttGroups(settings=False)
    names = {topic.suffix for topic in value_topics(0, legacy=True, groups=off)}
    assert {"overvoltage_cutoff_mv", "battery_pack_voltage"} <= names


def test_a_rival_is_told_once_and_our_own_echo_never() -> None:
    watch = RivalWatch("root/manifest")
    watch.said(b"[1]")
    watch.said(b"[2]")
    for payload, retained in ((b"[1]", False), (b"[2]", False), (b"[3]", True), (b"", False)):
        assert not watch.is_news(Received("root/manifest", payload, retained))
    assert not watch.is_news(Received("root/other", b"[3]", retained=False))
    assert watch.is_news(Received("root/manifest", b"[3]", retained=False))
    assert not watch.is_news(Received("root/manifest", b"[4]", retained=False))
