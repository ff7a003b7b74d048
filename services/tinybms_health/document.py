"""The status document: what `GET /api/status` and `tinybms-ctl status --json` show. No secrets.

Ages are seconds at `time`. None means not known. Units are in the names.
"""

from __future__ import annotations

import msgspec

from tinybms_messages.live import ActiveFault, Alarm, Counters, Identity, Limits, Link


class SupervisorReport(msgspec.Struct, frozen=True, kw_only=True):
    """supervisord: running, hung (does not answer), down or unknown."""

    state: str
    pid: int | None = None
    detail: str = ""
    rss_bytes: int | None = None
    cpu_pct: float | None = None


class ProcessReport(msgspec.Struct, frozen=True, kw_only=True):
    """One process.

    `state`: running, starting, hung or down. `work` and `detail`: what it says of its own work.
    `lag_ms`: how late its loop was at worst in the last second. `restarts` counts from the start
    of supervisord.
    """

    state: str
    pid: int | None = None
    supervisor_state: str = ""
    uptime_s: float | None = None
    restarts: int | None = None
    heartbeat_age_s: float | None = None
    lag_ms: float | None = None
    rss_bytes: int | None = None
    cpu_pct: float | None = None
    work: str = ""
    detail: str = ""
    version: str = ""
    log_lines_dropped: int = 0


class DataReport(msgspec.Struct, frozen=True, kw_only=True):
    """Freshness of the battery's data: unknown, fresh, stale, lost or asleep."""

    state: str
    age_s: float | None = None
    sample_time: str | None = None
    seq: int | None = None
    boot: str | None = None


class BatteryReport(msgspec.Struct, frozen=True, kw_only=True):
    """The last sample; `data.age_s` says how old it is. Left out when the data are lost."""

    pack_voltage_v: float
    pack_current_a: float
    power_w: float
    soc_pct: float
    soh_pct: float | None
    battery_temperature_c: float | None
    min_cell_voltage_v: float
    max_cell_voltage_v: float
    cell_voltages_v: tuple[float, ...]
    online_status: str


class BusReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was lost on the bus, by the process that missed it: {"TOPIC source": messages}."""

    gaps: dict[str, dict[str, int]] = {}
    rejected: dict[str, int] = {}


class CanReport(msgspec.Struct, frozen=True, kw_only=True):
    """The CAN channel; `status_age_s` is the age of this report."""

    enabled: bool
    state: str
    detail: str = ""
    status_age_s: float | None = None
    interface: str = ""
    channel: str = ""
    frames_sent: int | None = None
    send_errors: int | None = None
    frames_refused: int | None = None
    frames_received: int | None = None
    reopened: int | None = None
    last_error: str = ""
    victron_keepalive_ok: bool | None = None
    keepalive_age_s: float | None = None
    gx_identified: bool | None = None
    max_period_ms: float | None = None


class MqttReport(msgspec.Struct, frozen=True, kw_only=True):
    """The MQTT session; `status_age_s` is the age of this report."""

    enabled: bool
    state: str
    status_age_s: float | None = None
    broker: str = ""
    connected: bool | None = None
    connected_since: str | None = None
    reconnects: int | None = None
    publish_count: int | None = None
    failed_publish_count: int | None = None
    last_error_code: int | None = None
    last_error: str = ""
    in_flight: int | None = None
    last_ack_age_s: float | None = None


class BufferReport(msgspec.Struct, frozen=True, kw_only=True):
    """The offline buffer; `status_age_s` is the age of this report.

    `waiting`: records in memory that are not acknowledged yet. `detail`: why nothing can be stored.
    """

    enabled: bool
    state: str
    detail: str = ""
    status_age_s: float | None = None
    rows: int | None = None
    bytes: int | None = None
    oldest: str | None = None
    dropped: int | None = None
    replayed: int | None = None
    waiting: int | None = None


class ModeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner has asked for, for a time; `text` says it in words, with the time left."""

    mode: str
    text: str
    left_s: float
    limit_a: float | None = None


class EventReport(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in the gateway."""

    time: str
    source: str
    code: str
    severity: str
    text: str


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at.

    `state`: running, starting, hung or down for a process; ok, warning or fault for the rest.
    """

    name: str
    state: str
    text: str = ""

    @property
    def well(self) -> bool:
        """Whether nothing needs to be done about it."""
        return self.state in {"ok", "running"}


class StatusDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. `status`: ok, partial or down, as the exit codes 0, 1, 2 of tinybms-ctl status.

    `observer` is the process that looked. `limits`, `alarms` and `data` are aged: what CAN sends.
    """

    schema: int = 1
    status: str = "down"
    checks: tuple[Check, ...] = ()
    observer: str
    version: str
    device: str
    time: str
    time_ok: bool
    supervisord: SupervisorReport
    processes: dict[str, ProcessReport]
    data: DataReport
    battery: BatteryReport | None = None
    limits: Limits | None = None
    alarms: tuple[Alarm, ...] = ()
    faults: tuple[ActiveFault, ...] = ()
    advisories: tuple[str, ...] = ()
    modes: tuple[ModeReport, ...] = ()
    soc_unsynchronised_days: float | None = None
    identity: Identity | None = None
    link: Link | None = None
    counters: Counters | None = None
    bus: BusReport = BusReport()
    can: CanReport
    mqtt: MqttReport
    buffer: BufferReport
    events: tuple[EventReport, ...] = ()
    warnings: tuple[str, ...] = ()
