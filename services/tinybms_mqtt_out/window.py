"""Messages with QoS 1 on their way: at most so many unacknowledged, the newest of a topic waits.

Of critical records each one waits, for each is owed; what finds no place comes back as a replay.

paho's own window is not used: it ignores its limit after a reconnect and sends old messages again
without a mark.
"""

from __future__ import annotations

from typing import Final

from tinybms_mqtt_out.publication import Kind, Publication, RecordId

IN_FLIGHT_LIMIT: Final = 20
"""Unacknowledged messages at a time; brokers commonly take 20 without queueing."""

PENDING_LIMIT: Final = 512
"""Messages that may wait; more than the gateway has, so that only a defect could reach it."""


class Window:
    """Bounded by construction: `IN_FLIGHT_LIMIT` on the way, one waiting message for a topic."""

    def __init__(self, *, limit: int = IN_FLIGHT_LIMIT) -> None:
        self.limit = self._own_limit = limit
        self._next_token = 1
        self._in_flight: dict[int, tuple[Publication, float]] = {}
        self._pending: dict[tuple[str, RecordId | None], Publication] = {}
        self._heartbeat: Publication | None = None
        self._heartbeat_token: int | None = None
        self.lost = 0
        """Messages given up: replaced by a newer one, or the connection broke."""

    def bound(self, receive_maximum: int | None) -> None:
        """Honour the broker's own bound, which may be lower than ours."""
        self.limit = min(self._own_limit, receive_maximum or self._own_limit)

    @property
    def in_flight(self) -> int:
        """Messages sent and not yet acknowledged."""
        return len(self._in_flight)

    @property
    def room(self) -> int:
        """Messages that could be sent at once, behind those that wait."""
        return max(0, self.limit - len(self._in_flight) - len(self._pending))

    @property
    def empty(self) -> bool:
        """Whether nothing is on its way and nothing waits."""
        return not self._in_flight and not self._pending and self._heartbeat is None

    def oldest_age_s(self, now_s: float) -> float:
        """How long the oldest unacknowledged message has been waiting, 0 when there is none."""
        for _publication, sent_s in self._in_flight.values():
            return now_s - sent_s
        return 0.0

    def offer(self, publication: Publication) -> None:
        """Queue a message; it takes the place of one of its topic that still waits."""
        if publication.kind is Kind.HEARTBEAT:
            if self._heartbeat_token is None:
                self._heartbeat = publication
            return
        replaced = self._pending.pop(publication.place, None)
        if replaced is not None or len(self._pending) >= PENDING_LIMIT:
            self.lost += 1
        if replaced is None and len(self._pending) >= PENDING_LIMIT:
            return
        self._pending[publication.place] = publication

    def take(self, now_s: float) -> list[tuple[int, Publication]]:
        """Move what fits to the way; critical messages first, the heartbeat last."""
        taken: list[tuple[int, Publication]] = []
        while self._pending and len(self._in_flight) < self.limit:
            publication = self._pending.pop(self._most_urgent())
            taken.append((self._send(publication, now_s), publication))
        if self._heartbeat is not None and len(self._in_flight) < self.limit:
            publication, self._heartbeat = self._heartbeat, None
            self._heartbeat_token = self._send(publication, now_s)
            taken.append((self._heartbeat_token, publication))
        return taken

    def acknowledged(self, token: int) -> Publication | None:
        """Note the broker's acknowledgement; what it is for, None when that is not on its way."""
        if token == self._heartbeat_token:
            self._heartbeat_token = None
        publication, _ = self._in_flight.pop(token, (None, 0.0))
        return publication

    def clear(self) -> None:
        """Give up everything, on its way or waiting: the connection is gone."""
        self.lost += len(self._in_flight) + len(self._pending)
        self._in_flight.clear()
        self._pending.clear()
        self._heartbeat = None
        self._heartbeat_token = None

    def give_up_records(self) -> bool:
        """Let the records that wait be stored and replayed; whether there were any."""
        waiting = [place for place, one in self._pending.items() if one.record is not None]
        for place in waiting:
            del self._pending[place]
        self.lost += len(waiting)
        return bool(waiting)

    def drop_heartbeat(self) -> None:
        """Forget a heartbeat that waits, so that it can't follow a farewell."""
        self._heartbeat = None

    def _most_urgent(self) -> tuple[str, RecordId | None]:
        fresh = None
        for place, publication in self._pending.items():
            if publication.kind is Kind.CRITICAL:
                return place
            if fresh is None and publication.kind is not Kind.REPLAY:
                fresh = place
        return fresh or next(iter(self._pending))

    def _send(self, publication: Publication, now_s: float) -> int:
        token = self._next_token
        self._next_token += 1
        self._in_flight[token] = (publication, now_s)
        return token
