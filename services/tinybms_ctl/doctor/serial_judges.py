"""Judgements about the serial port, the line and the BMS: pure."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Final

from tinybms_ctl.doctor.facts import Facts, PortFacts, ProbeFacts
from tinybms_ctl.doctor.finding import Finding, good, sentence, trouble
from tinybms_messages.live import Link
from tinybms_protocol.register_model import FIRMWARE_REV_D

NOISY_SHARE: Final = 0.01
FEW_POLLS: Final = 100
_NO_RIGHTS: Final = os.strerror(errno.EACCES)
_TAKEN: Final = "another program uses the port"
_UNKNOWN: Final = "unknown_"


def serial_findings(facts: Facts) -> Iterator[Finding]:
    """Port, rights, owner, BMS, line, firmware and settings, as far as they can be known."""
    port = facts.port
    link = link_of(facts)
    opened = link.state != "no_port" if link else None
    detail = link.detail if link and link.state == "no_port" else ""
    if port.probe is not None:
        opened, detail = port.probe.opened, port.probe.error
    finding = _port(port, detail, opened=opened)
    yield finding
    if not port.stable:
        yield trouble("port_not_by_id", port.path)
    elif port.exists:
        yield good("serial_path", "a name that stays with the adapter")
    if finding.trouble in {"port_missing", "port_taken_by_driver"}:
        return
    if opened and not port.users:
        yield good("serial_rights", "the port can be opened")
        yield good("serial_owner", "no other program has it open")
    bms = _bms(port.probe, link)
    if bms is not None:
        yield bms
    if link is not None and link.state == "online":
        yield _line(link)
    yield from _firmware(facts)
    yield from _settings(facts)


def link_of(facts: Facts) -> Link | None:
    """The line as acquisition itself says now, else as it was heard last while that is true."""
    if facts.line is not None:
        return facts.line.link
    fresh = facts.document.data.state in {"fresh", "asleep", "unknown"}
    acquisition = facts.document.processes["acquisition"]
    return facts.document.link if fresh and acquisition.state == "running" else None


def _port(port: PortFacts, detail: str, *, opened: bool | None) -> Finding:
    if not port.exists and not opened:
        if port.usb_without_port:
            return trouble(
                "port_taken_by_driver",
                f"{port.path}: not there, while the kernel sees {sentence(port.usb_without_port)}",
            )
        return trouble("port_missing", f"{port.path}: not there")
    if port.usable is False or _NO_RIGHTS in detail:
        return trouble("port_rights", detail or f"{port.path}: no rights to read and write")
    if port.users or _TAKEN in detail:
        who = f"{port.path}: open in {sentence(port.users)}" if port.users else detail
        return trouble("port_taken", who)
    if opened is False:
        return trouble("port_unusable", detail or port.path)
    return good("serial_port", port.path)


def _bms(probe: ProbeFacts | None, link: Link | None) -> Finding | None:
    """Of the BMS itself; None when the port can't be opened or nobody says."""
    if probe is not None:
        return _probed(probe) if probe.opened else None
    if link is None or link.state == "no_port":
        return None
    if link.state != "online":
        kind = {"asleep": "bms_asleep", "wrong_battery": "bms_wrong"}.get(link.state, "bms_silent")
        return trouble(kind, link.detail)
    if link.detail:
        return trouble("bms_settling", link.detail)
    return good("bms", f"{link.replies} replies to {link.polls} polls")


def _probed(probe: ProbeFacts) -> Finding:
    if probe.firmware is None:
        return trouble("bms_silent", probe.error)
    return good("bms", f"answered doctor itself: firmware 2.3.{probe.firmware}")


def _line(link: Link) -> Finding:
    bad = sum(link.line_errors.values()) + link.timeouts
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(link.line_errors.items()))
    text = f"{bad} errors in {link.polls} polls" + (f" ({kinds})" if kinds else "")
    if link.polls >= FEW_POLLS and bad > NOISY_SHARE * link.polls:
        return trouble("line_noise", text)
    return good("serial_line", text)


def _firmware(facts: Facts) -> Iterator[Finding]:
    identity = facts.document.identity
    probe = facts.port.probe
    firmware = probe.firmware if probe else identity.firmware if identity else None
    if firmware is None:
        return
    if firmware < FIRMWARE_REV_D:
        yield trouble("firmware_old", f"2.3.{firmware}, older than 2.3.{FIRMWARE_REV_D}")
    else:
        yield good("bms_firmware", f"2.3.{firmware}")


def _settings(facts: Facts) -> Iterator[Finding]:
    settings = facts.settings
    found = list(facts.document.advisories)
    if settings is not None:
        found += settings.warnings
        values = {value.key: value for value in settings.values}
        mode = values.get("operation_mode")
        if mode is not None and mode.value == "single_port":
            found.append(
                f"Single port mode (register {mode.address}): the one switch opens when a cell is "
                "full, which takes the battery off the inverter"
            )
        found += [
            f"Register {value.address} ({value.key}) holds {value.raw}, which has no known meaning"
            for value in settings.values
            if isinstance(value.value, str) and value.value.startswith(_UNKNOWN)
        ]
    if found:
        yield trouble("settings_hurt", sentence(text.rstrip(".") for text in found))
    elif settings is not None:
        yield good("bms_settings", "nothing in them will hurt")
