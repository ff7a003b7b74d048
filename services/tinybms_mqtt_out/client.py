"""The thin shell around paho: its socket lives in the loop, its callbacks only note what happened.

The loop's thread owns the client. Each connection gets a fresh one, so that paho has nothing old to
send again.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

import paho.mqtt.client as paho
from paho.mqtt import MQTTException
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tinybms_config.model import Mqtt
from tinybms_mqtt_out.events import (
    Accepted,
    Acknowledged,
    Event,
    Failed,
    Opened,
    Received,
    SubscriptionRefused,
)
from tinybms_mqtt_out.publication import Kind, Publication
from tinybms_mqtt_out.session import Failure
from tinybms_mqtt_out.transport import (
    ConnectError,
    Will,
    certificate_hint,
    connect,
    new_properties,
    tcp_socket,
)
from tinybms_runtime.loop import Loop

TELEMETRY_EXPIRY_S: Final = 60
"""MQTT 5: a broker or bridge drops measured values that could not be handed on for so long."""

LONGEST_INCOMING_BYTES: Final = 256 * 1024
"""Longer messages are none of those we ask for."""

_CONNECT_MAY_HELP: Final = frozenset(
    {"Server unavailable", "Server busy", "Connection rate exceeded"}
)
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: throw away what the kernel still holds instead of delivering it late."""

_PAHO_ERRORS: Final = (OSError, ValueError, RuntimeError, struct.error, MQTTException)


