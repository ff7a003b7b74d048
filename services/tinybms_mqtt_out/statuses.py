"""The retained words under status/, and the JSON of `status`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from tinybms_messages.live import LiveData
from tinybms_messages.status import BufferStatus, CanStatus, MqttStatus
from tinybms_mqtt_out.publication import Kind, Publication

CAN_STATUS_MAX_AGE_S: Final = 3.5
"""can_out says each second whether it hears a GX; older words count for nothing."""

_JSON = {True: b"true", False: b"false", None: b"null"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the other processes said last; None where nothing was heard."""

    live: LiveData | None
    can: CanStatus | None
    can_age_s: float | None
    buffer: BufferStatus | None


def connected(root: str, *, alive: bool, repeat: bool = False) -> Publication:
    """status/connected: the birth, its repeats, and the farewell (which is also the will)."""
    return _retained(
        f"{root}/status/connected", _JSON[alive], Kind.HEARTBEAT if repeat else Kind.STATUS
    )


def data(root: str, state: str) -> Publication:
    """status/data: fresh, stale, lost, asleep or unknown."""
    return _retained(f"{root}/status/data", state.encode("ascii"))


def victron_keepalive_ok(seen: Seen, *, can_enabled: bool) -> bool | None:
    """Whether a GX is heard on the CAN bus; None when CAN is disabled."""
    if not can_enabled:
        return None
    recent = seen.can_age_s is not None and seen.can_age_s <= CAN_STATUS_MAX_AGE_S
    return recent and seen.can is not None and seen.can.victron_keepalive_ok is True


def victron_keepalive(root: str, *, ok: bool | None) -> Publication:
    """status/victron_keepalive: true, false, or null when CAN is disabled."""
    return _retained(f"{root}/status/victron_keepalive", _JSON[ok])


def manifest_topic(root: str) -> str:
    """Where the list of all topics is."""
    return f"{root}/manifest"


def manifest_message(root: str, payload: bytes) -> Publication:
    """The retained list of all topics."""
    return _retained(manifest_topic(root), payload)


def retained_topics(root: str) -> tuple[str, ...]:
    """Every topic below `root` whose last message the broker keeps."""
    words = ("status", "status/connected", "status/data", "status/victron_keepalive")
    return (*(f"{root}/{word}" for word in words), manifest_topic(root))


class StatusDocument:
    """Makes the `status` message: on change of anything but counters, and each `period_s`."""

    def __init__(self, root: str, *, version: str, period_s: float = 10.0) -> None:
        self._topic = f"{root}/status"
        self._version = version
        self._period_s = period_s
        self._said: object = None
        self._said_s: float | None = None

    def due(
        self,
        mqtt: MqttStatus,
        seen: Seen,
        *,
        keepalive_ok: bool | None,
        data_state: str,
        now_s: float,
    ) -> Publication | None:
        """The message, or None when there is nothing new to say yet."""
        live, buffer = seen.live, seen.buffer
        link = live.link if live is not None else None
        words = (
            mqtt.connected_since_wall_ns,
            mqtt.last_error_code,
            mqtt.last_error,
            keepalive_ok,
            data_state,
            (link.state, link.detail, link.port, link.reopened) if link is not None else None,
            buffer.state if buffer is not None else None,
        )
        recent = self._said_s is not None and now_s - self._said_s < self._period_s
        if recent and words == self._said:
            return None
        self._said, self._said_s = words, now_s
        document = {
            "publish_count": mqtt.publish_count,
            "failed_publish_count": mqtt.failed_publish_count,
            "last_error_code": mqtt.last_error_code,
            "last_error": mqtt.last_error,
            "connected_since": iso_time(mqtt.connected_since_wall_ns),
            "reconnects": mqtt.reconnects,
            "victron_keepalive_ok": keepalive_ok,
            "data": data_state,
            "link": link,
            "buffer": buffer,
            "versions": {
                "gateway": self._version,
                "firmware": _firmware(live),
                "hardware": live.identity.hardware if live and live.identity else None,
            },
        }
        return _retained(self._topic, msgspec.json.encode(document))

    def force(self) -> None:
        """Say it again now: a new connection has not heard it."""
        self._said_s = None


def iso_time(wall_ns: int | None) -> str | None:
    """ISO 8601 in UTC with milliseconds."""
    if wall_ns is None:
        return None
    return datetime.fromtimestamp(wall_ns / 1e9, UTC).isoformat(timespec="milliseconds")


def _firmware(live: LiveData | None) -> str | None:
    return None if live is None or live.identity is None else f"2.3.{live.identity.firmware}"


def _retained(topic: str, payload: bytes, kind: Kind = Kind.STATUS) -> Publication:
    return Publication(topic=topic, payload=payload, qos=1, retain=True, kind=kind)
