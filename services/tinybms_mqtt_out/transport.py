"""Makes one connected MQTT client: credentials, name look-up, TCP, TLS, connect request.

All of it may block for seconds, so it runs in a helper thread; the finished client then belongs to
the loop's thread alone. Every way to fail becomes a `Failure` in words that hold no secret.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt import MQTTException
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tinybms_config.model import Mqtt, MqttTls
from tinybms_mqtt_out.certificate_end import certificate_end
from tinybms_mqtt_out.session import Failure
from tinybms_mqtt_out.window import IN_FLIGHT_LIMIT

CONNECT_TIMEOUT_S: Final = 10.0
PASSWORD_VARIABLE: Final = "TINYBMS_MQTT_PASSWORD"  # noqa: S105  # the name, not the password
new_properties: Final[Callable[[int], Properties]] = Properties
"""paho leaves the constructor without types."""

_PAHO_LIMIT: Final = 2 * IN_FLIGHT_LIMIT
"""Bounds paho's own queues; the window never fills them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the broker says in our place when we vanish; retained, QoS 1."""

    topic: str
    payload: bytes


class ConnectError(Exception):
    """No connection was made."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


def connect(config: Mqtt, will: Will, environ: Mapping[str, str] = os.environ) -> paho.Client:
    """A client whose connect request is out; blocks. Raises ConnectError."""
    client = _new_client(config, will)
    where = f"{config.host}:{config.port}"
    try:
        password = _password(config, environ)
        # Some brokers refuse an empty name, whatever the password.
        name = config.username or (None if password is None else config.client_id)
        if name is not None:
            client.username_pw_set(name, password)
        if config.tls.enabled:
            client.tls_set_context(_tls_context(config.tls))
        client.connect(
            config.host,
            config.port,
            keepalive=config.keepalive_s,
            properties=_connect_properties(config),
        )
        _tune(client)
    except (OSError, ValueError, RuntimeError, MQTTException) as error:
        raise ConnectError(_failure(error, where, config.tls)) from error
    return client


def certificate_hint(tls: MqttTls) -> str:
    """What may be wrong when a broker closes the connection without a word.

    With TLS 1.3 a client learns only after its handshake that its certificate was not accepted.
    """
    if not tls.enabled:
        return ""
    if tls.cert_file is None:
        return " Does the broker want a client certificate (mqtt.tls.cert_file)?"
    try:
        end = certificate_end(Path(tls.cert_file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    if end > datetime.now(UTC):
        return ""
    return f" mqtt.tls.cert_file = {tls.cert_file!r} expired on {end.isoformat()}."


def tcp_socket(client: paho.Client) -> socket.socket | None:
    """The client's socket, None when it has none any more."""
    found = client.socket()
    return found if isinstance(found, socket.socket) else None


def _new_client(config: Mqtt, will: Will) -> paho.Client:
    version = MQTTProtocolVersion.MQTTv5 if config.protocol == "5" else MQTTProtocolVersion.MQTTv311
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=config.client_id,
        protocol=version,
        clean_session=None if config.protocol == "5" else True,
        reconnect_on_failure=False,
    )
    client.connect_timeout = CONNECT_TIMEOUT_S
    client.max_inflight_messages_set(_PAHO_LIMIT)
    client.max_queued_messages_set(_PAHO_LIMIT)
    client.will_set(will.topic, will.payload, qos=1, retain=True)
    return client


def _connect_properties(config: Mqtt) -> Properties | None:
    """MQTT 5: let the broker forget us with the connection, as MQTT 3.1.1 does by a clean session.

    It would otherwise keep subscriptions, and commands for us that are old when we return.
    """
    if config.protocol != "5":
        return None
    properties = new_properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 0
    return properties


def _tune(client: paho.Client) -> None:
    """Send each message at once: with Nagle's algorithm the slowest take 17 ms instead of 5."""
    connection = tcp_socket(client)
    if connection is None:
        raise ConnectionResetError(errno.ECONNRESET, "closed by the broker at once")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _password(config: Mqtt, environ: Mapping[str, str]) -> str | None:
    """The environment's password, else that of the file, read anew for each connection."""
    if PASSWORD_VARIABLE in environ:
        return environ[PASSWORD_VARIABLE]
    if config.password_file is None:
        return None
    text = _file("mqtt.password_file", config.password_file)
    return text.rstrip("\r\n")


def _file(key: str, name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ConnectError(
            Failure(
                code=error.errno or 0 if isinstance(error, OSError) else 0,
                text=f"{key} = {name!r}: {reason}",
                lasting=True,
            )
        ) from error


_MIN_VERSION: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class _NamedContext(ssl.SSLContext):
    """Checks the certificate for a name of our choice instead of the host's."""

    server_name: str | None = None

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:  # noqa: ANN401  # all of it is handed on
        """See ssl.SSLContext."""
        if self.server_name is not None:
            options["server_hostname"] = self.server_name
        return super().wrap_socket(*args, **options)


def _tls_context(tls: MqttTls) -> ssl.SSLContext:
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _MIN_VERSION[tls.min_version]
    context.server_name = tls.server_name
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.ca_file is None:
        context.load_default_certs()
    else:
        _trust(context, tls.ca_file)
    if tls.cert_file is not None and tls.key_file is not None:
        _identify(context, tls.cert_file, tls.key_file)
    return context


def _trust(context: ssl.SSLContext, ca_file: str) -> None:
    text = _file("mqtt.tls.ca_file", ca_file)
    try:
        context.load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        text = f"mqtt.tls.ca_file = {ca_file!r} holds no PEM certificate"
        raise ConnectError(Failure(code=0, text=text, lasting=True)) from error


def _identify(context: ssl.SSLContext, cert_file: str, key_file: str) -> None:
    _file("mqtt.tls.cert_file", cert_file)
    _file("mqtt.tls.key_file", key_file)
    try:
        # Without a password function openssl would ask on the terminal.
        context.load_cert_chain(cert_file, key_file, password=lambda: b"")
    except (ssl.SSLError, ValueError) as error:
        text = (
            f"mqtt.tls.cert_file = {cert_file!r} and mqtt.tls.key_file = {key_file!r} are no "
            "usable pair of certificate and unencrypted key"
        )
        if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
            text = (
                f"mqtt.tls.key_file = {key_file!r} is the key of another certificate than "
                f"mqtt.tls.cert_file = {cert_file!r}"
            )
        raise ConnectError(Failure(code=0, text=text, lasting=True)) from error


def _failure(error: Exception, where: str, tls: MqttTls) -> Failure:
    """Words for what went wrong on the way to the broker."""
    if isinstance(error, ssl.SSLError):
        return _tls_failure(error, where)
    if not isinstance(error, OSError):
        return Failure(code=0, text=f"{where}: {type(error).__name__}", lasting=True)
    hint = "; does this port speak TLS?" if tls.enabled else ""
    code = error.errno or 0
    if isinstance(error, socket.gaierror):
        text = f"name look-up failed: {error.strerror}"
    elif isinstance(error, TimeoutError):
        text, code = f"no answer in time{hint}", code or errno.ETIMEDOUT
    elif isinstance(error, ConnectionResetError):
        text = f"the peer closed the connection at once{hint}{certificate_hint(tls)}"
    else:
        text = (error.strerror or str(error)).lower()
    return Failure(code=code, text=f"{where}: {text}")


def _tls_failure(error: ssl.SSLError, where: str) -> Failure:
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"the broker's certificate is refused: {error.verify_message}"
    else:
        text = f"TLS failed: {error.reason or 'the peer speaks no TLS'}"
    return Failure(code=error.errno or 0, text=f"{where}: {text}", lasting=True)