class Client:
    """One MQTT connection at a time; `report` gets its events, in the loop's thread."""

    def __init__(
        self, *, config: Mqtt, will: Will, loop: Loop, report: Callable[[Event], None]
    ) -> None:
        self._config = config
        self._will = will
        self._loop = loop
        self._report = report
        self._client: paho.Client | None = None
        self._fd: int | None = None
        self._write_watched = False
        self._attempt = 0
        self._accepted = False
        self._events: deque[Event] = deque()
        self._reporting = False
        self._tokens: dict[int, int] = {}
        self._subscribing: dict[int, tuple[str, ...]] = {}

    def open(self) -> None:
        """Begin to connect in a helper thread; the outcome is reported."""
        self._attempt += 1
        self._accepted = False
        threading.Thread(
            target=self._connect, args=(self._attempt,), name="mqtt-connect", daemon=True
        ).start()

    def send(self, publication: Publication, token: int) -> None:
        """Hand a message to the broker; with QoS 1 its acknowledgement is reported."""
        client = self._client
        if client is None:
            return
        try:
            info = client.publish(
                publication.topic,
                publication.payload,
                publication.qos,
                publication.retain,
                self._properties(publication),
            )
        except _PAHO_ERRORS as error:
            self._fail(error)
            return
        if publication.qos > 0:
            self._tokens[info.mid] = token
        if info.rc != paho.MQTT_ERR_SUCCESS:
            self._note_failure(Failure(code=int(info.rc), text=paho.error_string(info.rc)))
        self._settle()

    def subscribe(self, filters: tuple[str, ...]) -> None:
        """Ask for the messages that match `filters`; they are reported."""
        client = self._client
        if client is None or not filters:
            return
        try:
            result, mid = client.subscribe([(one, 1) for one in filters])
        except _PAHO_ERRORS as error:
            self._fail(error)
            return
        if result == paho.MQTT_ERR_SUCCESS and mid is not None:
            self._subscribing[mid] = filters
        self._settle()

    def keep_alive(self) -> None:
        """Let paho ping the broker; to be called about once a second."""
        if self._client is not None:
            self._io(self._client.loop_misc)

    def close(self, *, in_order: bool) -> None:
        """End the connection. Not in order: the broker then sends our will."""
        self._attempt += 1
        client, self._client = self._client, None
        self._unwatch()
        self._tokens.clear()
        self._subscribing.clear()
        self._events.clear()
        if client is None:
            return
        if in_order:
            with contextlib.suppress(*_PAHO_ERRORS):
                client.disconnect()
        _drop(client)

    def _connect(self, attempt: int) -> None:
        """In the helper thread."""
        outcome: paho.Client | Failure
        try:
            outcome = connect(self._config, self._will)
        except ConnectError as error:
            outcome = error.failure
        with contextlib.suppress(OSError):  # the loop has been closed
            self._loop.from_thread(partial(self._connected, attempt, outcome))

    def _connected(self, attempt: int, outcome: paho.Client | Failure) -> None:
        if isinstance(outcome, Failure):
            if attempt == self._attempt:
                self._note_failure(outcome)
                self._settle()
            return
        if attempt != self._attempt:
            _drop(outcome)
            return
        outcome.on_connect = self._on_connect
        outcome.on_disconnect = self._on_disconnect
        outcome.on_publish = self._on_publish
        outcome.on_message = self._on_message
        outcome.on_subscribe = self._on_subscribe
        self._client = outcome
        self._events.append(Opened())
        self._settle()

    def _on_connect(
        self,
        _client: paho.Client,
        _userdata: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if not reason.is_failure:
            self._accepted = True
            self._events.append(Accepted(getattr(properties, "ReceiveMaximum", None)))
            return
        lasting = str(reason) not in _CONNECT_MAY_HELP
        text = f"the broker refuses us: {str(reason).lower()}"
        self._note_failure(Failure(code=reason.value, text=text, lasting=lasting))

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: object,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        text = f"the connection broke: {str(reason).lower()}"
        if flags.is_disconnect_packet_from_server:
            text = f"the broker closed the connection: {str(reason).lower()}"
        elif not self._accepted:
            hint = certificate_hint(self._config.tls)
            text = f"the broker closed the connection before it answered.{hint}"
        rival = str(reason) == "Session taken over"
        if rival:
            text += (
                f"; another client uses the id {self._config.client_id!r}: each needs its own "
                "mqtt.client_id"
            )
        self._note_failure(Failure(code=reason.value, text=text, rival=rival))

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        token = self._tokens.pop(mid, None)
        if token is None:
            return
        failure = None
        if reason.is_failure:
            text = f"the broker refuses a message: {str(reason).lower()}"
            failure = Failure(code=reason.value, text=text)
        self._events.append(Acknowledged(token, failure))

    def _on_message(
        self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage
    ) -> None:
        if len(message.payload) <= LONGEST_INCOMING_BYTES:
            self._events.append(Received(message.topic, bytes(message.payload), message.retain))

    def _on_subscribe(
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        filters = self._subscribing.pop(mid, ())
        refused = [
            (topic, str(reason).lower())
            for topic, reason in zip(filters, reasons, strict=False)
            if reason.is_failure
        ]
        if refused:
            topics = tuple(topic for topic, _reason in refused)
            self._events.append(SubscriptionRefused(topics, refused[0][1]))

    def _note_failure(self, failure: Failure) -> None:
        """Only the first failure of a connection says why; what follows is its echo."""
        if not any(isinstance(event, Failed) for event in self._events):
            self._events.append(Failed(failure))

    def _ready(self) -> None:
        client = self._client
        if client is None:
            return
        self._io(client.loop_read)
        while self._client is client and _pending(client):
            self._io(client.loop_read)
        if self._client is client and client.want_write():
            self._io(client.loop_write)

    def _io(self, step: Callable[[], object]) -> None:
        try:
            step()
        except _PAHO_ERRORS as error:
            self._fail(error)
        else:
            self._settle()

    def _fail(self, error: Exception) -> None:
        text = f"the connection broke: {type(error).__name__}: {error}"
        code = (error.errno or 0) if isinstance(error, OSError) else 0
        self._note_failure(Failure(code=code, text=text))
        self._settle()

    def _settle(self) -> None:
        """Watch what paho now wants to be watched, and report what its callbacks noted."""
        self._watch()
        if self._reporting:
            return
        self._reporting = True
        try:
            while self._events:
                self._report(self._events.popleft())
        finally:
            self._reporting = False

    def _watch(self) -> None:
        """A closed descriptor must leave the poller before the loop turns again."""
        connection = None if self._client is None else tcp_socket(self._client)
        fd = None if connection is None else connection.fileno()
        if fd != self._fd:
            self._unwatch()
        if fd is None or self._client is None:
            return
        write = self._client.want_write()
        if fd != self._fd or write != self._write_watched:
            self._loop.watch(fd, self._ready, write=write)
            self._fd, self._write_watched = fd, write

    def _unwatch(self) -> None:
        if self._fd is not None:
            self._loop.unwatch(self._fd)
            self._fd = None

    def _properties(self, publication: Publication) -> Properties | None:
        if self._config.protocol != "5" or publication.kind is not Kind.TELEMETRY:
            return None
        properties = new_properties(PacketTypes.PUBLISH)
        properties.MessageExpiryInterval = TELEMETRY_EXPIRY_S
        return properties


def _pending(client: paho.Client) -> bool:
    """Whether TLS holds bytes that the poller can't see."""
    connection = client.socket()
    return isinstance(connection, ssl.SSLSocket) and connection.pending() > 0


def _drop(client: paho.Client) -> None:
    """Close the socket at once; what was not yet on the wire is thrown away."""
    client.on_connect = client.on_disconnect = client.on_publish = None
    client.on_message = client.on_subscribe = None
    connection = tcp_socket(client)
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            connection.close()
