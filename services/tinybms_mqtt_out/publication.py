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
    REPLAY = auto()
    """Stored records: whatever is new goes first."""
    HEARTBEAT = auto()
    """The repeated `true` of status/connected: never more than one on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordId:
    """Names a critical record: its maker's start and its number there.

    `stored`: its number in the buffer's database `store`, when it comes from there.
    """

    boot: str
    seq: int
    stored: int | None = None
    store: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A payload for `topic`; with `record` it is owed, and its acknowledgement is reported."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    kind: Kind = Kind.TELEMETRY
    record: RecordId | None = None

    @property
    def place(self) -> tuple[str, RecordId | None]:
        """What waits for the same place: the newest of a topic, but every record has its own."""
        return self.topic, self.record
