"""Home Assistant discovery messages made from the topic table: one device, or one per entity.

Source: Home Assistant, MQTT integration, MQTT discovery (device and single component form).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tinybms_config.model import Config
from tinybms_messages.live import Identity
from tinybms_mqtt_out.entity import Entity, Follows, Platform
from tinybms_mqtt_out.entity_table import GATEWAY_ENTITIES, GX_ENTITY, entity_of
from tinybms_mqtt_out.model import Group, ValueTopic
from tinybms_mqtt_out.topics import value_topics
from tinybms_mqtt_out.values import SETTINGS_SILENCE_S, qos_of
from tinybms_protocol.poll_plan import STATISTICS_PERIOD_S

ORIGIN_NAME: Final = "tinybms-gateway"
MANUFACTURER: Final = "Energus Power Solutions"

DATA_TEMPLATE: Final = "{{ 'online' if value in ['fresh', 'stale'] else 'offline' }}"

SILENCES_TO_EXPIRE: Final = 3
"""An entity expires after so many times the longest silence of its topic."""

SLOWEST_CYCLE_S: Final = 2.0
"""A message that is due waits for the next cycle at most this long."""

_BLANK_SERIALS: Final = frozenset({"0" * 24, "f" * 24})


class Battery(msgspec.Struct, frozen=True, kw_only=True):
    """Which battery is announced, and how many cells it has (0: not yet known)."""

    serial_number: str
    firmware: int = 0
    hardware: str = ""
    cell_count: int = 0

    @classmethod
    def of(cls, identity: Identity, cell_count: int) -> Battery:
        """The battery that LIVE_DATA names."""
        return cls(
            serial_number=identity.serial_number,
            firmware=identity.firmware,
            hardware=identity.hardware,
            cell_count=cell_count,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One retained discovery message; `entities` are its entities by key."""

    body: Mapping[str, object]
    entities: Mapping[str, Platform]

    @property
    def payload(self) -> bytes:
        """The message, without `removed` entities."""
        return msgspec.json.encode(self.body)

    def removing(self, removed: Mapping[str, Platform]) -> bytes:
        """The message that also tells Home Assistant to forget `removed`."""
        components = self.body.get("components")
        known = components if isinstance(components, dict) else {}
        gone = {key: {"platform": platform} for key, platform in removed.items()}
        return msgspec.json.encode({**self.body, "components": {**known, **gone}})


