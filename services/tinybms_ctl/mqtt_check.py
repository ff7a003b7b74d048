"""Tries the way to the MQTT broker step by step and says in words where it ends and what to do."""

from __future__ import annotations

import secrets
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tinybms_config.model import Config, Mqtt
from tinybms_ctl.mqtt_finding import MqttFinding
from tinybms_ctl.mqtt_talk import BrokerTalk, TalkError
from tinybms_mqtt_out.certificate_end import certificate_end
from tinybms_mqtt_out.publication import Publication
from tinybms_mqtt_out.root import root_topic
from tinybms_mqtt_out.transport import ConnectError, certificate_hint

TCP_TIMEOUT_S: Final = 10.0
READ_BACK_S: Final = 3.0
DAY_S: Final = 86_400.0
SOON_DAYS: Final = 14.0
TEST_SUFFIX: Final = "test"


def mqtt_check(config: Config) -> Iterator[MqttFinding]:
    """Each step's outcome as it comes; ends with the first one that is not ok."""
    mqtt = config.mqtt
    for step in (_resolve(mqtt), _tcp(mqtt)):
        yield step
        if not step.ok:
            return
    root = root_topic(mqtt.root_topic, config.gateway.device)
    try:
        talk = BrokerTalk(mqtt, will_topic=f"{root}/{TEST_SUFFIX}")
    except ConnectError as error:
        yield _not_connected(mqtt, error)
        return
    with talk:
        if mqtt.tls.enabled:
            yield from _certificates(mqtt, talk)
        yield from _logged_in(config, talk, root)


def _resolve(mqtt: Mqtt) -> MqttFinding:
    try:
        found = socket.getaddrinfo(mqtt.host, mqtt.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no host name"
        text = f"mqtt.host = {mqtt.host!r}: {reason}"
        advice = "check the name, and this machine's name server"
        return MqttFinding(step="resolve", ok=False, text=text, advice=advice)
    addresses = sorted({str(row[4][0]) for row in found})
    return MqttFinding(step="resolve", ok=True, text=f"{mqtt.host} is {', '.join(addresses)}")


def _tcp(mqtt: Mqtt) -> MqttFinding:
    where = f"{mqtt.host}:{mqtt.port}"
    began_s = time.monotonic()
    try:
        socket.create_connection((mqtt.host, mqtt.port), TCP_TIMEOUT_S).close()
    except OSError as error:
        text = f"{where}: {(error.strerror or str(error) or 'no answer').lower()}"
        advice = "check mqtt.port, that the broker runs and listens there, and any firewall"
        return MqttFinding(step="connect", ok=False, text=text, advice=advice)
    took_ms = (time.monotonic() - began_s) * 1000
    return MqttFinding(step="connect", ok=True, text=f"{where} answers in {took_ms:.1f} ms")


def _not_connected(mqtt: Mqtt, error: ConnectError) -> MqttFinding:
    text = error.failure.text
    if "mqtt.password_file" in text:
        advice = "write the password into this file, readable for the gateway's user"
        return MqttFinding(step="login", ok=False, text=text, advice=advice)
    if not mqtt.tls.enabled:
        advice = "check that this is the port of an MQTT broker without TLS"
        return MqttFinding(step="connect", ok=False, text=text, advice=advice)
    if "mqtt.tls.cert_file" in text and "expired" in text:
        advice = "renew the gateway's certificate, and check the clock of this machine"
    elif "Hostname mismatch" in text or "IP address mismatch" in text:
        advice = "set mqtt.tls.server_name to the name in the broker's certificate"
    elif "expired" in text or "not yet valid" in text:
        advice = "renew the broker's certificate, and check the clocks of both machines"
    elif "certificate is refused" in text:
        advice = "set mqtt.tls.ca_file to the certificate of the authority that signed the broker's"
    else:
        advice = "check [mqtt.tls], and that mqtt.port is the broker's port for TLS"
    return MqttFinding(step="TLS", ok=False, text=text, advice=advice)


def _certificates(mqtt: Mqtt, talk: BrokerTalk) -> Iterator[MqttFinding]:
    connection = talk.client.socket()
    if not isinstance(connection, ssl.SSLSocket):
        return
    protocol = connection.version() or "TLS"
    shown = connection.getpeercert() or {}
    if mqtt.tls.verify:
        yield _days_of(f"{protocol}, the broker's certificate", shown)
        yield from _authorities(mqtt)
    else:
        text = f"{protocol}; the broker's certificate is NOT checked (mqtt.tls.verify = false)"
        yield MqttFinding(step="TLS", ok=True, text=text, soon=True)
    if mqtt.tls.cert_file is not None:
        yield _own_certificate(mqtt.tls.cert_file)


def _authorities(mqtt: Mqtt) -> Iterator[MqttFinding]:
    if mqtt.tls.ca_file is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=Path(mqtt.tls.ca_file).read_text(encoding="utf-8"))
    for authority in context.get_ca_certs():
        yield _days_of("the authority's certificate", authority)


