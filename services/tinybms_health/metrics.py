"""`/metrics`: the status document and the battery as Prometheus text. Pure.

What is not known has no line: a missing figure never looks like 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from tinybms_health.document import ProcessReport, StatusDocument
from tinybms_health.live_report import LiveReport
from tinybms_health.values import PACK_VALUES

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]
Reading = tuple[Labels, float | None]
_NONE: Final[Labels] = {}

_JOULES_PER_KWH: Final = 3_600_000.0
_COULOMBS_PER_AH: Final = 3600.0


class _Page:
    """Collects families in the text format 0.0.4."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def gauge(self, name: str, text: str, readings: Iterable[Reading]) -> None:
        self._family(name, "gauge", text, readings)

    def counter(self, name: str, text: str, readings: Iterable[Reading]) -> None:
        self._family(name, "counter", text, readings)

    def body(self) -> bytes:
        return ("\n".join(self._lines) + "\n").encode()

    def _family(self, name: str, kind: str, text: str, readings: Iterable[Reading]) -> None:
        known = [(labels, value) for labels, value in readings if value is not None]
        if not known:
            return
        self._lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        self._lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in known]


def metrics_page(status: StatusDocument, live: LiveReport) -> bytes:
    """Everything that is known now."""
    page = _Page()
    _gateway(page, status)
    _battery(page, live)
    _limits(page, live)
    _line(page, status)
    _bus(page, status)
    _can(page, status)
    _mqtt(page, status)
    _buffer(page, status)
    _processes(page, status)
    return page.body()


def _one(value: float | None) -> tuple[Reading]:
    return ((_NONE, value),)


def _gateway(page: _Page, status: StatusDocument) -> None:
    labels = {"version": status.version, "device": status.device}
    page.gauge("tinybms_gateway_info", "Version and device of the gateway.", [(labels, 1)])
    page.gauge(
        "tinybms_gateway_status",
        "1 for the status that holds: ok, partial or down.",
        [({"status": name}, name == status.status) for name in ("ok", "partial", "down")],
    )
    page.gauge(
        "tinybms_check_ok",
        "1 while a check finds nothing to do.",
        [({"check": check.name}, check.well) for check in status.checks],
    )


def _battery(page: _Page, live: LiveReport) -> None:
    page.gauge("tinybms_data_age_seconds", "Age of the last sample.", _one(live.data.age_s))
    states = ("unknown", "fresh", "stale", "lost", "asleep")
    page.gauge(
        "tinybms_data_state",
        "1 for the state of the data that holds.",
        [({"state": name}, name == live.data.state) for name in states],
    )
    alarms = [({"alarm": alarm.name}, float(alarm.level)) for alarm in live.alarms]
    page.gauge("tinybms_alarm_level", "1 warning, 2 alarm; only alarms that are on.", alarms)
    page.gauge("tinybms_alarms_active", "Number of alarms that are on.", _one(len(live.alarms)))
    sample, counters = live.sample, live.counters
    if sample is not None:
        for value in PACK_VALUES:
            figure: float | None = getattr(sample, value.key)
            scaled = None if figure is None else figure * value.metric_scale
            page.gauge(value.metric, f"{value.label}.", _one(scaled))
        cells = list(enumerate(sample.cell_voltages_v, start=1))
        page.gauge(
            "tinybms_cell_voltage_volts",
            "Voltage of each cell.",
            [({"cell": str(number)}, voltage_v) for number, voltage_v in cells],
        )
        page.gauge(
            "tinybms_cell_balancing",
            "1 while the cell is balanced.",
            [({"cell": str(n)}, on) for n, on in enumerate(sample.cells_balancing, start=1)],
        )
    if counters is None:
        return
    for name, text, total, scale in (
        ("charged_energy_joules", "Energy charged.", counters.charged_energy_kwh, _JOULES_PER_KWH),
        (
            "discharged_energy_joules",
            "Energy discharged.",
            counters.discharged_energy_kwh,
            _JOULES_PER_KWH,
        ),
        ("charged_coulombs", "Charge put in.", counters.charged_ah, _COULOMBS_PER_AH),
        ("discharged_coulombs", "Charge taken out.", counters.discharged_ah, _COULOMBS_PER_AH),
    ):
        page.counter(f"tinybms_{name}_total", text, _one(None if total is None else total * scale))


def _limits(page: _Page, live: LiveReport) -> None:
    limits = live.limits
    if limits is None:
        return
    page.gauge("tinybms_charge_voltage_limit_volts", "CVL.", _one(limits.charge_voltage_v))
    page.gauge("tinybms_charge_current_limit_amperes", "CCL.", _one(limits.charge_current_a))
    page.gauge("tinybms_discharge_current_limit_amperes", "DCL.", _one(limits.discharge_current_a))
    page.gauge("tinybms_discharge_voltage_limit_volts", "DVL.", _one(limits.discharge_voltage_v))
    binding = [
        ({"limit": limit, "reason": reasons[0].code}, 1.0)
        for limit, reasons in (
            ("charge_voltage", limits.voltage_reasons),
            ("charge_current", limits.charge_reasons),
            ("discharge_current", limits.discharge_reasons),
        )
        if reasons
    ]
    page.gauge("tinybms_limit_reason", "The cap that binds each limit.", binding)


