"""Build the status document from a view: pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, TypeVar

import msgspec

from tinybms_charge.ageing import Aged, aged
from tinybms_health.document import (
    BatteryReport,
    BufferReport,
    BusReport,
    CanReport,
    DataReport,
    EventReport,
    ModeReport,
    MqttReport,
    ProcessReport,
    StatusDocument,
    SupervisorReport,
)
from tinybms_health.verdict import checks, verdict
from tinybms_health.view import ProcessFacts, View
from tinybms_messages.header import Header
from tinybms_messages.latest import LatestLive
from tinybms_messages.live import LiveData, Sample
from tinybms_messages.owner import mode_words, time_left
from tinybms_runtime.processes import NAMES

HUNG_AFTER_S: Final = 10.0
"""A heartbeat older than this makes a process hung, a status message older than it unknown."""

Body = TypeVar("Body")


def status_document(view: View) -> StatusDocument:
    """The document, with its checks and verdict."""
    latest = view.heard.live
    age_s = latest.age_s(view.boottime_ns)
    shown = aged(latest.with_sample or latest.newest, age_s, view.parameters)
    newest = latest.newest
    usage = view.supervisor.usage
    document = StatusDocument(
        observer=view.observer,
        version=view.version,
        device=view.config.gateway.device,
        time=iso_time(view.wall_ns),
        time_ok=view.time_ok,
        supervisord=SupervisorReport(
            state=view.supervisor.state,
            pid=view.supervisor.pid or None,
            detail=view.supervisor.detail,
            rss_bytes=usage.rss_bytes if usage else None,
            cpu_pct=usage.cpu_pct if usage else None,
        ),
        processes={name: _process(view, name) for name in NAMES},
        data=data_report(latest, shown, age_s),
        battery=_battery(view, shown),
        limits=shown.limits,
        alarms=shown.alarms,
        faults=newest.faults if newest else (),
        advisories=newest.advisories if newest else (),
        modes=mode_reports(newest, view.boottime_ns),
        soc_unsynchronised_days=newest.soc_unsynchronised_days if newest else None,
        identity=newest.identity if newest else None,
        link=newest.link if newest else None,
        counters=newest.counters if newest else None,
        bus=_bus(view),
        can=_can(view),
        mqtt=_mqtt(view),
        buffer=_buffer(view),
        events=tuple(
            EventReport(
                time=iso_time(event.wall_ns),
                source=source,
                code=event.code,
                severity=event.severity,
                text=event.text,
            )
            for source, event in view.heard.events
        ),
        warnings=view.warnings,
    )
    looked = msgspec.structs.replace(document, checks=checks(document))
    return msgspec.structs.replace(looked, status=verdict(looked))


def mode_reports(newest: LiveData | None, boottime_ns: int) -> tuple[ModeReport, ...]:
    """What the owner has asked for, with the time left."""
    return tuple(
        ModeReport(
            mode=mode.mode.value,
            text=f"{mode_words(mode)}, {time_left(mode.left_s(boottime_ns))}",
            left_s=mode.left_s(boottime_ns),
            limit_a=mode.limit_a,
        )
        for mode in (newest.modes if newest else ())
    )


def iso_time(wall_ns: int) -> str:
    """ISO 8601 in UTC with milliseconds, by integers: a float of 2026 has no whole milliseconds."""
    seconds, rest_ns = divmod(wall_ns, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest_ns // 1_000_000:03d}Z"


def _age_s(view: View, header: Header) -> float:
    return max(0.0, (view.boottime_ns - header.boottime_ns) / 1e9)


def _recent(view: View, heard: tuple[Header, Body] | None) -> tuple[float | None, Body | None]:
    """Age and body of a status message; no body when it is too old to be true."""
    if heard is None:
        return None, None
    header, body = heard
    age_s = _age_s(view, header)
    return age_s, body if age_s <= HUNG_AFTER_S else None


def _process(view: View, name: str) -> ProcessReport:
    facts = view.processes.get(name, ProcessFacts(pid=0))
    heard = view.heard.heartbeats.get(name)
    if heard is not None and facts.pid not in {0, heard[1].pid}:
        heard = None
    beat = heard[1] if heard else None
    age_s = _age_s(view, heard[0]) if heard else None
    uptime_s = facts.uptime_s
    if facts.pid and beat is not None and age_s is not None:
        uptime_s = beat.uptime_s + age_s
    usage = facts.usage
    state = _process_state(view, name, facts, age_s, uptime_s)
    return ProcessReport(
        state=state,
        pid=facts.pid or None,
        supervisor_state=facts.supervisor_state,
        uptime_s=uptime_s,
        restarts=facts.restarts,
        heartbeat_age_s=age_s,
        lag_ms=beat.lag_ms if beat else None,
        rss_bytes=usage.rss_bytes if usage else beat.rss_bytes if beat and facts.pid else None,
        cpu_pct=usage.cpu_pct if usage else None,
        work=beat.state if beat and state == "running" else "",
        detail=facts.error or (beat.detail if beat and state == "running" else ""),
        version=beat.version if beat else "",
        log_lines_dropped=beat.log_lines_dropped if beat else 0,
    )


def _process_state(
    view: View, name: str, facts: ProcessFacts, age_s: float | None, uptime_s: float | None
) -> str:
    if not facts.pid:
        return "down"
    if facts.frozen:
        return "hung"
    if age_s is not None and age_s <= HUNG_AFTER_S:
        return "running"
    if uptime_s is not None and uptime_s <= HUNG_AFTER_S:
        return "starting"
    if not _bus_works(view):
        # Nobody can be heard: that is held against the broker alone.
        return "hung" if name == "broker" else "running"
    return "hung"


def _bus_works(view: View) -> bool:
    """Whether any heartbeat arrives at all."""
    return any(_age_s(view, header) <= HUNG_AFTER_S for header, _ in view.heard.heartbeats.values())


def data_report(latest: LatestLive, shown: Aged, age_s: float | None) -> DataReport:
    """How fresh the sample is."""
    sample = latest.with_sample.sample if latest.with_sample else None
    if sample is None:
        return DataReport(state=shown.data_state)
    return DataReport(
        state=shown.data_state,
        age_s=age_s,
        sample_time=iso_time(sample.wall_ns),
        seq=sample.seq,
        boot=latest.boot,
    )


def _battery(view: View, shown: Aged) -> BatteryReport | None:
    live = view.heard.live.with_sample
    sample: Sample | None = live.sample if live else None
    if sample is None or not shown.send:
        return None
    return BatteryReport(
        pack_voltage_v=sample.pack_voltage_v,
        pack_current_a=sample.pack_current_a,
        power_w=round(sample.power_w, 1),
        soc_pct=sample.soc_pct,
        soh_pct=sample.soh_pct,
        battery_temperature_c=sample.battery_temperature_c,
        min_cell_voltage_v=sample.min_cell_voltage_v,
        max_cell_voltage_v=sample.max_cell_voltage_v,
        cell_voltages_v=sample.cell_voltages_v,
        online_status=sample.online_status,
    )


def _bus(view: View) -> BusReport:
    beats = view.heard.heartbeats
    return BusReport(
        gaps={name: dict(beat.gaps) for name, (_, beat) in beats.items() if beat.gaps},
        rejected={name: beat.rejected for name, (_, beat) in beats.items() if beat.rejected},
    )


def _can(view: View) -> CanReport:
    can = view.config.can
    age_s, status = _recent(view, view.heard.can)
    if not can.enabled:
        return CanReport(enabled=False, state="disabled", status_age_s=age_s)
    if status is None:
        return CanReport(
            enabled=True,
            state="unknown",
            status_age_s=age_s,
            interface=can.interface,
            channel=can.channel,
        )
    return CanReport(
        enabled=True,
        status_age_s=age_s,
        state=status.state,
        detail=status.detail,
        interface=status.interface or can.interface,
        channel=status.channel or can.channel,
        frames_sent=status.frames_sent,
        send_errors=status.send_errors,
        frames_refused=status.frames_refused,
        frames_received=status.frames_received,
        reopened=status.reopened,
        last_error=status.last_error,
        victron_keepalive_ok=status.victron_keepalive_ok,
        keepalive_age_s=status.keepalive_age_s,
        gx_identified=status.gx_identified,
        max_period_ms=status.max_period_ms,
    )


def _mqtt(view: View) -> MqttReport:
    mqtt = view.config.mqtt
    age_s, status = _recent(view, view.heard.mqtt)
    broker = f"{mqtt.host}:{mqtt.port}"
    if not mqtt.enabled:
        return MqttReport(enabled=False, state="disabled", status_age_s=age_s)
    if status is None:
        return MqttReport(enabled=True, state="unknown", status_age_s=age_s, broker=broker)
    since_ns = status.connected_since_wall_ns
    return MqttReport(
        enabled=True,
        status_age_s=age_s,
        state=status.state,
        broker=status.broker or broker,
        connected=status.connected,
        connected_since=iso_time(since_ns) if since_ns is not None else None,
        reconnects=status.reconnects,
        publish_count=status.publish_count,
        failed_publish_count=status.failed_publish_count,
        last_error_code=status.last_error_code,
        last_error=status.last_error,
        in_flight=status.in_flight,
        last_ack_age_s=status.last_ack_age_s,
    )


def _buffer(view: View) -> BufferReport:
    age_s, status = _recent(view, view.heard.buffer)
    if not view.config.buffer.enabled:
        return BufferReport(enabled=False, state="disabled", status_age_s=age_s)
    if status is None:
        return BufferReport(enabled=True, state="unknown", status_age_s=age_s)
    oldest_ns = status.oldest_wall_ns
    return BufferReport(
        enabled=True,
        status_age_s=age_s,
        state=status.state,
        rows=status.rows,
        bytes=status.bytes,
        oldest=iso_time(oldest_ns) if oldest_ns is not None else None,
        dropped=status.dropped,
        replayed=status.replayed,
        waiting=status.waiting,
        detail=status.detail,
    )
