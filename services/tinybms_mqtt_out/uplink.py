"""Joins the session's decisions with the client that carries them out, and tells of outages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from tinybms_messages.status import MqttStatus
from tinybms_mqtt_out.client import Client
from tinybms_mqtt_out.events import (
    Accepted,
    Acknowledged,
    Event,
    Failed,
    Opened,
    Received,
    SubscriptionRefused,
)
from tinybms_mqtt_out.publication import Publication, RecordId
from tinybms_mqtt_out.session import (
    DRAIN_TIMEOUT_S,
    Action,
    Actions,
    Announce,
    Answered,
    Close,
    Failure,
    FullSet,
    Lost,
    Open,
    Send,
    Session,
    State,
)
from tinybms_mqtt_out.transport import Will
from tinybms_runtime.backoff import Backoff
from tinybms_runtime.outage import Outage
from tinybms_runtime.runner import ServiceContext

FIRST_RETRY_S: Final = 1.0
RETRY_CEILING_S: Final = 60.0
STOP_MARGIN_S: Final = 0.5


class Uplink:
    """The way to the MQTT broker.

    `on_announce` and `on_full_set` are asked for messages, `on_received` gets those that come in,
    `on_lost` is told when a connection that stood is gone, `on_answered` whether the broker took a
    record.
    """

    def __init__(
        self,
        context: ServiceContext,
        *,
        will: Publication,
        on_announce: Callable[[], None],
        on_full_set: Callable[[], None],
        on_received: Callable[[Received], None],
        on_lost: Callable[[], None],
        on_answered: Callable[[RecordId, bool], None],
    ) -> None:
        self._context = context
        self._farewell = will
        self._on_announce = on_announce
        self._on_full_set = on_full_set
        self._on_received = on_received
        self._on_lost = on_lost
        self._on_answered = on_answered
        self._session = Session(
            backoff=Backoff(FIRST_RETRY_S, RETRY_CEILING_S),
            client_id=context.config.mqtt.client_id,
        )
        self._outage = Outage()
        self._connected_since_wall_ns: int | None = None
        self._client = Client(
            config=context.config.mqtt,
            will=Will(topic=will.topic, payload=will.payload),
            loop=context.loop,
            report=self._happened,
        )

    @property
    def online(self) -> bool:
        """Whether the broker takes our messages."""
        return self._session.state is State.ONLINE

    def room(self, now_s: float) -> int:
        """Messages with QoS 1 that go at once, without making anything wait, if offered at `now_s`.

        Of a later moment nothing is known: the broker may count as stalled by then.
        """
        return self._session.room(now_s)

    def start(self) -> None:
        """Begin to connect."""
        self._do(self._session.start(self._now_s()))

    def offer(self, publication: Publication, now_s: float | None = None) -> None:
        """Publish if and when the way is free, now or at the moment that `room` was asked for."""
        self._do(self._session.offer(publication, self._now_s() if now_s is None else now_s))

    def subscribe(self, filters: tuple[str, ...]) -> None:
        """Ask the broker for messages; a subscription ends with its connection."""
        self._client.subscribe(filters)

    def tick(self) -> None:
        """Look at the deadlines of the session."""
        self._do(self._session.tick(self._now_s()))

    def keep_alive(self) -> None:
        """Let the client ping the broker; to be called about once a second."""
        self._client.keep_alive()

    def stop(self) -> None:
        """Say farewell, wait for its acknowledgement for at most two seconds, and close."""
        self._do(self._session.stop(self._farewell, self._now_s()))
        self._context.loop.run_until(self._has_stopped, DRAIN_TIMEOUT_S + STOP_MARGIN_S)

    def status(self) -> MqttStatus:
        """State and counters for the bus."""
        session, config = self._session, self._context.config.mqtt
        failure = session.last_failure
        return MqttStatus(
            state=session.state,
            connected=self.online,
            connected_since_wall_ns=self._connected_since_wall_ns,
            reconnects=max(0, session.connections - 1),
            publish_count=session.published,
            failed_publish_count=session.failed,
            last_error_code=0 if failure is None else failure.code,
            last_error="" if failure is None else failure.text,
            in_flight=session.window.in_flight,
            last_ack_age_s=session.ack_age_s(self._now_s()),
            broker=f"{config.host}:{config.port}",
        )

    def _has_stopped(self) -> bool:
        self.tick()
        return self._session.state is State.STOPPED

    def _now_s(self) -> float:
        return self._context.clock.boottime_ns() / 1e9

    def _happened(self, event: Event) -> None:
        now_s = self._now_s()
        match event:
            case Opened():
                self._do(self._session.opened(now_s))
            case Accepted(receive_maximum):
                self._do(self._session.accepted(now_s, receive_maximum))
            case Failed(failure):
                self._do(self._session.failed_with(failure, now_s))
            case Acknowledged(token, failure):
                self._do(self._session.acknowledged(token, now_s, failure))
            case Received():
                self._on_received(event)
            case SubscriptionRefused(topics, reason):
                text = f"the MQTT broker does not let us hear {', '.join(topics)}: {reason}"
                self._context.event("mqtt_subscription_refused", text, "warning")

    def _do(self, actions: Actions | Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Send(publication, token):
                    self._client.send(publication, token)
                case Open():
                    self._client.open()
                case Close(in_order):
                    self._client.close(in_order=in_order)
                case Announce():
                    self._tell_of_return()
                    self._on_announce()
                case FullSet():
                    self._on_full_set()
                case Answered(record, taken):
                    self._on_answered(record, taken)
                case Lost(failure):
                    self._tell_of_loss(failure)

    def _tell_of_loss(self, failure: Failure) -> None:
        """One line for an outage, and one more only when it turns out to be a lasting one."""
        was_online = self._connected_since_wall_ns is not None
        self._connected_since_wall_ns = None
        if was_online:
            self._on_lost()
        first = not self._outage.active
        news = self._outage.begin(self._now_s(), failure.text)
        if first or (news and failure.lasting):
            what = "MQTT connection lost" if was_online else "no MQTT connection"
            self._context.event("mqtt_lost", f"{what}: {failure.text}", "warning")

    def _tell_of_return(self) -> None:
        self._connected_since_wall_ns = self._context.clock.wall_ns()
        config = self._context.config.mqtt
        text = f"MQTT connected to {config.host}:{config.port}"
        over = self._outage.end(self._now_s())
        if over is not None:
            text += f" after {over.duration_s:.0f} s and {over.failures} failures"
        self._context.event("mqtt_connected", text)
