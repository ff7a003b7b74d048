"""What an observer of the gateway holds: the input of the status document and of its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tinybms_charge.parameters import ChargeParameters
from tinybms_config.model import Config
from tinybms_messages.header import Header
from tinybms_messages.latest import LatestLive
from tinybms_messages.status import BufferStatus, CanStatus, GatewayEvent, Heartbeat, MqttStatus

SupervisorState = Literal["running", "hung", "down", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Memory in RAM, and processor time over the last seconds in percent of one core."""

    rss_bytes: int
    cpu_pct: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """A process as the system and supervisord see it.

    `pid` is 0 when none runs. `supervisor_state` is "" when supervisord does not tell. `frozen`:
    the system says that it is stopped (SIGSTOP).
    """

    pid: int
    supervisor_state: str = ""
    uptime_s: float | None = None
    frozen: bool = False
    error: str = ""
    usage: Usage | None = None
    restarts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorFacts:
    """supervisord itself."""

    state: SupervisorState
    pid: int = 0
    detail: str = ""
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The newest status messages, each with the header it came with."""

    live: LatestLive
    heartbeats: Mapping[str, tuple[Header, Heartbeat]] = field(default_factory=dict)
    can: tuple[Header, CanStatus] | None = None
    mqtt: tuple[Header, MqttStatus] | None = None
    buffer: tuple[Header, BufferStatus] | None = None
    events: tuple[tuple[str, GatewayEvent], ...] = ()
    """(source, event), oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that is known at one moment. `observer` is who looks: health, or tinybms-ctl."""

    observer: str
    version: str
    config: Config
    parameters: ChargeParameters
    boottime_ns: int
    wall_ns: int
    time_ok: bool
    supervisor: SupervisorFacts
    processes: Mapping[str, ProcessFacts]
    heard: Heard
    warnings: tuple[str, ...] = ()
