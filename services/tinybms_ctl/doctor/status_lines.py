"""The lines of `tinybms-ctl status` that are not well: what they say and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_DOCTOR: Final = "tinybms-ctl doctor says why and what to do"
_LOG: Final = "read why: tinybms-ctl logs NAME; then: tinybms-ctl restart NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusLine:
    """A line by name and state. `says` stands in its text; `shows`: what it means."""

    check: str
    state: str
    says: str
    shows: str
    fix: str


def _line(check: str, state: str, says: str, shows: str, fix: str) -> StatusLine:
    return StatusLine(check=check, state=state, says=says, shows=shows, fix=fix)


STATUS_LINES: Final = (
    _line(
        "supervisord",
        "down",
        "",
        "nobody starts a process again that ends",
        "tinybms-ctl up, or start the systemd unit; running processes are taken over",
    ),
    _line(
        "supervisord",
        "hung",
        "",
        "supervisord lives but does not answer",
        "end it with SIGKILL, then: tinybms-ctl up",
    ),
    _line(
        "supervisord",
        "unknown",
        "",
        "this user may not ask it",
        "run this as the gateway's user or as root",
    ),
    _line("process", "down", "", "the process does not run", _LOG),
    _line(
        "process",
        "hung",
        "",
        "the process lives but does nothing: no heartbeat for 10 s",
        "health restarts it by itself; by hand: tinybms-ctl restart NAME",
    ),
    _line(
        "process",
        "starting",
        "",
        "the process began a moment ago (printed as `running starting`)",
        "look again in ten seconds",
    ),
    _line(
        "process",
        "unknown",
        "",
        "this user may not look into gateway.run_dir",
        "run this as the gateway's user or as root",
    ),
    _line(
        "link",
        "fault",
        "nothing is known",
        "acquisition is not heard: no word about the serial line",
        "see the lines acquisition and broker",
    ),
    _line(
        "link",
        "fault",
        "not heard any more",
        "acquisition was heard before and is silent now",
        "see the lines acquisition and broker",
    ),
    _line(
        "link",
        "fault",
        "cannot be opened",
        "the serial port is away, closed to the gateway, or taken",
        "plug the adapter in; tinybms-ctl doctor says which of the three it is",
    ),
    _line(
        "link",
        "fault",
        "does not answer",
        "the port is open, the BMS is silent",
        "check cable, supply of the BMS, and that no Bluetooth module is on its UART",
    ),
    _line(
        "link",
        "fault",
        "another battery",
        "a BMS answers whose serial number is not acquisition.bms_serial",
        "plug in the right one, or set acquisition.bms_serial",
    ),
    _line(
        "link",
        "warning",
        "sleeps",
        "the BMS sleeps, as an empty pack may",
        "charge the battery; a GX on CAN wakes the polling",
    ),
    _line(
        "data",
        "fault",
        "no sample",
        "no answer of the battery since the start; nothing was sent on CAN",
        "see the line link",
    ),
    _line(
        "data",
        "fault",
        "lost",
        "the last answer is older than 30 s; the CAN frames have ended",
        "see the line link",
    ),
    _line(
        "data",
        "warning",
        "stale",
        "the last answer is 10 to 30 s old; charging is asked to stop",
        "see the line link",
    ),
    _line(
        "data",
        "warning",
        "asleep",
        "the BMS sleeps, as an empty pack may",
        "charge the battery",
    ),
    _line("can", "fault", "not heard", "can_out says nothing", "see the line can_out"),
    _line(
        "can",
        "fault",
        "no_adapter",
        "the CAN interface or adapter can't be opened",
        _DOCTOR,
    ),
    _line(
        "can",
        "fault",
        "error",
        "frames are not taken or not acknowledged, or the controller is off the bus",
        "check bitrate, wiring and both 120 ohm terminators",
    ),
    _line(
        "can",
        "fault",
        "waiting",
        "the adapter is open; nothing is sent before the first sample",
        "see the line data",
    ),
    _line(
        "can", "fault", "stale", "the limits step down, for the data are old", "see the line data"
    ),
    _line(
        "can",
        "fault",
        "silent",
        "the frames have ended, for the data are lost",
        "see the line data",
    ),
    _line(
        "can",
        "warning",
        "stopped",
        "the owner has stopped the frames",
        "tinybms-ctl can start",
    ),
    _line(
        "can",
        "warning",
        "service",
        "the owner has asked for frames without data, for some minutes",
        "it ends by itself; at once: tinybms-ctl can service-end",
    ),
    _line(
        "can",
        "warning",
        "no GX is heard",
        "frames go out, but nobody answers with 0x305",
        "choose the CAN-bus BMS LV (500 kbit/s) profile for that port of the GX; check the cable",
    ),
    _line("mqtt", "fault", "not heard", "mqtt_out says nothing", "see the line mqtt_out"),
    _line(
        "mqtt",
        "fault",
        "connecting",
        "there is no connection to the MQTT broker yet",
        f"{_DOCTOR}; the text says what the last try ended with",
    ),
    _line(
        "mqtt",
        "fault",
        "back_off",
        "the last try to connect failed; the next one follows",
        f"{_DOCTOR}; the text says what the last try ended with",
    ),
    _line(
        "mqtt",
        "fault",
        "draining",
        "mqtt_out ends its session, because it stops",
        "nothing while the gateway is being stopped; else look again",
    ),
    _line("buffer_store", "fault", "not heard", "buffer says nothing", "see the line buffer"),
    _line(
        "buffer_store",
        "fault",
        "",
        "records can't be stored while the MQTT broker is away; the text says why",
        "make room on the disk, or check the rights of gateway.state_dir",
    ),
    _line(
        "battery",
        "warning",
        "",
        "the battery warns; this changes the exit code with --check-battery only",
        "the text names the alarm; the page on port 8088 says what to do",
    ),
    _line(
        "battery",
        "fault",
        "",
        "the battery has an alarm; this changes the exit code with --check-battery only",
        "the text names the alarm; the page on port 8088 says what to do",
    ),
)
"""In the order in which status prints them. `process` stands for the name of each process."""
