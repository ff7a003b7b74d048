"""Collect what doctor judges: asks the owners of devices, opens a device only without an owner."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec

from tinybms_config.model import Config
from tinybms_config.parse import Parsed
from tinybms_ctl.asking import NotAnswered, ask
from tinybms_ctl.doctor.facts import Facts, PortFacts, ProbeFacts
from tinybms_ctl.doctor.host import (
    can_facts,
    disks,
    is_stable,
    may_use,
    usb_without_port,
    users_of,
)
from tinybms_ctl.doctor.setup import setup_facts
from tinybms_ctl.look import look
from tinybms_ctl.mqtt_check import mqtt_check
from tinybms_ctl.probe import probe
from tinybms_messages.codec import Message
from tinybms_messages.line import FramesNow, ShowFrames
from tinybms_messages.registers import BmsSettings
from tinybms_messages.topics import BMS_SETTINGS
from tinybms_runtime.bus import Bus
from tinybms_runtime.clock import SystemClock
from tinybms_runtime.lock import holder_pid
from tinybms_runtime.loop import Loop
from tinybms_runtime.paths import Paths

SETTINGS_WAIT_S = 1.5
_ALIVE = frozenset({"running", "starting"})


def gather(parsed: Parsed, file: Path) -> Facts:
    """Everything; takes some seconds, more when something does not answer.

    `file`: where the configuration was read, for the service starts one of them alone.
    """
    config = parsed.config
    paths = Paths.of(config)
    may_look = not paths.run_dir.exists() or os.access(paths.run_dir, os.X_OK | os.R_OK)
    document = look(parsed)
    alive = {name for name, report in document.processes.items() if report.state in _ALIVE}
    line = frames_of(config) if "acquisition" in alive else None
    return Facts(
        config=config,
        document=document,
        may_look=may_look,
        time_ok=SystemClock(trust_clock=config.gateway.trust_clock).time_ok(),
        port=_port(config, paths, line, may_look=may_look),
        can=can_facts(config.can) if config.can.enabled else None,
        setup=setup_facts(config, file),
        line=line,
        settings=_settings(config) if {"acquisition", "broker"} <= alive else None,
        mqtt=tuple(mqtt_check(config)) if config.mqtt.enabled else (),
        disks=disks(paths),
    )


def frames_of(config: Config) -> FramesNow | None:
    """What acquisition says of its line now; None when it does not answer."""
    try:
        reply = ask(config, "acquisition", ShowFrames())
    except NotAnswered:
        return None
    return reply if isinstance(reply, FramesNow) else None


def _port(config: Config, paths: Paths, line: FramesNow | None, *, may_look: bool) -> PortFacts:
    path = config.acquisition.port
    owner = _holder(paths)
    there = os.path.exists(path)  # noqa: PTH110 - Path.exists raises where a folder is closed
    online = line is not None and line.link.state == "online"
    return PortFacts(
        path=path,
        exists=there,
        stable=is_stable(path),
        usable=may_use(path, _gateway_uid(paths)),
        users=users_of(path, [owner] if owner else []) if there and not online else (),
        usb_without_port=() if there else usb_without_port(),
        probe=_probe(path) if there and may_look and not owner else None,
    )


def _probe(path: str) -> ProbeFacts:
    """Ask the BMS ourselves, in place of acquisition.

    The lock of acquisition is not taken: by root, it would become a file that the gateway's user
    can't open. The port itself lets in one of both.
    """
    answer = probe(path)
    firmware = answer.version.firmware if answer.version else None
    return ProbeFacts(opened=answer.opened, firmware=firmware, error=answer.error)


def _settings(config: Config) -> BmsSettings | None:
    """BMS_SETTINGS from the bus, where it is kept for newcomers."""
    clock = SystemClock(trust_clock=config.gateway.trust_clock)
    loop = Loop(clock)
    bus = Bus(
        paths=Paths.of(config), source="ctl", boot=secrets.token_hex(8), clock=clock, loop=loop
    )
    found: list[BmsSettings] = []

    def keep(message: Message[msgspec.Struct]) -> None:
        if isinstance(message.body, BmsSettings):
            found.append(message.body)

    try:
        bus.subscribe(BMS_SETTINGS, keep)
        loop.run_until(lambda: bool(found), SETTINGS_WAIT_S)
    finally:
        bus.close()
        loop.close()
    return found[-1] if found else None


def _holder(paths: Paths) -> int:
    try:
        return holder_pid(paths.lock("acquisition")) or 0
    except OSError:
        return 0


def _gateway_uid(paths: Paths) -> int:
    """The user of the gateway: the owner of its run folder."""
    try:
        return paths.run_dir.stat().st_uid
    except OSError:
        return os.geteuid()
