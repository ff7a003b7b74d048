"""The one table of bus topics: who publishes, what travels, whether the broker keeps the last."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import msgspec

from tinybms_messages.critical import Critical, MqttDelivered
from tinybms_messages.live import LiveData
from tinybms_messages.registers import BmsSettings, RegisterValues
from tinybms_messages.status import (
    BufferStatus,
    CanStatus,
    GatewayEvent,
    Heartbeat,
    MqttStatus,
)

MAX_BODY_BYTES: Final = 64 * 1024
EVERY_PROCESS: Final = "*"

DEVICE_PATTERN: Final = re.compile(r"[a-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One kind of message.

    `publisher` is a process name, or EVERY_PROCESS. A cached topic is kept by the broker for late
    subscribers and repeated by its owner at least each `repeat_s`, since a restarted broker knows
    nothing. Topics of every process carry the process's name as one more level, so that the cache
    holds one message for each.
    """

    name: str
    publisher: str
    cached: bool
    body: type[msgspec.Struct]
    repeat_s: float | None = None

    def address(self, device: str, source: str) -> bytes:
        """The bus topic: `NAME/device/`, or `NAME/device/source/` for topics of every process.

        The closing slash keeps a subscription of `pack1` from catching `pack10`.
        """
        levels = [self.name, device]
        if self.publisher == EVERY_PROCESS:
            levels.append(source)
        return ("/".join(levels) + "/").encode("ascii")


LIVE_DATA: Final = Topic(
    name="LIVE_DATA", publisher="acquisition", cached=True, body=LiveData, repeat_s=1.0
)
MQTT_REGISTER_VALUE: Final = Topic(
    name="MQTT_REGISTER_VALUE",
    publisher="acquisition",
    cached=False,
    body=RegisterValues,
)
CRITICAL: Final = Topic(name="CRITICAL", publisher="acquisition", cached=False, body=Critical)
BMS_SETTINGS: Final = Topic(
    name="BMS_SETTINGS",
    publisher="acquisition",
    cached=True,
    body=BmsSettings,
    repeat_s=10.0,
)
CAN_STATUS: Final = Topic(
    name="CAN_STATUS", publisher="can_out", cached=True, body=CanStatus, repeat_s=1.0
)
MQTT_STATUS: Final = Topic(
    name="MQTT_STATUS", publisher="mqtt_out", cached=True, body=MqttStatus, repeat_s=1.0
)
MQTT_DELIVERED: Final = Topic(
    name="MQTT_DELIVERED",
    publisher="mqtt_out",
    cached=True,
    body=MqttDelivered,
    repeat_s=1.0,
)
BUFFER_STATUS: Final = Topic(
    name="BUFFER_STATUS",
    publisher="buffer",
    cached=True,
    body=BufferStatus,
    repeat_s=1.0,
)
GATEWAY_EVENT: Final = Topic(
    name="GATEWAY_EVENT", publisher=EVERY_PROCESS, cached=False, body=GatewayEvent
)
HEARTBEAT: Final = Topic(
    name="HEARTBEAT", publisher=EVERY_PROCESS, cached=True, body=Heartbeat, repeat_s=1.0
)

TOPICS: Final[tuple[Topic, ...]] = (
    LIVE_DATA,
    MQTT_REGISTER_VALUE,
    CRITICAL,
    BMS_SETTINGS,
    CAN_STATUS,
    MQTT_STATUS,
    MQTT_DELIVERED,
    BUFFER_STATUS,
    GATEWAY_EVENT,
    HEARTBEAT,
)

BY_NAME: Final[dict[str, Topic]] = {topic.name: topic for topic in TOPICS}


def topic_of(address: bytes) -> Topic | None:
    """The table's row for a bus topic, None when the name is not in the table."""
    name = address.split(b"/", 1)[0].decode("ascii", errors="replace")
    return BY_NAME.get(name)
