"""Judgements about the CAN channel and the GX: pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tinybms_config.model import Can
from tinybms_ctl.doctor.facts import CanFacts, Facts
from tinybms_ctl.doctor.finding import Finding, good, trouble
from tinybms_ctl.doctor.table import TROUBLES
from tinybms_health.document import CanReport

SHORTEST_QUEUE: Final = 20
"""About 15 frames go out in one turn."""
BUS_OFF: Final = "BUS-OFF"
SLCAN_RESTARTS: Final = "nothing to do: an slcan adapter has none, can_out opens it again"
_NO_DATA: Final = frozenset({"waiting", "stale", "silent"})
_ASKED: Final = frozenset({"stopped", "service"})


def can_findings(facts: Facts) -> Iterator[Finding]:
    """Interface, bitrate, controller, queue, restart, frames and GX, as far as known."""
    config, report = facts.config.can, facts.document.can
    if not config.enabled:
        yield good("can_interface", "CAN is disabled")
        return
    where = f"{config.interface} {config.channel}"
    system = facts.can
    interface = _interface(where, config, system, report)
    yield interface
    if system is not None and system.exists:
        yield from _set_up(config, system)
    if interface.trouble:
        return
    controller = _controller(where, system, report)
    if controller is not None:
        yield controller
    if report.state == "unknown":
        return
    yield from _frames(report)
    if report.state != "error":
        yield _gx(report)


def _interface(where: str, can: Can, system: CanFacts | None, report: CanReport) -> Finding:
    if system is not None and not system.exists:
        return trouble("can_missing", f"{where}: not there")
    if system is not None and system.up is False:
        return _set_up_wrong("can_down", f"{where}: down", can)
    if report.state == "no_adapter":
        return trouble("can_unusable", f"{where}: {report.detail or 'cannot be opened'}")
    return good("can_interface", where)


def _set_up(can: Can, system: CanFacts) -> Iterator[Finding]:
    """How the interface is set up; an slcan adapter shows none of it but lacks the restart."""
    if system.bitrate is not None:
        text = f"{system.bitrate} bit/s"
        if system.bitrate == can.bitrate:
            yield good("can_bitrate", text)
        else:
            yield _set_up_wrong("can_bitrate", f"{text} instead of {can.bitrate}", can)
    if system.tx_queue is not None:
        text = f"room for {system.tx_queue} frames"
        short = system.tx_queue < SHORTEST_QUEUE
        yield _set_up_wrong("can_queue_short", text, can) if short else good("can_queue", text)
    if can.interface == "slcan":
        yield trouble("can_no_restart", "no restart-ms", fix=SLCAN_RESTARTS)
    elif system.restart_ms:
        yield good("can_restart", f"restart-ms {system.restart_ms}")
    elif system.restart_ms == 0:
        yield _set_up_wrong("can_no_restart", "no restart-ms", can)


def _set_up_wrong(name: str, text: str, can: Can) -> Finding:
    """A trouble whose fix is a command for this very channel and bitrate."""
    fix = TROUBLES[name].fix.replace("CHANNEL", can.channel).replace("500000", str(can.bitrate))
    return trouble(name, text, fix=fix)


def _controller(where: str, system: CanFacts | None, report: CanReport) -> Finding | None:
    state = system.controller if system else None
    if state == BUS_OFF or report.detail == "bus off":
        return trouble("can_bus_off", f"{where}: off the bus")
    if report.state == "error":
        return trouble("can_no_acknowledge", f"{where}: {report.detail}")
    if state == "ERROR-PASSIVE":
        return trouble("can_no_acknowledge", f"{where}: {state}")
    if report.state == "unknown" and state is None:
        return None
    text = f"{report.send_errors or 0} send errors, opened again {report.reopened or 0} times"
    return good("can_state", f"{state}, {text}" if state else text)


def _frames(report: CanReport) -> Iterator[Finding]:
    if report.state in _NO_DATA:
        yield trouble("can_no_data", f"{report.state}: {report.detail}")
    elif report.state in _ASKED:
        yield trouble("can_as_asked", report.detail)
    elif report.state == "sending":
        yield good("can_frames", f"{report.frames_sent} sent")


def _gx(report: CanReport) -> Finding:
    if not report.victron_keepalive_ok:
        age_s = report.keepalive_age_s
        since = "never since the start" if age_s is None else f"last {age_s:.0f} s ago"
        return trouble("gx_silent", f"0x305 heard {since}")
    return good("gx", "heard" + (", says VIC" if report.gx_identified else ""))
