"""Judges a discovery message as Home Assistant's MQTT, sensor and binary sensor code would.

Home Assistant drops a whole device for some mistakes and takes unknown keys of a component
silently, so that only a list of ours finds a typo.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

SENSOR_CLASSES: dict[str, tuple[set[str | None], set[str | None]]] = {
    # class: (units, state classes)
    "battery": ({"%"}, {"measurement", None}),
    "current": ({"A", "mA"}, {"measurement", None}),
    "duration": ({"s", "min", "h", "d", "ms"}, {"measurement", "total", "total_increasing", None}),
    "energy": ({"Wh", "kWh", "MWh", "J", "MJ", "GJ"}, {"total", "total_increasing", None}),
    "energy_storage": ({"Wh", "kWh", "MWh"}, {"measurement", None}),
    "enum": ({None}, {None}),
    "power": ({"W", "kW"}, {"measurement", None}),
    "temperature": ({"°C", "°F", "K"}, {"measurement", None}),
    "timestamp": ({None}, {None}),
    "voltage": ({"V", "mV"}, {"measurement", None}),
}
STATE_CLASSES = {None, "measurement", "total", "total_increasing"}
BINARY_CLASSES = {"battery_charging", "connectivity", "problem", "running"}

AVAILABILITY_KEYS = {"availability", "availability_mode"}
COMPONENT_KEYS = AVAILABILITY_KEYS | {
    "default_entity_id",
    "device_class",
    "enabled_by_default",
    "entity_category",
    "expire_after",
    "json_attributes_template",
    "json_attributes_topic",
    "name",
    "qos",
    "state_topic",
    "unique_id",
    "value_template",
}
SENSOR_KEYS = COMPONENT_KEYS | {
    "options",
    "state_class",
    "suggested_display_precision",
    "unit_of_measurement",
}
BINARY_KEYS = COMPONENT_KEYS | {"payload_on", "payload_off"}
DEVICE_KEYS = {
    "identifiers",
    "name",
    "manufacturer",
    "model",
    "serial_number",
    "sw_version",
    "hw_version",
}
ORIGIN_KEYS = {"name", "sw_version", "support_url"}
TOPIC = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")


def lint(topic: str, body: dict[str, Any]) -> list[str]:
    """Everything that is wrong with the discovery message `body` on `topic`."""
    return list(_message(topic, body))


def _message(topic: str, body: dict[str, Any]) -> Iterator[str]:
    if not re.fullmatch(r".+/(device|sensor|binary_sensor)(/[A-Za-z0-9_-]+){1,2}/config", topic):
        yield f"illegal discovery topic {topic}"
    device = body.get("device", {})
    yield from _device(device, body.get("origin", {}))
    yield from _availability(body)
    if "components" not in body:
        shared = {"device", "origin"}
        one = {key: value for key, value in body.items() if key not in shared}
        yield from _component(topic.split("/")[-4], one, device)
        return
    yield from _unknown("the root", body, AVAILABILITY_KEYS | {"device", "origin", "components"})
    ids: set[str] = set()
    for key, component in body["components"].items():
        if not re.fullmatch(r"[A-Za-z0-9_-]+", key):
            yield f"illegal key {key!r}"
        if component.get("unique_id") in ids:
            yield f"unique_id of {key} is there twice"
        ids.add(component.get("unique_id"))
        platform = component.get("platform")
        rest = {name: value for name, value in component.items() if name != "platform"}
        for finding in _component(platform, rest, device):
            yield f"{key}: {finding}"


def _device(device: dict[str, Any], origin: dict[str, Any]) -> Iterator[str]:
    if not device.get("identifiers"):
        yield "device without identifiers"
    if not origin.get("name"):
        yield "origin without name"
    yield from _unknown("device", device, DEVICE_KEYS)
    yield from _unknown("origin", origin, ORIGIN_KEYS)
    for key, value in {**device, **origin}.items():
        if not isinstance(value, str if key != "identifiers" else list):
            yield f"{key} = {value!r} has a wrong type"


def _availability(body: dict[str, Any]) -> Iterator[str]:
    if body.get("availability_mode") != "all":
        yield "availability_mode is not all"
    rows = body.get("availability", [])
    if not rows:
        yield "no availability"
    for row in rows:
        yield from _unknown(
            "availability",
            row,
            {"topic", "payload_available", "payload_not_available", "value_template"},
        )
        if not TOPIC.fullmatch(row.get("topic", "")):
            yield f"bad availability topic {row.get('topic')!r}"


def _component(platform: object, one: dict[str, Any], device: dict[str, Any]) -> Iterator[str]:
    if platform not in {"sensor", "binary_sensor"}:
        yield f"unknown platform {platform!r}"
        return
    yield from _unknown("it", one, SENSOR_KEYS if platform == "sensor" else BINARY_KEYS)
    yield from _common(one, device)
    if "availability" in one:
        yield from _availability(one)
    if not re.fullmatch(rf"{platform}\.[a-z0-9_]+", one.get("default_entity_id", "")):
        yield f"bad default_entity_id {one.get('default_entity_id')!r}"
    yield from _templates(one)
    yield from _sensor(one) if platform == "sensor" else _binary_sensor(one)


def _common(one: dict[str, Any], device: dict[str, Any]) -> Iterator[str]:
    if any(value is None for value in one.values()):
        yield "a key is null"
    for key in ("unique_id", "state_topic", "name"):
        if not one.get(key):
            yield f"no {key}"
    if "object_id" in one:
        yield "object_id is out of use"
    if str(one.get("name", "")).lower().startswith(str(device.get("name", "")).lower()):
        yield "the name repeats that of the device"
    if one.get("entity_category") not in {None, "diagnostic"}:  # config is for what can be set
        yield f"bad entity_category {one['entity_category']!r}"
    if not isinstance(one.get("expire_after", 1), int) or one.get("expire_after", 1) <= 0:
        yield f"bad expire_after {one['expire_after']!r}"


def _templates(one: dict[str, Any]) -> Iterator[str]:
    for key in ("value_template", "json_attributes_template"):
        text = one.get(key, "{{ }}")
        if text.count("{{") != 1 or text.count("}}") < 1 or not text.endswith("}}"):
            yield f"bad {key} {text!r}"
    if "json_attributes_template" in one and "json_attributes_topic" not in one:
        yield "attributes without topic"


def _sensor(one: dict[str, Any]) -> Iterator[str]:
    kind, unit, state_class = (
        one.get("device_class"),
        one.get("unit_of_measurement"),
        one.get("state_class"),
    )
    if state_class not in STATE_CLASSES:
        yield f"unknown state_class {state_class!r}"
    if kind is not None:
        if kind not in SENSOR_CLASSES:
            yield f"unknown device_class {kind!r}"
            return
        units, state_classes = SENSOR_CLASSES[kind]
        if unit not in units:
            yield f"unit {unit!r} does not go with {kind}"
        if state_class not in state_classes:
            yield f"state_class {state_class!r} does not go with {kind}"
    numeric = kind or unit or state_class or "suggested_display_precision" in one
    template = one.get("value_template", "")
    if not numeric and "unknown" not in template:
        yield "text without a value would be shown as None"
    if numeric and kind != "enum" and "unknown" in template:
        yield "a numeric sensor refuses the word unknown"
    if (kind == "enum") != ("options" in one):
        yield "options and the class enum go together"
    if kind == "enum" and (not one["options"] or "suggested_display_precision" in one):
        yield "an enum needs options and has no precision"


def _binary_sensor(one: dict[str, Any]) -> Iterator[str]:
    if one.get("device_class") not in BINARY_CLASSES:
        yield f"unknown device_class {one.get('device_class')!r}"


def _unknown(where: str, body: dict[str, Any], known: set[str]) -> Iterator[str]:
    for key in body:
        if key not in known:
            yield f"unknown key {key!r} in {where}"
