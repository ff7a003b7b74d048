"""A gateway in which all is well, as health sees it, to be changed in the one place of a test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from fake_live import fake_live, fake_sample
from tinybms_charge.parameters import charge_parameters
from tinybms_config.model import Config
from tinybms_health.view import Heard, ProcessFacts, SupervisorFacts, Usage, View
from tinybms_messages.header import Header
from tinybms_messages.latest import LatestLive
from tinybms_messages.live import LiveData
from tinybms_messages.status import BufferStatus, CanStatus, Heartbeat, MqttStatus
from tinybms_runtime.processes import NAMES

BOOT_ID = "boot-of-the-test"
NOW_NS = 1_000_000_000_000
WALL_NS = 1_795_600_000_123_000_000
FIRST_PID = 101


def header(source: str, *, age_s: float = 0.2, seq: int = 1) -> Header:
    """A header sent `age_s` ago."""
    return Header(
        source=source,
        boot=source.ljust(16, "0"),
        seq=seq,
        wall_ns=WALL_NS,
        boottime_ns=NOW_NS - round(age_s * 1e9),
        kernel_boot_id=BOOT_ID,
        time_ok=True,
    )


def heartbeat(name: str, **changes: object) -> Heartbeat:
    """A heartbeat of a process that is well."""
    values: dict[str, object] = {
        "state": "working",
        "pid": FIRST_PID + NAMES.index(name),
        "uptime_s": 100.0,
        "lag_ms": 0.5,
        "cpu_s": 1.0,
        "rss_bytes": 20_000_000,
        "version": "0.1.0",
    }
    return Heartbeat(**cast("dict[str, Any]", {**values, **changes}))


def fake_latest(live: LiveData | None = None, *, age_s: float = 0.1) -> LatestLive:
    """The newest LIVE_DATA, with a sample `age_s` old."""
    latest = LatestLive(kernel_boot_id=BOOT_ID)
    if live is None:
        live = fake_live(sample=fake_sample(boottime_ns=NOW_NS - round(age_s * 1e9)))
    latest.offer(header("acquisition", age_s=0.0), live)
    return latest


def fake_heard(**changes: object) -> Heard:
    """Everybody was heard a moment ago."""
    heard = Heard(
        live=fake_latest(),
        heartbeats={name: (header(name), heartbeat(name)) for name in NAMES},
        can=(
            header("can_out"),
            CanStatus(
                state="sending",
                interface="slcan",
                channel="/dev/ttyACM0",
                frames_sent=190,
                victron_keepalive_ok=True,
            ),
        ),
        mqtt=(
            header("mqtt_out"),
            MqttStatus(state="online", connected=True, publish_count=55, broker="127.0.0.1:1883"),
        ),
        buffer=(header("buffer"), BufferStatus(state="idle")),
    )
    return replace(heard, **cast("dict[str, Any]", changes))


def fake_view(config: Config | None = None, **changes: object) -> View:
    """Everything runs and data are fresh."""
    config = config or Config()
    view = View(
        observer="health",
        version="0.1.0",
        config=config,
        parameters=charge_parameters(config),
        boottime_ns=NOW_NS,
        wall_ns=WALL_NS,
        time_ok=True,
        supervisor=SupervisorFacts(state="running", pid=100),
        processes={name: facts(name) for name in NAMES},
        heard=fake_heard(),
    )
    return replace(view, **cast("dict[str, Any]", changes))


def facts(name: str, **changes: object) -> ProcessFacts:
    """A process that runs, as supervisord and the system see it."""
    known = ProcessFacts(
        pid=FIRST_PID + NAMES.index(name),
        supervisor_state="RUNNING",
        uptime_s=100.0,
        usage=Usage(rss_bytes=20_000_000, cpu_pct=0.4),
        restarts=0,
    )
    return replace(known, **cast("dict[str, Any]", changes))
