"""The reference of all topics as Markdown, made from the tables that publish them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tinybms_config.model import Mqtt
from tinybms_mqtt_out.entity_table import GATEWAY_ENTITIES, GX_ENTITY, entity_of
from tinybms_mqtt_out.model import ValueTopic
from tinybms_mqtt_out.topics import value_topics
from tinybms_mqtt_out.values import qos_of

CELLS: Final = 16

_HEAD: Final = f"""# MQTT topics

Every topic stands below `mqtt.root_topic`. For a pack of {CELLS} cells; a smaller pack sits on the
upper measuring channels, so its `cell_voltage_01` has a higher TinyBMS register. GX registers are
those of Modbus TCP on a GX (unit 100: system, unit 225: battery). The same list, with types and
scales, is retained on the topic `manifest`.

This page is made by `make docs`.
"""


def markdown() -> str:
    """The whole page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    topics = value_topics(CELLS, legacy=False)
    yield _HEAD
    yield "## Values"
    yield ""
    yield "| topic | value | unit | TinyBMS register | GX registers | QoS | dead band |"
    yield "|---|---|---|---|---|---|---|"
    for topic in topics:
        yield _value_row(topic)
    yield ""
    yield "## Names of the firmware before"
    yield ""
    yield "With `mqtt.legacy_topics = true` these carry the same values again."
    yield ""
    yield "| old topic | value | unit |"
    yield "|---|---|---|"
    known = {topic.suffix for topic in topics}
    for topic in value_topics(CELLS, legacy=True):
        if topic.suffix not in known:
            yield f"| `{topic.suffix}` | {topic.label} | {topic.unit or '-'} |"
    yield ""
    yield "## Entities in Home Assistant"
    yield ""
    yield "| key | name | class | state class | shown at first |"
    yield "|---|---|---|---|---|"
    yield from _entity_rows(topics)
    yield ""


def _value_row(topic: ValueTopic) -> str:
    registers = ", ".join(f"{row.register} ({row.path})" for row in topic.gx) or "-"
    address = "-" if topic.address is None else topic.address
    qos = qos_of(topic, Mqtt())
    return (
        f"| `{topic.suffix}` | {topic.label} | {topic.unit or '-'} | {address} | {registers} "
        f"| {qos} | {_band(topic)} |"
    )


def _band(topic: ValueTopic) -> str:
    parts = []
    if topic.band.absolute:
        parts.append(f"{topic.band.absolute:g}")
    if topic.band.fraction:
        parts.append(f"{topic.band.fraction:.0%}")
    return " or ".join(parts) or "every change"


def _entity_rows(topics: tuple[ValueTopic, ...]) -> Iterator[str]:
    found = [(topic.suffix, entity_of(topic)) for topic in topics]
    entities = [*found, *GATEWAY_ENTITIES.items(), ("gx_connected", GX_ENTITY)]
    for key, entity in entities:
        if entity is not None:
            yield (
                f"| `{key}` | {entity.name} | {entity.device_class or '-'} "
                f"| {entity.state_class or '-'} | {'yes' if entity.enabled else 'no'} |"
            )
