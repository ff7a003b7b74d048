"""One message for the MQTT broker."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What a message is, which decides what happens to it when the way is narrow."""

    TELEMETRY = auto()
    """Measured values: the next cycle brings a newer one."""
    CRITICAL = auto()
    """SoC, limits and alarms."""
    STATUS = auto()
    """Retained words about the gateway and its data."""
    HEARTBEAT = auto()
    """The repeated `true` of status/connected: never more than one on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A payload for `topic`."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    kind: Kind = Kind.TELEMETRY
