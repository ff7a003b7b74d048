"""The one table of what can be wrong: check, level, how it shows, and what to do.

A fault stops data, CAN or MQTT now; everything else is a warning. The page
deploy/docs/troubleshooting.md is made from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that can be wrong. `shows`: what one sees of it; `fix`: what to do."""

    name: str
    check: str
    level: Level
    shows: str
    fix: str


def _fault(name: str, check: str, shows: str, fix: str) -> Trouble:
    return Trouble(name=name, check=check, level=Level.FAULT, shows=shows, fix=fix)


def _warning(name: str, check: str, shows: str, fix: str) -> Trouble:
    return Trouble(name=name, check=check, level=Level.WARNING, shows=shows, fix=fix)


_LOOK_IN_LOG = "read why: tinybms-ctl logs NAME; then: tinybms-ctl restart NAME"

_PROCESSES = (
    _fault(
        "gateway_down",
        "supervisord",
        "no process of the gateway runs",
        "start it: tinybms-ctl up, or start its systemd unit",
    ),
    _warning(
        "supervisord_down",
        "supervisord",
        "the processes run, but nobody would start one again that ends",
        "start it: tinybms-ctl up, which takes the running processes over",
    ),
    _warning(
        "supervisord_hung",
        "supervisord",
        "supervisord lives but does not answer",
        "end it with SIGKILL, then: tinybms-ctl up",
    ),
    _warning(
        "supervisord_unknown",
        "supervisord",
        "this user may not ask supervisord",
        "run this as the gateway's user",
    ),
    _fault(
        "process_down",
        "process",
        "broker, acquisition, can_out or mqtt_out does not run: data, CAN or MQTT stand still",
        _LOOK_IN_LOG,
    ),
    _fault(
        "process_fatal",
        "process",
        "supervisord has given up starting one of these (FATAL)",
        f"health tries again with growing pauses; {_LOOK_IN_LOG}",
    ),
    _fault(
        "process_hung",
        "process",
        "one of these lives but does nothing: no heartbeat for 10 s",
        "health restarts it by itself; by hand: tinybms-ctl restart NAME",
    ),
    _warning(
        "side_process_down",
        "process",
        "health, buffer or an output that is off does not run; data, CAN and MQTT go on",
        _LOOK_IN_LOG,
    ),
    _warning(
        "side_process_hung",
        "process",
        "health, buffer or an output that is off lives but does nothing",
        "tinybms-ctl restart NAME",
    ),
)

_SERIAL = (
    _fault(
        "port_missing",
        "serial_port",
        "the path in acquisition.port is not there",
        "plug the adapter in; see what there is: ls -l /dev/serial/by-id; "
        "or let it be found: tinybms-ctl init",
    ),
    _fault(
        "port_taken_by_driver",
        "serial_port",
        "the kernel sees a USB serial adapter but gives it no port",
        "often brltty has taken it: remove the package brltty, then plug the adapter in again; "
        "else load the kernel module for it",
    ),
    _fault(
        "port_unusable",
        "serial_port",
        "the port is there but can't be opened",
        "check that acquisition.port names the serial adapter, and plug it in again",
    ),
    _warning(
        "port_not_by_id",
        "serial_path",
        "acquisition.port is a name like /dev/ttyUSB0, which can become another adapter's",
        "use the path of the same adapter under /dev/serial/by-id",
    ),
    _fault(
        "port_rights",
        "serial_rights",
        "the gateway's user may not open the serial port",
        "add it to the port's group (usermod -a -G dialout USER), then start the gateway again",
    ),
    _fault(
        "port_taken",
        "serial_owner",
        "another program has the serial port open",
        "end that program, or keep it off the adapter (ModemManager: a udev rule with "
        "ID_MM_DEVICE_IGNORE)",
    ),
    _fault(
        "bms_silent",
        "bms",
        "the port is open, but no valid answer comes",
        "check the cable (TX to RX, ground), that the BMS has supply, and that nothing else, "
        "such as a Bluetooth module, uses its UART",
    ),
    _fault(
        "bms_wrong",
        "bms",
        "another battery than the configured one answers",
        "plug in the right one, or set acquisition.bms_serial",
    ),
    _warning(
        "bms_asleep",
        "bms",
        "the BMS sleeps, as an empty pack may",
        "charge the battery; a GX on CAN wakes the polling",
    ),
    _warning(
        "bms_settling",
        "bms",
        "the BMS answers, but its settings can't be used yet",
        "wait some seconds; if it stays, read: tinybms-ctl logs acquisition",
    ),
    _warning(
        "line_noise",
        "serial_line",
        "more than 1 in 100 answers is damaged or missing",
        "a shorter or shielded cable away from the power cables; see: tinybms-ctl frames",
    ),
    _warning(
        "firmware_old",
        "bms_firmware",
        "the BMS's firmware lacks state of health and restart by SoC",
        "bring it to 2.3.251 or later with the vendor's tool, by cable",
    ),
    _warning(
        "settings_hurt",
        "bms_settings",
        "settings of the BMS that will not work well with an inverter",
        "change them with the vendor's tool; the register numbers are named",
    ),
)

