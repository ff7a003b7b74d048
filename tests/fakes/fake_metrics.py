"""`/metrics` of a gateway in which every family has a line."""

from __future__ import annotations

from dataclasses import replace

from fake_live import fake_alarms, fake_limits, fake_live, fake_sample
from fake_view import NOW_NS, WALL_NS, fake_heard, fake_latest, fake_view, header, heartbeat
from tinybms_charge.parameters import charge_parameters
from tinybms_config.model import Config
from tinybms_health.live_report import LiveView, live_report
from tinybms_health.metrics import metrics_page
from tinybms_health.status import status_document
from tinybms_messages.live import Counters, Link, Reason
from tinybms_messages.status import BufferStatus, CanStatus, MqttStatus
from tinybms_runtime.processes import NAMES


def full_metrics() -> str:
    """Everything is known, and something is wrong everywhere."""
    reason = Reason(code="user", text="limit of the configuration", value=60.0)
    live = fake_live(
        sample=fake_sample(boottime_ns=NOW_NS - 100_000_000),
        alarms=fake_alarms(high_voltage=2, low_soc=1),
        limits=fake_limits(
            charge_reasons=(reason,), voltage_reasons=(reason,), discharge_reasons=(reason,)
        ),
        counters=Counters(
            charged_energy_kwh=1.5, discharged_energy_kwh=1.25, charged_ah=30.0, discharged_ah=25.0
        ),
        link=Link(state="online", polls=10, replies=9, line_errors={"crc": 1}, poll_time_ms=4.5),
    )
    latest = fake_latest(live)
    beats = {
        name: (header(name), heartbeat(name, gaps={"LIVE_DATA acquisition": 2}, rejected=1))
        for name in NAMES
    }
    heard = replace(
        fake_heard(),
        live=latest,
        heartbeats=beats,
        can=(
            header("can_out"),
            CanStatus(state="sending", victron_keepalive_ok=False, max_period_ms=1001.5),
        ),
        mqtt=(header("mqtt_out"), MqttStatus(state="online", connected=True, last_ack_age_s=0.5)),
        buffer=(
            header("buffer"),
            BufferStatus(state="storing", rows=5, oldest_wall_ns=WALL_NS - 90_000_000_000),
        ),
    )
    view = LiveView(
        device="pack1",
        parameters=charge_parameters(Config()),
        latest=latest,
        boottime_ns=NOW_NS,
        wall_ns=WALL_NS,
        time_ok=True,
        alarms_since={},
    )
    document = status_document(fake_view(heard=heard))
    return metrics_page(document, live_report(view)).decode()


def families(page: str) -> set[str]:
    """The names of the metrics in a page."""
    return {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")}
