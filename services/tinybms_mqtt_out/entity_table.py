"""The one table of Home Assistant entities: names, classes, categories of every value topic.

Which class goes with which unit and state class: Home Assistant, sensor, device classes.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from tinybms_mqtt_out.entity import ON_IF_POSITIVE, TEXT, VALUE, Entity, Follows, Platform
from tinybms_mqtt_out.model import Group, ValueTopic
from tinybms_protocol.status import OnlineStatus

_voltage = partial(Entity, device_class="voltage", state_class="measurement", precision=2)
_cell_voltage = partial(Entity, device_class="voltage", state_class="measurement", precision=3)
_current = partial(Entity, device_class="current", state_class="measurement", precision=1)
_temperature = partial(Entity, device_class="temperature", state_class="measurement", precision=1)
_energy = partial(Entity, device_class="energy", state_class="total_increasing", precision=2)
_count = partial(Entity, state_class="total_increasing", precision=0, unitless=True)
# No class of Home Assistant takes Ah.
_charge = partial(Entity, state_class="measurement", precision=1)
_text = partial(Entity, diagnostic=True, template=TEXT)

_STATE: Final = "{{ {1: 'charging', 2: 'discharging'}.get(value_json.value, 'idle') }}"
_REASON: Final = "{{ {'reason_text': value_json.text | default('')} | tojson }}"
_LEVEL: Final = (
    "{{ {'alarm_level': value_json.value, 'alarm_text': value_json.text | default('')} | tojson }}"
)

NOT_ANNOUNCED: Final = frozenset({"full_discharges"})
"""Topics without a source: nothing would ever be shown."""

_BY_SUFFIX: Final[dict[str, Entity]] = {
    "battery_voltage": _voltage(name="Voltage"),
    "battery_current": _current(name="Current"),
    "battery_power": Entity(
        name="Power", device_class="power", state_class="measurement", precision=0
    ),
    "soc_percent": Entity(
        name="State of charge", device_class="battery", state_class="measurement", precision=1
    ),
    "battery_state": Entity(
        name="State",
        device_class="enum",
        options=("idle", "charging", "discharging"),
        template=_STATE,
    ),
    "time_to_go": Entity(
        name="Time to go", device_class="duration", state_class="measurement", precision=0
    ),
    "battery_temperature": _temperature(name="Temperature"),
    "internal_temperature": _temperature(name="BMS temperature"),
    "external_temperature_1": _temperature(name="Temperature probe 1"),
    "external_temperature_2": _temperature(name="Temperature probe 2"),
    # With the class battery the device would show two batteries.
    "soh_percent": Entity(name="State of health", state_class="measurement", precision=1),
    "capacity_ah": _charge(name="Capacity"),
    "consumed_ah": _charge(name="Consumed charge"),
    "online_status": Entity(
        name="BMS status",
        device_class="enum",
        options=tuple(status.value for status in OnlineStatus),
    ),
    "lifetime_s": Entity(
        name="BMS lifetime", device_class="duration", precision=0, diagnostic=True, enabled=False
    ),
    "charge_voltage_limit": _voltage(name="Charge voltage limit", precision=1),
    "discharge_voltage_limit": _voltage(name="Discharge voltage limit", precision=1),
    "charge_current_limit": _current(name="Charge current limit"),
    "discharge_current_limit": _current(name="Discharge current limit"),
    "system_state": Entity(name="Charge control", template=TEXT),
    "limit_reason_charge": _text(name="Reason of charge limit", attributes=_REASON),
    "limit_reason_discharge": _text(name="Reason of discharge limit", attributes=_REASON),
    "limit_reason_voltage": _text(name="Reason of voltage limit", attributes=_REASON),
    "min_cell_voltage": _cell_voltage(name="Lowest cell voltage"),
    "max_cell_voltage": _cell_voltage(name="Highest cell voltage"),
    "min_cell_id": _text(name="Lowest cell"),
    "max_cell_id": _text(name="Highest cell"),
    "cell_difference": _cell_voltage(name="Cell difference"),
    "balancing": Entity(
        name="Balancing",
        platform=Platform.BINARY_SENSOR,
        device_class="running",
        template=ON_IF_POSITIVE,
    ),
    "balancing_cells": _text(name="Balancing cells"),
    "charged_energy_kwh": _energy(name="Charged energy"),
    "discharged_energy_kwh": _energy(name="Discharged energy"),
    "charge_cycles": _count(name="Charge cycles"),
    "total_ah_drawn": Entity(
        name="Total charge drawn", state_class="total_increasing", precision=1, diagnostic=True
    ),
    "min_voltage_seen": _voltage(name="Lowest voltage seen", diagnostic=True),
    "max_voltage_seen": _voltage(name="Highest voltage seen", diagnostic=True),
    "time_since_full_s": Entity(
        name="Time since full",
        device_class="duration",
        state_class="measurement",
        precision=0,
        diagnostic=True,
    ),
    "low_voltage_alarms": _count(name="Low voltage alarms", diagnostic=True),
    "high_voltage_alarms": _count(name="High voltage alarms", diagnostic=True),
    "min_cell_voltage_seen": _cell_voltage(name="Lowest cell voltage seen", diagnostic=True),
    "max_cell_voltage_seen": _cell_voltage(name="Highest cell voltage seen", diagnostic=True),
}

_CLASS_OF_UNIT: Final = {"V": "voltage", "A": "current", "°C": "temperature", "s": "duration"}
_COUNTED: Final = frozenset({"count", "cells", "cycles", "pulses"})

_from_status = partial(
    Entity, topic="status", follows=Follows.GATEWAY, diagnostic=True, repeated=False
)


def _link_counter(name: str, key: str) -> Entity:
    template = f"{{{{ (value_json.link or {{}}).get('{key}') }}}}"
    return _from_status(name=name, state_class="total_increasing", template=template)


GATEWAY_ENTITIES: Final[dict[str, Entity]] = {
    "gateway_data": Entity(
        name="BMS data",
        device_class="enum",
        options=("fresh", "stale", "lost", "asleep", "unknown"),
        template=None,
        topic="status/data",
        follows=Follows.GATEWAY,
        diagnostic=True,
        repeated=False,
    ),
    "link_state": _from_status(
        name="BMS link", template="{{ (value_json.link or {}).get('state', 'unknown') }}"
    ),
    "link_timeouts": _link_counter("BMS link timeouts", "timeouts"),
    "link_overruns": _link_counter("BMS link overruns", "overruns"),
    "link_reopened": _link_counter("BMS link reopened", "reopened"),
    "link_line_errors": _from_status(
        name="BMS link errors",
        state_class="total_increasing",
        template="{{ ((value_json.link or {}).get('line_errors') or {}).values() | sum }}",
    ),
    "mqtt_reconnects": _from_status(
        name="MQTT reconnects",
        state_class="total_increasing",
        template="{{ value_json.reconnects }}",
    ),
    "mqtt_failed": _from_status(
        name="MQTT messages lost",
        state_class="total_increasing",
        template="{{ value_json.failed_publish_count }}",
    ),
}
"""Entities of the gateway itself; they are there while the battery is silent."""

GX_ENTITY: Final = Entity(
    name="GX heard on CAN",
    platform=Platform.BINARY_SENSOR,
    device_class="connectivity",
    template=None,
    on="true",
    off="false",
    topic="status/victron_keepalive",
    follows=Follows.GATEWAY,
    diagnostic=True,
    repeated=False,
)

CABLE_ALARM: Final = "alarm_bms_cable"


def entity_of(topic: ValueTopic) -> Entity | None:
    """How Home Assistant shows `topic`; None for one that is not announced."""
    if topic.suffix in NOT_ANNOUNCED:
        return None
    if topic.group is Group.ALARM:
        return _alarm(topic)
    if topic.group is Group.STATISTICS:
        return _statistic(topic)
    if topic.group is Group.SETTINGS:
        return _setting(topic)
    if topic.suffix.startswith("cell_voltage_"):
        return _cell_voltage(name=topic.label)
    return _BY_SUFFIX[topic.suffix]


def _alarm(topic: ValueTopic) -> Entity:
    # The loss of the battery's data is this alarm itself: it must not become unavailable with them.
    cable = topic.suffix == CABLE_ALARM
    return Entity(
        name=topic.label.capitalize().replace("soc", "SoC").replace("Bms", "BMS"),
        platform=Platform.BINARY_SENSOR,
        device_class="problem",
        template=ON_IF_POSITIVE,
        attributes=_LEVEL,
        follows=Follows.GATEWAY if cable else Follows.BATTERY,
        repeated=not cable,
    )


def _statistic(topic: ValueTopic) -> Entity:
    shown = _plain(topic, f"Statistic: {topic.label.lower()}")
    counted = topic.unit in _COUNTED or topic.unit == "km"
    return shown(state_class="total_increasing", template=VALUE) if counted else shown()


def _setting(topic: ValueTopic) -> Entity:
    return _plain(topic, f"Setting: {topic.label.lower()}")()


def _plain(topic: ValueTopic, name: str) -> partial[Entity]:
    return partial(
        Entity,
        name=name,
        device_class=_CLASS_OF_UNIT.get(topic.unit or ""),
        unitless=topic.unit in _COUNTED,
        template=TEXT if topic.unit is None or topic.unit in _COUNTED else VALUE,
        diagnostic=True,
        enabled=False,
    )
