"""The one table of value topics: manifest, payloads and filters take everything from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tinybms_config.model import MqttGroups
from tinybms_mqtt_out.alarm_topics import ALARM_TOPICS
from tinybms_mqtt_out.cell_topics import CELL_SUMMARY_TOPICS, cell_topics
from tinybms_mqtt_out.limit_topics import LIMIT_TOPICS
from tinybms_mqtt_out.model import ValueTopic
from tinybms_mqtt_out.pack_topics import PACK_TOPICS
from tinybms_mqtt_out.register_topics import (
    LEGACY_SETTING_TOPICS,
    SETTING_TOPICS,
    STATISTIC_TOPICS,
)
from tinybms_mqtt_out.total_topics import TOTAL_TOPICS

_FIXED_TOPICS: Final[tuple[ValueTopic, ...]] = (
    *PACK_TOPICS,
    *LIMIT_TOPICS,
    *CELL_SUMMARY_TOPICS,
    *TOTAL_TOPICS,
    *ALARM_TOPICS,
)
_EVERY_GROUP: Final = MqttGroups()


def value_topics(
    cell_count: int, *, legacy: bool, groups: MqttGroups = _EVERY_GROUP
) -> tuple[ValueTopic, ...]:
    """Every topic of a pack of `cell_count` cells (0: not yet known), with the old names too.

    `groups` leaves out the single cells, statistics or settings; the old names stay.
    """
    topics = (
        *_FIXED_TOPICS,
        *(STATISTIC_TOPICS if groups.statistics else ()),
        *(SETTING_TOPICS if groups.settings else ()),
        *(cell_topics(cell_count) if groups.cells else ()),
    )
    return (*topics, *legacy_topics(topics)) if legacy else topics


def legacy_topics(topics: tuple[ValueTopic, ...]) -> tuple[ValueTopic, ...]:
    """The names of the firmware that the gateway replaces, with the values of today.

    A name that both lists hold stays one topic.
    """
    known = {topic.suffix for topic in topics}
    renamed = tuple(
        replace(topic, suffix=topic.legacy_suffix, legacy_suffix=None, critical=False)
        for topic in topics
        if topic.legacy_suffix is not None and topic.legacy_suffix not in known
    )
    return (*renamed, *LEGACY_SETTING_TOPICS)