class Discovery:
    """Makes the messages that `config` asks for; `root` is the root of the value topics."""

    def __init__(self, config: Config, root: str, *, version: str) -> None:
        self._config = config
        self._root = root
        self._version = version

    def documents(self, battery: Battery) -> dict[str, Document]:
        """Every discovery message by its topic."""
        entities = self.entities(battery)
        if self._config.mqtt.discovery_form == "device":
            return dict([self._device_form(battery, entities)])
        return dict(
            self._entity_form(battery, key, entity, topic)
            for key, (entity, topic) in entities.items()
        )

    def entities(self, battery: Battery) -> dict[str, tuple[Entity, ValueTopic | None]]:
        """Every entity by key, with the value topic that it shows."""
        mqtt = self._config.mqtt
        found: dict[str, tuple[Entity, ValueTopic | None]] = {}
        for topic in value_topics(battery.cell_count, legacy=False, groups=mqtt.groups):
            entity = entity_of(topic)
            if entity is not None:
                found[topic.suffix] = entity, topic
        found |= {key: (entity, None) for key, entity in GATEWAY_ENTITIES.items()}
        if self._config.can.enabled:
            found["gx_connected"] = GX_ENTITY, None
        return found

    def searches(self, battery: Battery | None) -> tuple[str, ...]:
        """Topic filters that find what was announced in the past."""
        prefix = self._config.mqtt.discovery_prefix
        filters = (f"{prefix}/device/+/config",)
        return (
            filters if battery is None else (*filters, f"{prefix}/+/{self.node(battery)}/+/config")
        )

    def is_ours(self, payload: bytes) -> bool:
        """Whether a discovery message was made by a gateway with this root."""
        try:
            body = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        if not isinstance(body, dict):
            return False
        origin, listed = body.get("origin"), body.get("availability")
        if not isinstance(origin, dict) or origin.get("name") != ORIGIN_NAME:
            return False
        topics = [row.get("topic") for row in listed or () if isinstance(row, dict)]
        return f"{self._root}/status/connected" in topics

    def node(self, battery: Battery) -> str:
        """Id of the device: from the serial number alone, so that it outlives ports and hosts."""
        serial = battery.serial_number
        known = serial if serial not in _BLANK_SERIALS else self._config.gateway.device
        return "tinybms_" + re.sub(r"[^A-Za-z0-9_-]", "_", known)

    def _device_form(
        self, battery: Battery, entities: Mapping[str, tuple[Entity, ValueTopic | None]]
    ) -> tuple[str, Document]:
        components = {
            key: {"platform": entity.platform, **self._component(battery, key, entity, topic)}
            for key, (entity, topic) in entities.items()
        }
        body = {**self._shared(battery), **self._availability(), "components": components}
        topic = f"{self._config.mqtt.discovery_prefix}/device/{self.node(battery)}/config"
        platforms = {key: entity.platform for key, (entity, _topic) in entities.items()}
        return topic, Document(body=body, entities=platforms)

    def _entity_form(
        self, battery: Battery, key: str, entity: Entity, topic: ValueTopic | None
    ) -> tuple[str, Document]:
        body = {
            **self._shared(battery),
            **self._availability(),
            **self._component(battery, key, entity, topic),
        }
        prefix = self._config.mqtt.discovery_prefix
        address = f"{prefix}/{entity.platform}/{self.node(battery)}/{key}/config"
        return address, Document(body=body, entities={key: entity.platform})

    def _shared(self, battery: Battery) -> dict[str, object]:
        device = self._config.gateway.device
        return {
            "device": {
                "identifiers": [self.node(battery)],
                "name": self._config.mqtt.discovery_name or f"TinyBMS {device}",
                "manufacturer": MANUFACTURER,
                "model": "TinyBMS",
                "serial_number": battery.serial_number,
                "sw_version": f"2.3.{battery.firmware}",
                "hw_version": battery.hardware,
            },
            "origin": {"name": ORIGIN_NAME, "sw_version": self._version},
        }

    def _availability(self, follows: Follows = Follows.BATTERY) -> dict[str, object]:
        rows: list[dict[str, str]] = [
            {
                "topic": f"{self._root}/status/connected",
                "payload_available": "true",
                "payload_not_available": "false",
            }
        ]
        if follows is Follows.BATTERY:
            rows.append(
                {
                    "topic": f"{self._root}/status/data",
                    "value_template": DATA_TEMPLATE,
                }
            )
        return {"availability": rows, "availability_mode": "all"}

    def _component(
        self, battery: Battery, key: str, entity: Entity, topic: ValueTopic | None
    ) -> dict[str, object]:
        device = self._config.gateway.device.replace("-", "_")
        state_topic = f"{self._root}/{entity.topic or key}"
        component: dict[str, object | None] = {
            "unique_id": f"{self.node(battery)}_{key}",
            "default_entity_id": f"{entity.platform}.tinybms_{device}_{key}",
            "name": entity.name,
            "state_topic": state_topic,
            "value_template": entity.template,
            "device_class": entity.device_class,
            "state_class": entity.state_class,
            "unit_of_measurement": topic.unit if topic and not entity.unitless else None,
            "suggested_display_precision": entity.precision,
            "options": list(entity.options) or None,
            "payload_on": entity.on,
            "payload_off": entity.off,
            "entity_category": "diagnostic" if entity.diagnostic else None,
            "enabled_by_default": None if entity.enabled else False,
            "json_attributes_topic": state_topic if entity.attributes else None,
            "json_attributes_template": entity.attributes,
            "qos": 1 if topic is not None and qos_of(topic, self._config.mqtt) else None,
            "expire_after": self._expire_after_s(topic) if topic and entity.repeated else None,
        }
        if entity.follows is not Follows.BATTERY:
            component |= self._availability(entity.follows)
        return {name: value for name, value in component.items() if value is not None}

    def _expire_after_s(self, topic: ValueTopic) -> int:
        silence_s = self._config.mqtt.max_silence_s + SLOWEST_CYCLE_S
        if topic.group is Group.SETTINGS:
            silence_s = max(silence_s, SETTINGS_SILENCE_S)
        elif topic.derive is None:
            silence_s = max(silence_s, STATISTICS_PERIOD_S)
        return math.ceil(SILENCES_TO_EXPIRE * silence_s)


def searched(topic: str, filters: Sequence[str]) -> bool:
    """Whether `topic` matches one of `filters`, which hold + for whole levels only."""
    levels = topic.split("/")
    return any(
        len(levels) == len(wanted)
        and all(w in {"+", level} for w, level in zip(wanted, levels, strict=True))
        for wanted in (one.split("/") for one in filters)
    )
