"""Sentences about options that do not do what their owner may expect."""

from __future__ import annotations

from collections.abc import Iterator

from tinybms_config.model import Mqtt
from tinybms_mqtt_out.topics import value_topics

ALL_CELLS = 16


def start_warnings(config: Mqtt) -> Iterator[str]:
    """One sentence for each thing worth saying once at start."""
    topics = {topic.suffix: topic for topic in value_topics(ALL_CELLS, legacy=True)}
    for suffix in config.qos:
        if suffix not in topics:
            yield f"mqtt.qos.{suffix}: there is no such value topic"
    for suffix in config.deadband:
        if suffix not in topics:
            yield f"mqtt.deadband.{suffix}: there is no such value topic"
        elif topics[suffix].critical:
            yield f"mqtt.deadband.{suffix}: has no effect, critical values have fixed dead bands"
    if config.commands:
        yield (
            "mqtt.commands: whoever may write below cmd/ on the MQTT broker can stop charge and "
            "discharge; let the broker's access list say who"
        )
