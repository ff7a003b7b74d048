"""From a status document to checks in words and to one verdict: pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tinybms_health.document import Check, ProcessReport, StatusDocument

OK: Final = "ok"
PARTIAL: Final = "partial"
DOWN: Final = "down"

EXIT_CODES: Final = {OK: 0, PARTIAL: 1, DOWN: 2}

SENDING: Final = "sending"


def checks(document: StatusDocument) -> tuple[Check, ...]:
    """Every check, in the order in which data flow, the battery's own alarms last."""
    return (
        Check(
            name="supervisord", state=document.supervisord.state, text=document.supervisord.detail
        ),
        *(_process(name, report) for name, report in document.processes.items()),
        _link(document),
        _data(document),
        _can(document),
        _mqtt(document),
        _buffer(document),
        *_owner(document),
        battery_check(document),
    )


def verdict(document: StatusDocument, *, check_battery: bool = False) -> str:
    """`ok`, `partial` or `down`; the battery's alarms count with `check_battery` only.

    ok: every process runs, every enabled link works and the data are fresh. down: no data, or no
    process. partial: all between.
    """
    alive = any(report.state in {"running", "starting"} for report in document.processes.values())
    if not alive or document.data.state in {"unknown", "lost"}:
        return DOWN
    relevant = [check for check in document.checks if check_battery or check.name != "battery"]
    return OK if all(check.well for check in relevant) else PARTIAL


def battery_check(document: StatusDocument) -> Check:
    """What the battery itself complains about."""
    level = max((alarm.level for alarm in document.alarms), default=0)
    if level == 0:
        return Check(name="battery", state="ok", text=_battery_text(document))
    words = "; ".join(
        f"{alarm.name.value.replace('_', ' ')}: {alarm.text or 'no text'}"
        for alarm in document.alarms
        if alarm.level
    )
    return Check(name="battery", state="warning" if level == 1 else "fault", text=words)


def _process(name: str, report: ProcessReport) -> Check:
    return Check(name=name, state=report.state, text=", ".join(_process_words(report)))


def _process_words(report: ProcessReport) -> Iterator[str]:
    if report.pid:
        yield f"pid {report.pid}"
    if report.state == "running":
        if report.uptime_s is not None:
            yield f"up {duration(report.uptime_s)}"
        if report.heartbeat_age_s is None:
            yield "heartbeat not heard"
        if report.work:
            yield report.work
    elif report.heartbeat_age_s is not None:
        yield f"last heartbeat {duration(report.heartbeat_age_s)} ago"
    if report.state != "running" and report.supervisor_state not in {"", "RUNNING"}:
        yield f"supervisord says {report.supervisor_state}"
    if report.detail and report.state != "starting":
        yield report.detail


def _link(document: StatusDocument) -> Check:
    link = document.link
    if link is None:
        return Check(name="link", state="fault", text="nothing is known: acquisition is not heard")
    if document.data.state in {"stale", "lost"} and link.state == "online":
        return Check(name="link", state="fault", text="acquisition is not heard any more")
    words = {
        "online": f"{link.port}: {link.replies} replies to {link.polls} polls",
        "asleep": "the BMS sleeps",
        "no_port": f"port {link.port} cannot be opened",
        "no_answer": f"the BMS on {link.port} does not answer",
        "wrong_battery": f"another battery is on {link.port}",
    }.get(link.state, link.state)
    text = f"{words}: {link.detail}" if link.detail else words
    state = {"online": "ok", "asleep": "warning"}.get(link.state, "fault")
    return Check(name="link", state=state, text=text)


def _data(document: StatusDocument) -> Check:
    data = document.data
    state = {"fresh": "ok", "stale": "warning", "asleep": "warning"}.get(data.state, "fault")
    if data.age_s is None:
        text = f"{data.state}: no sample from the battery yet"
    else:
        text = f"{data.state}, {duration(data.age_s)} old"
    return Check(name="data", state=state, text=text)


def _can(document: StatusDocument) -> Check:
    can = document.can
    if not can.enabled:
        return Check(name="can", state="ok", text="disabled")
    where = f"{can.interface} {can.channel}".strip()
    if can.state == "unknown":
        return Check(name="can", state="fault", text=f"{where}: can_out is not heard")
    if can.state != SENDING:
        text = f"{where}: {can.state}" + (f", {can.detail}" if can.detail else "")
        wanted = can.state in {"stopped", "service"}
        return Check(name="can", state="warning" if wanted else "fault", text=text)
    sent = f"{where}: sending, {can.frames_sent} frames"
    if can.detail:
        sent += f", {can.detail}"
    if not can.victron_keepalive_ok:
        return Check(name="can", state="warning", text=f"{sent}; no GX is heard (0x305)")
    return Check(name="can", state="ok", text=f"{sent}, GX heard")


def _mqtt(document: StatusDocument) -> Check:
    mqtt = document.mqtt
    if not mqtt.enabled:
        return Check(name="mqtt", state="ok", text="disabled")
    if mqtt.state == "unknown":
        return Check(name="mqtt", state="fault", text=f"{mqtt.broker}: mqtt_out is not heard")
    if not mqtt.connected:
        why = f": {mqtt.last_error}" if mqtt.last_error else ""
        return Check(name="mqtt", state="fault", text=f"{mqtt.broker} {mqtt.state}{why}")
    text = f"{mqtt.broker}: connected, {mqtt.publish_count} published"
    if mqtt.failed_publish_count:
        text += f", {mqtt.failed_publish_count} failed"
    return Check(name="mqtt", state="ok", text=text)


def _buffer(document: StatusDocument) -> Check:
    buffer = document.buffer
    if not buffer.enabled:
        return Check(name="buffer_store", state="ok", text="disabled")
    if buffer.state == "unknown":
        return Check(name="buffer_store", state="fault", text="buffer is not heard")
    state = "fault" if buffer.state == "storage_off" else "ok"
    text = buffer.detail or f"{buffer.state}, {buffer.rows} rows"
    return Check(name="buffer_store", state=state, text=text)


def _owner(document: StatusDocument) -> Iterator[Check]:
    """What the owner has asked for; it is as wanted, so nothing is wrong about it."""
    if document.modes:
        words = "; ".join(mode.text for mode in document.modes)
        yield Check(name="owner", state="ok", text=words)


def _battery_text(document: StatusDocument) -> str:
    battery = document.battery
    if battery is None:
        return "no alarm"
    return (
        f"{battery.pack_voltage_v:.2f} V, {battery.pack_current_a:.1f} A, "
        f"SoC {battery.soc_pct:.1f} %, no alarm"
    )


def duration(seconds: float) -> str:
    """A time for people: 0.3 s, 42 s, 7 min, 3 h, 5 d."""
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    for unit, size, until in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < until:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"
