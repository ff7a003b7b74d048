"""A short conversation with the MQTT broker, by the same way and the same keys as mqtt_out.

It uses a client id of its own, so that a running gateway keeps its connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Final, Self

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tinybms_config.model import Mqtt
from tinybms_mqtt_out.publication import Publication
from tinybms_mqtt_out.transport import Will, connect

ANSWER_S: Final = 10.0
ID_SUFFIX: Final = "-ctl"


class TalkError(Exception):
    """The broker does not do what it is asked; the text says what and why."""


class BrokerTalk:
    """A connection for a few questions. `received` holds (topic, payload, retained)."""

    def __init__(self, config: Mqtt, *, will_topic: str) -> None:
        """Connect and log in. Raises ConnectError before the broker speaks, then TalkError."""
        own = msgspec.structs.replace(config, client_id=f"{config.client_id}{ID_SUFFIX}")
        self.received: list[tuple[str, bytes, bool]] = []
        self._answers: dict[str, ReasonCode] = {}
        self.client = connect(own, Will(topic=will_topic, payload=b""))
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_publish = self._on_publish
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.disconnect()

    def log_in(self) -> None:
        """Wait for the broker's word on our name and password."""
        reason = self._answer("connect", "accepts connections but does not answer")
        if reason.is_failure:
            raise TalkError(f"the broker refuses us: {str(reason).lower()}")

    def subscribe(self, filters: Sequence[str]) -> None:
        """Hear the messages that match `filters`."""
        _result, mid = self.client.subscribe([(one, 1) for one in filters])
        reason = self._answer(f"subscribe {mid}", "does not answer a subscription")
        if reason.is_failure:
            raise TalkError(f"the broker refuses to let us hear {', '.join(filters)}")

    def publish(self, publications: Iterable[Publication]) -> None:
        """Publish with QoS 1 and wait for each acknowledgement."""
        for one in publications:
            info = self.client.publish(one.topic, one.payload, 1, one.retain)
            reason = self._answer(f"publish {info.mid}", f"does not acknowledge {one.topic}")
            if reason.is_failure:
                raise TalkError(f"the broker refuses {one.topic}: {str(reason).lower()}")

    def listen(self, seconds: float, done: Callable[[], bool] = lambda: False) -> bool:
        """Take what comes for a time; True as soon as `done()`."""
        deadline = time.monotonic() + seconds
        while not done():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            self.client.loop(min(left_s, 0.1))
        return True

    def _answer(self, key: str, silence: str) -> ReasonCode:
        self.listen(ANSWER_S, lambda: key in self._answers or "disconnect" in self._answers)
        if key in self._answers:
            return self._answers.pop(key)
        if "disconnect" in self._answers:
            reason = str(self._answers["disconnect"]).lower()
            raise TalkError(f"the broker closed the connection: {reason}")
        raise TalkError(f"the broker {silence} within {ANSWER_S:.0f} s")

    def _on_connect(
        self,
        _client: paho.Client,
        _data: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._answers["connect"] = reason

    def _on_disconnect(
        self,
        _client: paho.Client,
        _data: object,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._answers["disconnect"] = reason

    def _on_publish(
        self,
        _client: paho.Client,
        _data: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._answers[f"publish {mid}"] = reason

    def _on_subscribe(
        self,
        _client: paho.Client,
        _data: object,
        mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        worst = next((one for one in reasons if one.is_failure), reasons[0])
        self._answers[f"subscribe {mid}"] = worst

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self.received.append((message.topic, bytes(message.payload), message.retain))
