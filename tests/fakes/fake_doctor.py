"""Facts of a gateway in which all is well, to be changed in the one place of a test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from fake_live import fake_live, fake_sample
from fake_view import NOW_NS, fake_latest, fake_view
from tinybms_config.model import Acquisition, Can, Config
from tinybms_ctl.doctor.facts import CanFacts, DiskFacts, Facts, PortFacts
from tinybms_ctl.mqtt_finding import MqttFinding
from tinybms_health.status import status_document
from tinybms_health.view import View
from tinybms_messages.line import FramesNow
from tinybms_messages.live import Identity, Link
from tinybms_messages.registers import BmsSettings, RegisterValue

PORT = "/dev/serial/by-id/usb-tinybms"
CONFIG = Config(acquisition=Acquisition(port=PORT), can=Can(interface="socketcan", channel="can0"))
IDENTITY = Identity(
    serial_number="0123456789abcdef01234567",
    firmware=254,
    hardware="2.1",
    capacity_ah=280.0,
    single_port=False,
)
STEPS = tuple(
    MqttFinding(step=step, ok=True, text="fine")
    for step in ("resolve", "connect", "login", "publish")
)


def well_view(**changes: object) -> View:
    """Everything runs, with firmware of today."""
    live = fake_live(
        sample=fake_sample(boottime_ns=NOW_NS - 100_000_000),
        identity=IDENTITY,
        link=Link(state="online", port=PORT, polls=1000, replies=1000),
    )
    view = fake_view(CONFIG)
    heard = replace(view.heard, live=fake_latest(live))
    return replace(view, heard=heard, **cast("dict[str, Any]", changes))


def settings(*values: RegisterValue, warnings: tuple[str, ...] = ()) -> BmsSettings:
    """BMS_SETTINGS with some of its values."""
    return BmsSettings(
        wall_ns=0, settings_words=(), version_words=(), values=values, warnings=warnings
    )


def fake_facts(view: View | None = None, **changes: object) -> Facts:
    """Nothing is wrong."""
    document = status_document(view or well_view())
    facts = Facts(
        config=CONFIG,
        document=document,
        may_look=True,
        time_ok=True,
        port=PortFacts(path=PORT, exists=True, stable=True, usable=True),
        can=CanFacts(
            exists=True,
            up=True,
            bitrate=500_000,
            controller="ERROR-ACTIVE",
            tx_queue=100,
            restart_ms=100,
        ),
        line=FramesNow(link=Link(state="online", port=PORT, polls=1000, replies=1000)),
        settings=settings(),
        mqtt=STEPS,
        disks=(DiskFacts(folder="/var/lib/tinybms", free_bytes=10**10),),
    )
    return replace(facts, **cast("dict[str, Any]", changes))