def _line(page: _Page, status: StatusDocument) -> None:
    link = status.link
    if link is None:
        return
    page.counter("tinybms_line_polls_total", "Polls sent to the BMS.", _one(link.polls))
    page.counter("tinybms_line_replies_total", "Valid replies of the BMS.", _one(link.replies))
    page.counter("tinybms_line_timeouts_total", "Polls without an answer.", _one(link.timeouts))
    page.counter("tinybms_line_overruns_total", "Polls that came too late.", _one(link.overruns))
    page.counter("tinybms_line_reopened_total", "Openings of the port anew.", _one(link.reopened))
    page.counter(
        "tinybms_line_errors_total",
        "Damaged answers by kind.",
        [({"kind": kind}, count) for kind, count in sorted(link.line_errors.items())],
    )
    poll_s = None if link.poll_time_ms is None else link.poll_time_ms / 1000
    page.gauge("tinybms_line_poll_time_seconds", "Time of the last poll.", _one(poll_s))


def _bus(page: _Page, status: StatusDocument) -> None:
    gaps = [
        ({"process": process, "stream": stream}, float(count))
        for process, streams in sorted(status.bus.gaps.items())
        for stream, count in sorted(streams.items())
    ]
    page.counter("tinybms_bus_missed_messages_total", "Messages lost on the bus.", gaps)
    rejected = [({"process": name}, count) for name, count in sorted(status.bus.rejected.items())]
    page.counter("tinybms_bus_rejected_messages_total", "Malformed messages.", rejected)


def _can(page: _Page, status: StatusDocument) -> None:
    can = status.can
    if not can.enabled:
        return
    page.counter("tinybms_can_frames_sent_total", "Frames sent.", _one(can.frames_sent))
    page.counter("tinybms_can_frames_received_total", "Frames heard.", _one(can.frames_received))
    page.counter("tinybms_can_send_errors_total", "Frames not sent.", _one(can.send_errors))
    page.counter("tinybms_can_frames_refused_total", "Held back.", _one(can.frames_refused))
    page.counter("tinybms_can_reopened_total", "Openings of the channel.", _one(can.reopened))
    page.gauge("tinybms_can_gx_heard", "1 while a GX is heard.", _one(can.victron_keepalive_ok))
    period_s = None if can.max_period_ms is None else can.max_period_ms / 1000
    page.gauge(
        "tinybms_can_longest_period_seconds",
        "Longest time between two limit frames (0x351) in the last minute.",
        _one(period_s),
    )


def _mqtt(page: _Page, status: StatusDocument) -> None:
    mqtt = status.mqtt
    if not mqtt.enabled:
        return
    page.gauge("tinybms_mqtt_connected", "1 while connected.", _one(mqtt.connected))
    page.counter("tinybms_mqtt_published_total", "Messages sent.", _one(mqtt.publish_count))
    page.counter("tinybms_mqtt_failed_total", "Messages lost.", _one(mqtt.failed_publish_count))
    page.counter("tinybms_mqtt_reconnects_total", "Connections anew.", _one(mqtt.reconnects))
    page.gauge("tinybms_mqtt_in_flight_messages", "Not yet acknowledged.", _one(mqtt.in_flight))
    ack = "Age of the last acknowledgement."
    page.gauge("tinybms_mqtt_last_ack_age_seconds", ack, _one(mqtt.last_ack_age_s))


def _buffer(page: _Page, status: StatusDocument) -> None:
    buffer = status.buffer
    if not buffer.enabled:
        return
    page.gauge("tinybms_buffer_rows", "Records stored.", _one(buffer.rows))
    page.gauge("tinybms_buffer_size_bytes", "Bytes stored.", _one(buffer.bytes))
    page.gauge("tinybms_buffer_waiting_records", "Records in memory.", _one(buffer.waiting))
    page.counter("tinybms_buffer_dropped_total", "Records given up.", _one(buffer.dropped))
    page.counter("tinybms_buffer_replayed_total", "Records replayed.", _one(buffer.replayed))
    oldest_s = None
    if buffer.oldest is not None:
        oldest_s = max(0.0, (_moment(status.time) - _moment(buffer.oldest)).total_seconds())
    page.gauge("tinybms_buffer_oldest_age_seconds", "Age of the oldest record.", _one(oldest_s))


_Figure = Callable[[ProcessReport], float | None]


def _processes(page: _Page, status: StatusDocument) -> None:
    def each(figure: _Figure) -> Iterator[Reading]:
        for name, report in status.processes.items():
            yield {"process": name}, figure(report)

    page.gauge("tinybms_process_up", "1 while it runs.", each(lambda it: it.state == "running"))
    page.gauge(
        "tinybms_process_cpu_ratio",
        "Processor time in parts of one core.",
        each(lambda it: None if it.cpu_pct is None else it.cpu_pct / 100),
    )
    page.gauge("tinybms_process_resident_bytes", "Memory.", each(lambda it: it.rss_bytes))
    page.gauge("tinybms_process_uptime_seconds", "Running for.", each(lambda it: it.uptime_s))
    page.counter("tinybms_process_restarts_total", "Restarts.", each(lambda it: it.restarts))
    page.gauge(
        "tinybms_process_heartbeat_age_seconds",
        "Age of the last heartbeat.",
        each(lambda it: it.heartbeat_age_s),
    )
    page.gauge(
        "tinybms_process_lag_seconds",
        "How late its loop ran at worst in the last second.",
        each(lambda it: None if it.lag_ms is None else it.lag_ms / 1000),
    )
    page.counter(
        "tinybms_process_log_lines_dropped_total",
        "Log lines dropped.",
        each(lambda it: it.log_lines_dropped),
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(round(value, 9))
