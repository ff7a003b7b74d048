"""What doctor knows before it judges."""

from __future__ import annotations

from dataclasses import dataclass

from tinybms_config.model import Config
from tinybms_ctl.mqtt_finding import MqttFinding
from tinybms_health.document import StatusDocument
from tinybms_messages.line import FramesNow
from tinybms_messages.registers import BmsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFacts:
    """What came of asking the BMS ourselves, while nobody owned the port.

    `firmware` (register 502) when it answered, else `error`; `opened`: the port could be opened.
    """

    opened: bool
    firmware: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortFacts:
    """The serial port. `usable`: its rights let the gateway's user in, None when not known.

    `users`: other programs that have it open. `usb_without_port`: USB serial adapters that the
    kernel sees but that have no port. `probe` is None while acquisition owns the port.
    """

    path: str
    exists: bool
    stable: bool
    usable: bool | None = None
    users: tuple[str, ...] = ()
    usb_without_port: tuple[str, ...] = ()
    probe: ProbeFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanFacts:
    """The CAN channel as the system shows it; None is not known."""

    exists: bool
    up: bool | None = None
    bitrate: int | None = None
    controller: str | None = None
    """ERROR-ACTIVE, ERROR-WARNING, ERROR-PASSIVE, BUS-OFF or STOPPED."""
    tx_queue: int | None = None
    restart_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """What brings the CAN interface up at the next start of the machine.

    `file`: what does it, "" when nothing is found. The rest is known for a file of
    systemd-networkd alone: its `bitrate` and `restarts` after bus-off, and whether networkd itself
    starts with the machine (`enabled`).
    """

    file: str = ""
    networkd: bool = False
    enabled: bool = True
    bitrate: int | None = None
    restarts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupFacts:
    """How the machine is set up. `network` is None where it brings up no CAN interface itself.

    `unit`: enabled, disabled, masked, missing, or "" where it does not matter: no systemd, or not
    the configuration that the unit starts. `udev_rule`: the file of ours, "" without one.
    `usb_port`: the port is there and a USB adapter; `kept_off`: udev tells ModemManager to leave it
    alone. `brltty`: installed and free to start.
    """

    unit: str = ""
    udev_rule: str = ""
    rule_needed: bool = False
    usb_port: bool = False
    modem_manager: bool = False
    kept_off: bool = False
    brltty: bool = False
    network: NetworkFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """Room on the disk of one folder."""

    folder: str
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything. `may_look`: this user may look into run_dir.

    `line` and `settings` come from acquisition, None when it does not say.
    """

    config: Config
    document: StatusDocument
    may_look: bool
    time_ok: bool
    port: PortFacts
    can: CanFacts | None = None
    setup: SetupFacts = SetupFacts()
    line: FramesNow | None = None
    settings: BmsSettings | None = None
    mqtt: tuple[MqttFinding, ...] = ()
    disks: tuple[DiskFacts, ...] = ()
