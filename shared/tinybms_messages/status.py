"""What each process says about itself and its outside link."""

from __future__ import annotations

import msgspec


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """Sent each second by the work loop itself: a hung loop has no heartbeat.

    `lag_ms`: how late the loop's timers ran at worst since the last heartbeat. `gaps`: sequence
    numbers missed, by "TOPIC source". `rejected`: messages dropped as malformed.
    """

    state: str
    detail: str = ""
    pid: int
    uptime_s: float
    lag_ms: float
    cpu_s: float
    rss_bytes: int
    gaps: dict[str, int] = {}
    rejected: int = 0
    log_lines_dropped: int = 0
    version: str = ""


class CanStatus(msgspec.Struct, frozen=True, kw_only=True):
    """State of the CAN channel.

    `state`: disabled, no_adapter, error, stopped (by the owner), waiting (no sample yet), sending,
    service (the BMS is away, as the owner wants it), stale or silent (the data are too old).
    `victron_keepalive_ok`: 0x305 came within 3 s; None when CAN is disabled.
    """

    state: str
    detail: str = ""
    interface: str = ""
    channel: str = ""
    frames_sent: int = 0
    send_errors: int = 0
    frames_refused: int = 0
    """Frames that the gate `may_send` held back."""
    reopened: int = 0
    last_error: str = ""
    victron_keepalive_ok: bool | None = None
    keepalive_age_s: float | None = None
    gx_identified: bool = False
    """'VIC' was seen in 0x307."""
    max_period_ms: float | None = None
    """Longest time between two 0x351 in the last minute."""
    frames_received: int = 0
    service_left_s: float = 0.0
    """Time left of a service that the owner asked for; 0 without one."""


class MqttStatus(msgspec.Struct, frozen=True, kw_only=True):
    """State of the MQTT session.

    `state`: disabled, connecting, online, back_off or draining. `last_error_code` is the reason
    code or errno of the last failure, 0 when there was none.
    """

    state: str
    connected: bool = False
    connected_since_wall_ns: int | None = None
    reconnects: int = 0
    publish_count: int = 0
    failed_publish_count: int = 0
    last_error_code: int = 0
    last_error: str = ""
    in_flight: int = 0
    last_ack_age_s: float | None = None
    broker: str = ""


class BufferStatus(msgspec.Struct, frozen=True, kw_only=True):
    """State of the offline buffer: what it holds and what it had to give up.

    `state`: disabled, idle (nothing stored), storing, replaying or storage_off; `detail` says why
    in words. Counters count from the start of the process.
    """

    state: str
    rows: int = 0
    bytes: int = 0
    oldest_wall_ns: int | None = None
    dropped: int = 0
    replayed: int = 0
    detail: str = ""
    waiting: int = 0
    """Records in memory that are not acknowledged yet."""
    stored: int = 0
    thinned: int = 0
    never_received: int = 0
    """Records that neither the bus nor the ring of acquisition brought."""
    refused: int = 0
    """Records that could not be stored whatever the state of the disk."""
    set_aside: int = 0
    """Damaged files that were moved aside."""
    ram_only: bool = False
    max_bytes: int = 0
    written_bytes_per_day: int | None = None
    """Bytes that this process had written to disk, as measured by the kernel over up to a day."""


class GatewayEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in the gateway: `code` is stable, `text` is for people."""

    code: str
    text: str
    wall_ns: int
    severity: str = "info"
    """info, warning or alarm."""
