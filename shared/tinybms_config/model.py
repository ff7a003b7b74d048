"""Every key of gateway.toml with its type, default, allowed range and meaning.

The docstring of a key is its line in the documentation; `Meta` holds what is allowed. Unknown keys
are errors.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Fraction = Annotated[float, Meta(gt=0)]
DeviceName = Annotated[str, Meta(pattern=r"^[a-z0-9_-]+$", max_length=32)]
QosLevel = Annotated[int, Meta(ge=0, le=1)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Gateway(Section, frozen=True, kw_only=True):
    """[gateway]: names and folders that all processes share."""

    device: DeviceName = "pack1"
    run_dir: str = "/run/tinybms"
    state_dir: str = "/var/lib/tinybms"
    log_dir: str = "/var/log/tinybms"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    trust_clock: bool = False


class Ageing(Section, frozen=True, kw_only=True):
    """[ageing]: how old data may grow, in seconds since the last good sample."""

    frozen_after_s: Annotated[float, Meta(ge=1, le=10)] = 3.0
    stale_after_s: Annotated[float, Meta(ge=2, le=60)] = 10.0
    alarm_after_s: Annotated[float, Meta(ge=3, le=90)] = 20.0
    lost_after_s: Annotated[float, Meta(ge=15, le=120)] = 30.0


class Acquisition(Section, frozen=True, kw_only=True):
    """[acquisition]: the serial line to the BMS."""

    port: str = "/dev/serial/by-id/usb-tinybms"
    poll_interval_s: Annotated[float, Meta(ge=0.1, le=2.0)] = 0.1
    allow_writes: bool = False
    quiet_mode: bool = False
    usb_serial: str | None = None
    bms_serial: Annotated[str, Meta(pattern=r"^[0-9a-f]{24}$")] | None = None


class Can(Section, frozen=True, kw_only=True):
    """[can]: the CAN channel to the GX."""

    enabled: bool = True
    interface: Annotated[str, Meta(min_length=1)] = "socketcan"
    channel: Annotated[str, Meta(min_length=1)] = "can0"
    bitrate: Literal[125000, 250000, 500000, 1000000] = 500000
    keepalive_period_ms: Annotated[int, Meta(ge=250, le=1500)] = 1000
    stale_dcl: Literal["hold", "zero"] = "hold"


class MqttTls(Section, frozen=True, kw_only=True):
    """[mqtt.tls]: encryption of the way to the MQTT broker."""

    enabled: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None
    verify: bool = True
    min_version: Literal["1.2", "1.3"] = "1.2"


class MqttGroups(Section, frozen=True, kw_only=True):
    """[mqtt.groups]: which groups of topics are published and announced."""

    cells: bool = True
    statistics: bool = True
    settings: bool = True


class Mqtt(Section, frozen=True, kw_only=True):
    """[mqtt]: the session with the MQTT broker."""

    enabled: bool = True
    host: Annotated[str, Meta(min_length=1, max_length=253)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 1883
    client_id: Annotated[str, Meta(min_length=1, max_length=128)] = "tinybms-pack1"
    root_topic: Annotated[str, Meta(min_length=1, max_length=200)] = "victron/tinybms"
    default_qos: QosLevel = 0
    username: str | None = None
    password_file: str | None = None
    protocol: Literal["3.1.1", "5"] = "3.1.1"
    keepalive_s: Annotated[int, Meta(ge=5, le=300)] = 15
    legacy_topics: bool = False
    discovery: bool = True
    discovery_prefix: Annotated[str, Meta(min_length=1, max_length=100)] = "homeassistant"
    discovery_form: Literal["device", "entities"] = "device"
    discovery_name: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    venus: bool | None = None
    commands: bool = False
    max_silence_s: Annotated[float, Meta(ge=1, le=300)] = 10.0
    max_rate_hz: Annotated[float, Meta(ge=0.1, le=10)] = 5.0
    qos: dict[str, QosLevel] = {}
    deadband: dict[str, Annotated[float, Meta(ge=0)]] = {}
    groups: MqttGroups = MqttGroups()
    tls: MqttTls = MqttTls()


class Buffer(Section, frozen=True, kw_only=True):
    """[buffer]: storage on disk while the MQTT broker is away.

    `max_bytes` counts the database and its log; `ram_only` keeps records in memory alone.
    """

    enabled: bool = True
    replay_rate: Annotated[int, Meta(ge=1, le=1000)] = 100
    max_bytes: Annotated[int, Meta(ge=8 * 1024 * 1024, le=16 * 1024**3)] = 64 * 1024 * 1024
    max_rows: Annotated[int, Meta(ge=1000, le=100_000_000)] = 500_000
    max_age_days: Annotated[float, Meta(gt=0, le=3650)] = 30.0
    ram_only: bool = False


class Health(Section, frozen=True, kw_only=True):
    """[health]: supervision and the HTTP interface."""

    listen: Annotated[str, Meta(pattern=r"^(\[[0-9a-fA-F:]+\]|[0-9A-Za-z.-]+):[0-9]{1,5}$")] = (
        "127.0.0.1:8088"
    )


class Charge(Section, frozen=True, kw_only=True):
    """[charge]: what the owner allows the battery to be charged and discharged with.

    `cell` overrides single voltages of the chemistry preset, in V per cell.
    """

    chemistry: Literal["lifepo4", "nmc", "lto"] = "lifepo4"
    max_charge_current_a: Annotated[float, Meta(ge=0, le=1000)] = 60.0
    max_discharge_current_a: Annotated[float, Meta(ge=0, le=1000)] = 100.0
    cell: dict[str, Annotated[float, Meta(gt=0, lt=5)]] = {}


class Config(Section, frozen=True, kw_only=True):
    """The whole file."""

    gateway: Gateway = Gateway()
    ageing: Ageing = Ageing()
    acquisition: Acquisition = Acquisition()
    can: Can = Can()
    mqtt: Mqtt = Mqtt()
    buffer: Buffer = Buffer()
    health: Health = Health()
    charge: Charge = Charge()
