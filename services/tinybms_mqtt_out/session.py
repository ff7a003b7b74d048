"""The connection to the MQTT broker as a state machine: events in, actions out.

    back_off --(delay over)--> connecting --(accepted)--> online --(stop)--> draining --> stopped
        ^                          |                        |
        +--(failed, refused, no CONNACK, closed, no PUBACK)-+

Nothing here knows a socket. Each connection is a fresh one: what was on its way when the last one
broke is given up and never sent again on a live topic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from tinybms_mqtt_out.publication import Kind, Publication, RecordId
from tinybms_mqtt_out.window import Window
from tinybms_runtime.backoff import Backoff

CONNACK_TIMEOUT_S: Final = 10.0
"""From the opened connection to the broker's answer; paho itself would wait for ever."""

ACK_TIMEOUT_S: Final = 10.0
"""Age of the oldest unacknowledged message at which the connection counts as dead."""

STALL_S: Final = 2.0
"""Age of the oldest unacknowledged message from which telemetry and records are held back, so that
a frozen broker does not get seconds of old values when it wakes; records come as replays."""

FULL_SET_DELAY_S: Final = 1.0
"""After the birth; Home Assistant drops what comes in the first moments after discovery."""

DRAIN_TIMEOUT_S: Final = 2.0
STEADY_S: Final = 10.0
"""A connection that lived this long was a good one: the next delay is short again."""

SLOW_RETRY_S: Final = 60.0
"""Delay after an answer that waiting can't mend, such as a wrong password."""

RIVAL_RETRY_S: Final = 120.0
"""Delay after another client took our id over: two that fight serve nobody."""

SHORT_LIVES_OF_A_FIGHT: Final = 3
"""MQTT 3.1.1 does not say that a connection was taken over; so many short ones in a row, without
a refusal in between, let us suspect it. A suspicion changes the words, not the delay: a broker that
is being restarted looks alike."""


class State(StrEnum):
    """Where the session is; the words of MQTT_STATUS."""

    CONNECTING = "connecting"
    ONLINE = "online"
    DRAINING = "draining"
    BACK_OFF = "back_off"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a connection failed: a reason code or errno, and words.

    `lasting`: only a change of the configuration or of the broker can mend it. `rival`: another
    client took the connection over.
    """

    code: int
    text: str
    lasting: bool = False
    rival: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """Make a new connection."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection: in order, or by throwing away what its socket still holds."""

    in_order: bool


@dataclass(frozen=True, slots=True)
class Send:
    """Hand a message to the connection; `token` comes back with the acknowledgement."""

    publication: Publication
    token: int


@dataclass(frozen=True, slots=True)
class Announce:
    """Offer birth, manifest and retained words now."""