def _own_certificate(cert_file: str) -> MqttFinding:
    what = f"the gateway's own certificate ({cert_file})"
    try:
        ends_s = certificate_end(Path(cert_file).read_text(encoding="utf-8")).timestamp()
    except (OSError, ValueError) as error:
        return MqttFinding(step="TLS", ok=True, text=f"{what}: last day unknown, it {error}")
    return _days(what, ends_s)


def _days_of(what: str, certificate: Mapping[str, object]) -> MqttFinding:
    ends_s = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return _days(f"{what} ({_common_name(certificate)})", ends_s)


def _days(what: str, ends_s: float) -> MqttFinding:
    left = (ends_s - time.time()) / DAY_S
    if left < 0:
        text = f"{what} expired {-left:.0f} days ago"
        advice = "renew it, or check the clock of this machine"
        return MqttFinding(step="TLS", ok=False, text=text, advice=advice)
    text = f"{what} is good for {left:.0f} days"
    soon = left < SOON_DAYS
    text = f"{text}: renew it soon" if soon else text
    return MqttFinding(step="TLS", ok=True, text=text, soon=soon)


def _common_name(certificate: Mapping[str, object]) -> str:
    subject = certificate.get("subject")
    rows = subject if isinstance(subject, tuple) else ()
    names = [value for row in rows for key, value in row if key == "commonName"]
    return names[0] if names else "without a common name"


def _logged_in(config: Config, talk: BrokerTalk, root: str) -> Iterator[MqttFinding]:
    named = bool(config.mqtt.username)
    try:
        talk.log_in()
    except TalkError as error:
        advice = (
            "check mqtt.username and mqtt.password_file (or TINYBMS_MQTT_PASSWORD), and that the "
            f"broker lets this user or certificate in.{certificate_hint(config.mqtt.tls)}"
        )
        yield MqttFinding(step="login", ok=False, text=str(error), advice=advice)
        return
    yield MqttFinding(step="login", ok=True, text=f"with{'' if named else 'out'} a user name")
    yield _read_back(talk, f"{root}/{TEST_SUFFIX}", secrets.token_hex(8).encode())
    if config.mqtt.discovery:
        # An empty message withdraws an entity that never was: Home Assistant ignores it.
        topic = f"{config.mqtt.discovery_prefix}/device/tinybms_{TEST_SUFFIX}/config"
        yield _read_back(talk, topic, b"")


def _read_back(talk: BrokerTalk, topic: str, payload: bytes) -> MqttFinding:
    advice = f"let the broker's access list (ACL) allow this user to write and to read {topic}"

    def came() -> bool:
        return any(one[:2] == (topic, payload) for one in talk.received)

    try:
        talk.subscribe([topic])
        talk.publish([Publication(topic=topic, payload=payload, qos=1)])
    except TalkError as error:
        return MqttFinding(step="publish", ok=False, text=str(error), advice=advice)
    if talk.listen(READ_BACK_S, came):
        return MqttFinding(step="publish", ok=True, text=f"{topic}: written and read back")
    text = f"{topic}: the broker took the message but does not hand it out"
    return MqttFinding(step="publish", ok=False, text=text, advice=advice)