_CAN = (
    _fault(
        "can_missing",
        "can_interface",
        "the CAN interface or adapter is not there",
        "plug it in and check can.interface and can.channel; for socketcan: ip link show",
    ),
    _fault(
        "can_down",
        "can_interface",
        "the CAN interface is down",
        "ip link set CHANNEL up type can bitrate 500000 restart-ms 100",
    ),
    _fault(
        "can_unusable",
        "can_interface",
        "can_out can't open the channel",
        "check can.interface, can.channel, the rights of the port and that nobody else uses it",
    ),
    _fault(
        "can_bitrate",
        "can_bitrate",
        "the interface has another bitrate than can.bitrate",
        "ip link set CHANNEL down; ip link set CHANNEL up type can bitrate 500000 restart-ms 100",
    ),
    _fault(
        "can_bus_off",
        "can_state",
        "the controller has gone off the bus after too many errors (BUS-OFF)",
        "check bitrate, wiring and the two 120 ohm terminators",
    ),
    _fault(
        "can_no_acknowledge",
        "can_state",
        "frames are not acknowledged or not taken: nobody else is on the bus",
        "check the cable, the socket (on a GX the BMS-Can or VE.Can port) and both terminators",
    ),
    _warning(
        "can_queue_short",
        "can_queue",
        "the interface's queue is shorter than a turn of frames",
        "ip link set CHANNEL txqueuelen 100",
    ),
    _warning(
        "can_no_restart",
        "can_restart",
        "the interface stays off the bus after BUS-OFF",
        "on socketcan: ip link set CHANNEL type can restart-ms 100; an slcan adapter can't do it, "
        "can_out opens it again",
    ),
    _fault(
        "can_no_data",
        "can_frames",
        "no frames are sent, for there are no fresh data of the battery",
        "mend what is said about the BMS and the processes",
    ),
    _warning(
        "can_as_asked",
        "can_frames",
        "no frames, or frames without data, as the owner has asked for",
        "end it: tinybms-ctl can start, or tinybms-ctl can service-end",
    ),
    _fault(
        "gx_silent",
        "gx",
        "no GX is heard on CAN (0x305)",
        "choose the CAN-bus BMS (500 kbit/s) profile for that port of the GX; check the cable",
    ),
)

_MQTT = (
    _fault(
        "mqtt_resolve",
        "mqtt_resolve",
        "the name of the MQTT broker is not known",
        "check mqtt.host, and this machine's name server",
    ),
    _fault(
        "mqtt_connect",
        "mqtt_connect",
        "nobody answers at the MQTT broker's address and port",
        "check mqtt.port, that the broker runs and listens there, and any firewall",
    ),
    _fault(
        "mqtt_tls",
        "mqtt_tls",
        "the encrypted connection to the MQTT broker fails",
        "check [mqtt.tls] and the clocks; for details: tinybms-ctl mqtt test",
    ),
    _warning(
        "mqtt_tls_ends",
        "mqtt_tls",
        "a certificate ends in less than 14 days, or is not checked",
        "renew it in time; set mqtt.tls.verify = true",
    ),
    _fault(
        "mqtt_login",
        "mqtt_login",
        "the MQTT broker refuses the user name or password",
        "check mqtt.username and mqtt.password_file (or TINYBMS_MQTT_PASSWORD)",
    ),
    _fault(
        "mqtt_publish",
        "mqtt_publish",
        "the MQTT broker does not let us write or read",
        "let the broker's access list (ACL) allow this user to write and read below the root topic",
    ),
    _fault(
        "mqtt_session",
        "mqtt_session",
        "mqtt_out has no connection",
        "mend what is said about the broker; read: tinybms-ctl logs mqtt_out",
    ),
    _warning(
        "mqtt_own_try",
        "mqtt",
        "mqtt_out is connected, but this user's own try failed",
        "run this as the gateway's user, with its environment",
    ),
)

_REST = (
    _fault(
        "no_data",
        "data",
        "there are no fresh data of the battery",
        "mend what is said about the processes, the port and the BMS",
    ),
    _warning(
        "data_age",
        "data",
        "the data grow old",
        "wait some seconds and look again; see: tinybms-ctl frames",
    ),
    _warning(
        "storage_off",
        "buffer_store",
        "records can't be stored while the MQTT broker is away",
        "make room on the disk, or check the rights of gateway.state_dir",
    ),
    _warning(
        "clock_off",
        "clock",
        "the clock of this machine is not set by a time server",
        "switch NTP on (timedatectl set-ntp true), or set gateway.trust_clock = true",
    ),
    _warning(
        "disk_full",
        "disk",
        "little room is left on a disk of the gateway",
        "make room; the gateway's own logs and buffer are bounded",
    ),
    _warning(
        "not_allowed",
        "rights",
        "this user may not look into gateway.run_dir",
        "run this as the gateway's user, or be of its group",
    ),
)

TROUBLES: Final = {row.name: row for row in (*_PROCESSES, *_SERIAL, *_CAN, *_MQTT, *_REST)}
"""By name."""

_HEAD: Final = """# Troubleshooting

`tinybms-ctl doctor` looks at all of this and says what is wrong and what to do; it exits with 0
when nothing stops data, CAN or MQTT (there may be warnings), with 1 when something does, and with 3
when it could not look. While a process owns a port or channel, doctor asks that process and never
opens the device itself. `tinybms-ctl doctor --json` is for programs; `tinybms-ctl support-bundle`
packs everything for somebody else to look at, without secrets.

A line named `process` stands under the name of the process itself: `acquisition: down ...`.

This page is made by `make docs`.
"""
_GROUPS: Final = (
    ("Processes", _PROCESSES),
    ("Serial line and BMS", _SERIAL),
    ("CAN", _CAN),
    ("MQTT", _MQTT),
    ("Data and machine", _REST),
)


def markdown() -> str:
    """The table as a page, by symptom."""
    parts = [_HEAD]
    for title, rows in _GROUPS:
        lines = [
            f"## {title}",
            "",
            "| what one sees | line of doctor | what to do |",
            "|---|---|---|",
        ]
        lines += [f"| {row.shows} | `{row.check}: {row.level}` | {row.fix} |" for row in rows]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)
