"""Every key of gateway.toml with its type, default, allowed range and meaning.

Type and `Meta` of a key say what is allowed, its description what it means; the reference in
deploy/docs/configuration.md and the example file are made from them. Unknown keys are errors.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

DeviceName = Annotated[str, Meta(pattern=r"^[a-z0-9_-]+$", max_length=32)]
QosLevel = Annotated[int, Meta(ge=0, le=1)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Gateway(Section, frozen=True, kw_only=True):
    """[gateway]: names and folders that all processes share."""

    device: Annotated[
        DeviceName, Meta(description="name of the pack in topics, on the bus and on CAN")
    ] = "pack1"
    run_dir: Annotated[str, Meta(description="sockets, locks and short-lived state")] = (
        "/run/tinybms"
    )
    state_dir: Annotated[str, Meta(description="counters and stored records")] = "/var/lib/tinybms"
    log_dir: Annotated[str, Meta(description="one log for each process")] = "/var/log/tinybms"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="least level of log lines")
    ] = "info"
    trust_clock: Annotated[
        bool, Meta(description="take the wall clock as right without asking the kernel")
    ] = False


class Ageing(Section, frozen=True, kw_only=True):
    """[ageing]: how old data may grow, in seconds since the last good sample."""

    frozen_after_s: Annotated[
        float, Meta(ge=1, le=10, description="from here limits may only fall")
    ] = 3.0
    stale_after_s: Annotated[
        float, Meta(ge=2, le=60, description="no charge current, float voltage, a warning")
    ] = 10.0
    alarm_after_s: Annotated[
        float, Meta(ge=3, le=90, description="an alarm; discharge by can.stale_dcl")
    ] = 20.0
    lost_after_s: Annotated[
        float, Meta(ge=15, le=120, description="silence on CAN: the GX's own rule takes over")
    ] = 30.0


class Acquisition(Section, frozen=True, kw_only=True):
    """[acquisition]: the serial line to the BMS."""

    port: Annotated[str, Meta(description="path of the serial port")] = (
        "/dev/serial/by-id/usb-tinybms"
    )
    poll_interval_s: Annotated[
        float, Meta(ge=0.1, le=2.0, description="time between two snapshots")
    ] = 0.1
    allow_writes: Annotated[
        bool, Meta(description="let the BMS's SoC be set to 100 % at a true full charge")
    ] = False
    quiet_mode: Annotated[
        bool, Meta(description="let an empty pack sleep while no GX is heard")
    ] = False
    usb_serial: Annotated[
        str | None, Meta(description="serial number of the USB adapter, to find it at another path")
    ] = None
    bms_serial: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9a-f]{24}$")] | None,
        Meta(description="serial number of the BMS; any other battery is refused"),
    ] = None


class Can(Section, frozen=True, kw_only=True):
    """[can]: the CAN channel to the GX."""

    enabled: Annotated[bool, Meta(description="send to a GX")] = True
    interface: Annotated[str, Meta(min_length=1, description="name of a python-can interface")] = (
        "socketcan"
    )
    channel: Annotated[
        str, Meta(min_length=1, description="its channel; for slcan the path of the port")
    ] = "can0"
    bitrate: Annotated[
        Literal[125000, 250000, 500000, 1000000], Meta(description="bit/s; a GX wants 500000")
    ] = 500000
    keepalive_period_ms: Annotated[
        int, Meta(ge=250, le=1500, description="period of frame 0x351 and of the MQTT heartbeat")
    ] = 1000
    stale_dcl: Annotated[
        Literal["hold", "zero"],
        Meta(description="discharge limit once an alarm is due: held in mid-range only, or zero"),
    ] = "hold"


class MqttTls(Section, frozen=True, kw_only=True):
    """[mqtt.tls]: encryption of the way to the MQTT broker."""

    enabled: Annotated[bool, Meta(description="use TLS")] = False
    ca_file: Annotated[
        str | None, Meta(description="certificates that are trusted; without it the system's")
    ] = None
    cert_file: Annotated[
        str | None, Meta(description="our certificate, together with key_file")
    ] = None
    key_file: Annotated[str | None, Meta(description="key of our certificate")] = None
    server_name: Annotated[
        str | None, Meta(description="name in the broker's certificate where it is not mqtt.host")
    ] = None
    verify: Annotated[bool, Meta(description="check the broker's certificate")] = True
    min_version: Annotated[Literal["1.2", "1.3"], Meta(description="oldest TLS that is used")] = (
        "1.2"
    )


class MqttGroups(Section, frozen=True, kw_only=True):
    """[mqtt.groups]: which groups of topics are published and announced."""

    cells: Annotated[bool, Meta(description="the voltage of each cell")] = True
    statistics: Annotated[bool, Meta(description="the BMS's own statistics")] = True
    settings: Annotated[bool, Meta(description="the BMS's settings")] = True


class Mqtt(Section, frozen=True, kw_only=True):
    """[mqtt]: the session with the MQTT broker."""

    enabled: Annotated[bool, Meta(description="publish by MQTT")] = True
    host: Annotated[
        str, Meta(min_length=1, max_length=253, description="name or address of the broker")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port of the broker")] = 1883
    client_id: Annotated[
        str, Meta(min_length=1, max_length=128, description="must be unique on that broker")
    ] = "tinybms-pack1"
    root_topic: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            description="start of every topic; {device} stands for gateway.device",
        ),
    ] = "victron/tinybms"
    default_qos: Annotated[
        QosLevel, Meta(description="QoS of telemetry; critical values use 1")
    ] = 0
    username: Annotated[
        str | None,
        Meta(description="user name; a password without one goes with client_id as the name"),
    ] = None
    password_file: Annotated[
        str | None, Meta(description="file with the password; or set TINYBMS_MQTT_PASSWORD")
    ] = None
    protocol: Annotated[Literal["3.1.1", "5"], Meta(description="version of MQTT")] = "3.1.1"
    keepalive_s: Annotated[int, Meta(ge=5, le=300, description="longest silence before a ping")] = (
        15
    )
    legacy_topics: Annotated[
        bool, Meta(description="also publish the names of the earlier firmware")
    ] = False
    discovery: Annotated[bool, Meta(description="announce the battery to Home Assistant")] = True
    discovery_prefix: Annotated[
        str,
        Meta(min_length=1, max_length=100, description="where Home Assistant looks for devices"),
    ] = "homeassistant"
    discovery_form: Annotated[
        Literal["device", "entities"],
        Meta(description="one message for the device, or one for each entity (before 2024.12)"),
    ] = "device"
    discovery_name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64)] | None,
        Meta(description="name of the device in Home Assistant"),
    ] = None
    venus: Annotated[
        bool | None,
        Meta(description="feed dbus-mqtt-battery; without it only when CAN is off"),
    ] = None
    commands: Annotated[
        bool, Meta(description="take the owner's commands on cmd/<name>; see modes-and-commands.md")
    ] = False
    max_silence_s: Annotated[
        float, Meta(ge=1, le=300, description="an unchanged value is repeated after this time")
    ] = 10.0
    max_rate_hz: Annotated[
        float, Meta(ge=0.1, le=10, description="most messages a second for each topic")
    ] = 5.0
    qos: Annotated[dict[str, QosLevel], Meta(description="QoS of single topics, by suffix")] = {}
    deadband: Annotated[
        dict[str, Annotated[float, Meta(ge=0)]],
        Meta(description="smallest change that is published, by suffix"),
    ] = {}
    groups: MqttGroups = MqttGroups()
    tls: MqttTls = MqttTls()


class Buffer(Section, frozen=True, kw_only=True):
    """[buffer]: storage on disk while the MQTT broker is away."""

    enabled: Annotated[bool, Meta(description="keep critical records while MQTT is away")] = True
    replay_rate: Annotated[
        int, Meta(ge=1, le=1000, description="stored messages sent in a second")
    ] = 100
    max_bytes: Annotated[
        int,
        Meta(
            ge=8 * 1024 * 1024,
            le=16 * 1024**3,
            description="most room for the database and its log",
        ),
    ] = 64 * 1024 * 1024
    max_rows: Annotated[
        int, Meta(ge=1000, le=100_000_000, description="most records that are kept")
    ] = 500_000
    max_age_days: Annotated[
        float, Meta(gt=0, le=3650, description="older records are given up")
    ] = 30.0
    ram_only: Annotated[bool, Meta(description="keep records in memory alone")] = False


class Health(Section, frozen=True, kw_only=True):
    """[health]: supervision and the HTTP interface."""

    listen: Annotated[
        str,
        Meta(
            pattern=r"^(\[[0-9a-fA-F:]+\]|[0-9A-Za-z.-]+):[0-9]{1,5}$",
            description="address and port of the HTTP interface",
        ),
    ] = "127.0.0.1:8088"
    token_file: Annotated[
        str | None,
        Meta(description="file with the token that other machines must show to read it"),
    ] = None
    history: Annotated[
        bool, Meta(description="keep the figures of 30 days in a file of state_dir")
    ] = True


class Charge(Section, frozen=True, kw_only=True):
    """[charge]: what the owner allows the battery to be charged and discharged with."""

    chemistry: Annotated[
        Literal["lifepo4", "nmc", "lto"], Meta(description="preset of voltages and temperatures")
    ] = "lifepo4"
    max_charge_current_a: Annotated[
        float, Meta(ge=0, le=1000, description="most that the charge limit can be")
    ] = 60.0
    max_discharge_current_a: Annotated[
        float, Meta(ge=0, le=1000, description="most that the discharge limit can be")
    ] = 100.0
    cell: Annotated[
        dict[str, Annotated[float, Meta(gt=0, lt=5)]],
        Meta(description="single voltages of the preset, in V per cell"),
    ] = {}


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
