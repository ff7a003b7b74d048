"""From facts to findings: pure. What can't be known for a fault further up is left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tinybms_config.model import Config
from tinybms_ctl.doctor.can_judges import can_findings
from tinybms_ctl.doctor.facts import Facts
from tinybms_ctl.doctor.finding import Finding, good, sentence, trouble
from tinybms_ctl.doctor.mqtt_judges import mqtt_findings
from tinybms_ctl.doctor.row import Level
from tinybms_ctl.doctor.serial_judges import serial_findings
from tinybms_ctl.doctor.setup_judges import setup_findings
from tinybms_health.document import Check, ProcessReport

EXIT_WELL: Final = 0
EXIT_FAULT: Final = 1
EXIT_NOT_LOOKED: Final = 3
LEAST_FREE_BYTES: Final = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """All findings in the order in which data flow, and the exit code of `doctor`."""

    findings: tuple[Finding, ...]
    exit_code: int


def judge(facts: Facts) -> Judgement:
    """Everything that can be said from the facts."""
    blind = not facts.may_look and facts.document.observer != "health"
    findings = tuple(_blind(facts) if blind else _all(facts))
    if any(finding.level is Level.FAULT for finding in findings):
        return Judgement(findings=findings, exit_code=EXIT_FAULT)
    return Judgement(findings=findings, exit_code=EXIT_NOT_LOOKED if blind else EXIT_WELL)


def _blind(facts: Facts) -> Iterator[Finding]:
    """Nothing is known of the processes: only what anybody can see."""
    yield trouble("not_allowed", f"{facts.config.gateway.run_dir}: closed to this user")
    yield from mqtt_findings(facts)
    yield from _machine(facts)
    yield from setup_findings(facts)


def _all(facts: Facts) -> Iterator[Finding]:
    yield from _processes(facts)
    yield from serial_findings(facts)
    yield from _data(facts)
    yield from can_findings(facts)
    yield from mqtt_findings(facts)
    yield from _buffer(facts)
    yield from _machine(facts)
    yield from setup_findings(facts)


def _processes(facts: Facts) -> Iterator[Finding]:
    document = facts.document
    checks = {check.name: check for check in document.checks}
    alive = any(one.state in {"running", "starting"} for one in document.processes.values())
    manager = document.supervisord
    if manager.state == "running":
        yield Finding(check="supervisord", level=Level.OK, word="running", text=_pid(manager.pid))
    elif manager.state == "down" and not alive:
        yield trouble("gateway_down", manager.detail, word="down")
    else:
        yield trouble(f"supervisord_{manager.state}", manager.detail, word=manager.state)
    for name, report in document.processes.items():
        yield _process(facts.config, name, report, checks[name])


def _process(config: Config, name: str, report: ProcessReport, check: Check) -> Finding:
    if report.state in {"running", "starting", "unknown"}:
        word = "running" if report.state == "starting" else report.state
        text = f"starting, {check.text}" if report.state == "starting" else check.text
        return Finding(check=name, level=Level.OK, word=word, text=text)
    hung = report.state == "hung"
    if name not in needed(config):
        kind = "side_process_hung" if hung else "side_process_down"
    elif report.supervisor_state == "FATAL":
        kind = "process_fatal"
    else:
        kind = "process_hung" if hung else "process_down"
    return trouble(kind, check.text, check=name, word=report.state)


def needed(config: Config) -> frozenset[str]:
    """The processes without which data, CAN or MQTT stand still."""
    names = {"broker", "acquisition"}
    if config.can.enabled:
        names.add("can_out")
    if config.mqtt.enabled:
        names.add("mqtt_out")
    return frozenset(names)


def _pid(pid: int | None) -> str:
    return f"pid {pid}" if pid else ""


def _data(facts: Facts) -> Iterator[Finding]:
    check = next(check for check in facts.document.checks if check.name == "data")
    if check.state == "ok":
        yield good("data", check.text)
    else:
        yield trouble("data_age" if check.state == "warning" else "no_data", check.text)


def _buffer(facts: Facts) -> Iterator[Finding]:
    buffer = facts.document.buffer
    if buffer.state == "storage_off":
        yield trouble("storage_off", buffer.detail)
    elif buffer.state == "disabled":
        yield good("buffer_store", "disabled")
    elif buffer.state != "unknown":
        yield good("buffer_store", f"{buffer.state}, {buffer.rows} rows")


def _machine(facts: Facts) -> Iterator[Finding]:
    if facts.time_ok:
        yield good("clock", facts.document.time)
    else:
        yield trouble("clock_off", f"{facts.document.time} is not confirmed by a time server")
    full = [disk for disk in facts.disks if disk.free_bytes < LEAST_FREE_BYTES]
    shown = full or facts.disks
    text = sentence(f"{disk.folder}: {disk.free_bytes / 1e6:.0f} MB free" for disk in shown)
    if full:
        yield trouble("disk_full", text)
    elif shown:
        yield good("disk", text)