@dataclass(frozen=True, slots=True)
class FullSet:
    """Offer every value now."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone, or could not be made."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Answered:
    """The broker has taken a record, or has refused it."""

    record: RecordId
    taken: bool


Action = Open | Close | Send | Announce | FullSet | Lost | Answered
Actions = Sequence[Action]


class Session:
    """State machine of one client; `now_s` is CLOCK_BOOTTIME in seconds."""

    def __init__(
        self, *, backoff: Backoff, window: Window | None = None, client_id: str = ""
    ) -> None:
        self.state = State.BACK_OFF
        self.window = window or Window()
        self.connections = 0
        self.published = 0
        self.failed = 0
        """Messages that did not reach the broker, as far as is known."""
        self.last_failure: Failure | None = None
        self._backoff = backoff
        self._client_id = client_id
        self._short_lives = 0
        self._retry_s: float | None = None
        self._opened_s: float | None = None
        self._online_s = 0.0
        self._full_set_s: float | None = None
        self._drain_end_s = 0.0
        self._last_ack_s: float | None = None
        self._held_back = False

    def start(self, _now_s: float) -> Actions:
        """Connect for the first time, exactly as for any other time."""
        return self._open()

    def opened(self, now_s: float) -> Actions:
        """The transport stands and the connect request is out."""
        if self.state is State.CONNECTING:
            self._opened_s = now_s
        return ()

    def accepted(self, now_s: float, receive_maximum: int | None = None) -> Actions:
        """The broker accepted us; it takes at most `receive_maximum` unacknowledged messages."""
        if self.state is not State.CONNECTING:
            return ()
        self.window.bound(receive_maximum)
        self.state = State.ONLINE
        self.connections += 1
        self._online_s = self._last_ack_s = now_s
        self._full_set_s = now_s + FULL_SET_DELAY_S
        return (Announce(),)

    def failed_with(self, failure: Failure, now_s: float) -> Actions:
        """Connecting failed, the broker refused, or the connection broke."""
        if self.state is State.DRAINING:
            self.state = State.STOPPED
            return (Close(in_order=False),)
        if self.state not in {State.CONNECTING, State.ONLINE}:
            return ()
        if self.state is State.ONLINE:
            failure = self._judge_life(failure, now_s)
        else:
            self._short_lives = 0
        self.state = State.BACK_OFF
        self.last_failure = failure
        self._retry_s = now_s + self._delay_s(failure)
        self._opened_s = self._full_set_s = None
        self._give_up_window()
        return (Close(in_order=False), Lost(failure))

    def acknowledged(self, token: int, now_s: float, failure: Failure | None = None) -> Actions:
        """The broker answered for a message with QoS 1; `failure` when it refused it."""
        publication = self.window.acknowledged(token)
        if publication is None:
            return ()
        self._last_ack_s = now_s
        if failure is None:
            self.published += 1
        else:
            self.failed += 1
            self.last_failure = failure
        record = publication.record
        answered = () if record is None else (Answered(record, taken=failure is None),)
        if self._held_back and self.window.oldest_age_s(now_s) <= STALL_S:
            self._held_back = False
            return (*answered, *self._flush(now_s), FullSet())
        return (*answered, *self._flush(now_s))

    def offer(self, publication: Publication, now_s: float) -> Actions:
        """Publish something if and when the way is free; what can't go is counted as failed."""
        if self.state is not State.ONLINE:
            if publication.kind is not Kind.HEARTBEAT:
                self.failed += 1
            return ()
        stalled = self.window.oldest_age_s(now_s) > STALL_S
        if stalled and (publication.qos == 0 or publication.record is not None):
            self.failed += 1
            self._held_back = True
            return ()
        if publication.qos > 0:
            self.window.offer(publication)
            return self._flush(now_s)
        self.published += 1
        return (Send(publication, 0),)

    def tick(self, now_s: float) -> Actions:
        """Look at the deadlines; to be called a few times a second."""
        if self.state is State.BACK_OFF and self._retry_s is not None and now_s >= self._retry_s:
            return self._open()
        if self.state is State.CONNECTING:
            return self._watch_connack(now_s)
        if self.state is State.ONLINE:
            return self._watch_online(now_s)
        if self.state is State.DRAINING and (self.window.empty or now_s >= self._drain_end_s):
            in_order = self.window.empty
            self.state = State.STOPPED
            return (Close(in_order=in_order),)
        return ()

    def stop(self, farewell: Publication, now_s: float) -> Actions:
        """Publish `farewell`, wait for its acknowledgement for a bounded time, and end."""
        if self.state is not State.ONLINE:
            self.state = State.STOPPED
            return (Close(in_order=False),)
        self.state = State.DRAINING
        self._drain_end_s = now_s + DRAIN_TIMEOUT_S
        self.window.drop_heartbeat()
        self.window.offer(farewell)
        return self._flush(now_s)

    def room(self, now_s: float) -> int:
        """Messages that could go at once; 0 while the broker is away or does not answer."""
        if self.state is not State.ONLINE or self.window.oldest_age_s(now_s) > STALL_S:
            return 0
        return self.window.room

    def ack_age_s(self, now_s: float) -> float | None:
        """Time since the last sign that the broker takes our messages, None while offline."""
        if self.state is not State.ONLINE or self._last_ack_s is None:
            return None
        return now_s - self._last_ack_s

    def _open(self) -> Actions:
        self.state = State.CONNECTING
        self._retry_s = self._opened_s = None
        return (Open(),)

    def _watch_connack(self, now_s: float) -> Actions:
        if self._opened_s is None or now_s - self._opened_s < CONNACK_TIMEOUT_S:
            return ()
        text = (
            f"the broker accepts connections but does not answer within {CONNACK_TIMEOUT_S:.0f} s"
        )
        return self.failed_with(Failure(code=110, text=text), now_s)

    def _watch_online(self, now_s: float) -> Actions:
        age_s = self.window.oldest_age_s(now_s)
        if age_s >= ACK_TIMEOUT_S:
            text = f"the broker has not acknowledged anything for {age_s:.0f} s"
            return self.failed_with(Failure(code=110, text=text), now_s)
        if age_s > STALL_S:
            self._held_back |= self.window.give_up_records()
        if self._full_set_s is not None and now_s >= self._full_set_s:
            self._full_set_s = None
            return (FullSet(), *self._flush(now_s))
        return self._flush(now_s)

    def _flush(self, now_s: float) -> Actions:
        self._count_lost()
        return tuple(Send(publication, token) for token, publication in self.window.take(now_s))

    def _judge_life(self, failure: Failure, now_s: float) -> Failure:
        """The end of a connection that stood; after several short ones in a row it says why."""
        if now_s - self._online_s >= STEADY_S:
            self._backoff.reset()
            self._short_lives = 0
            return failure
        self._short_lives += 1
        if failure.rival or self._short_lives < SHORT_LIVES_OF_A_FIGHT:
            return failure
        text = (
            f"{failure.text}, again and again within seconds: does another client use the id "
            f"{self._client_id!r}? Each needs its own mqtt.client_id"
        )
        return replace(failure, text=text)

    def _delay_s(self, failure: Failure) -> float:
        delay_s = self._backoff.next_delay_s()
        if failure.rival:
            return max(delay_s, RIVAL_RETRY_S)
        return max(delay_s, SLOW_RETRY_S) if failure.lasting else delay_s

    def _give_up_window(self) -> None:
        self._held_back = False
        self.window.clear()
        self._count_lost()

    def _count_lost(self) -> None:
        self.failed += self.window.lost
        self.window.lost = 0
