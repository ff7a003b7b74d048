"""What the client reports: the life of a connection, acknowledgements, messages that come in."""

from __future__ import annotations

from dataclasses import dataclass

from tinybms_mqtt_out.session import Failure


@dataclass(frozen=True, slots=True)
class Opened:
    """The connect request is out."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker accepted us. MQTT 5: `receive_maximum` bounds the unacknowledged messages."""

    receive_maximum: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The connection is gone or was not made."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker answered for a message; `failure` when it refused it."""

    token: int
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Received:
    """A message of a subscription; `retained`: it was there before we subscribed."""

    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True, slots=True)
class SubscriptionRefused:
    """The broker does not let us hear `topics`, most often because of its access list."""

    topics: tuple[str, ...]
    reason: str


Event = Opened | Accepted | Failed | Acknowledged | Received | SubscriptionRefused
