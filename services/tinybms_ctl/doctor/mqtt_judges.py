"""Judgements about the way to the MQTT broker and mqtt_out's session: pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tinybms_ctl.doctor.facts import Facts
from tinybms_ctl.doctor.finding import Finding, good, sentence, trouble
from tinybms_ctl.mqtt_finding import MqttFinding

_CHECK_OF: Final = {
    "resolve": "mqtt_resolve",
    "connect": "mqtt_connect",
    "TLS": "mqtt_tls",
    "login": "mqtt_login",
    "publish": "mqtt_publish",
}


def mqtt_findings(facts: Facts) -> Iterator[Finding]:
    """Each step of our own way to the broker, then the session of mqtt_out."""
    report = facts.document.mqtt
    if not facts.config.mqtt.enabled:
        yield good("mqtt_session", "MQTT is disabled")
        return
    connected = bool(report.connected)
    for check in _CHECK_OF.values():
        steps = [step for step in facts.mqtt if _CHECK_OF[step.step] == check]
        if steps:
            yield _step(check, steps, connected=connected)
    if report.state == "unknown":
        return
    if connected:
        yield good("mqtt_session", f"{report.broker}: {report.publish_count} published")
    else:
        yield trouble(
            "mqtt_session", sentence([f"{report.broker} {report.state}", report.last_error])
        )


def _step(check: str, steps: list[MqttFinding], *, connected: bool) -> Finding:
    failed = [step for step in steps if not step.ok]
    if failed:
        text, fix = failed[0].text, failed[0].advice
        if connected:
            return trouble("mqtt_own_try", text, check=check)
        return trouble(check, text, fix=fix)
    text = sentence(step.text for step in steps)
    if any(step.soon for step in steps):
        return trouble("mqtt_tls_ends", text)
    return good(check, text)
