"""The newest events of the gateway, numbered, for `/api/events`: pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from tinybms_health.status import iso_time
from tinybms_messages.status import GatewayEvent

KEPT: Final = 1000
ASKED_AT_MOST: Final = 1000


class NumberedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event with its number, which only rises."""

    id: int
    time: str
    source: str
    code: str
    severity: str
    text: str


class EventsReport(msgspec.Struct, frozen=True, kw_only=True):
    """Events, oldest first. Ask again with `after=<last_id>` for those that are new."""

    schema: int = 1
    last_id: int
    events: tuple[NumberedEvent, ...]


class EventLog:
    """Holds the last events. `first_id`: number of the first, so that numbers rise over restarts.

    Numbers begin with the wall time in ms at the start: above all those of the run before.
    """

    def __init__(self, first_id: int) -> None:
        self._next_id = first_id
        self._events: deque[NumberedEvent] = deque(maxlen=KEPT)

    def add(self, source: str, event: GatewayEvent) -> NumberedEvent:
        """Note an event."""
        numbered = NumberedEvent(
            id=self._next_id,
            time=iso_time(event.wall_ns),
            source=source,
            code=event.code,
            severity=event.severity,
            text=event.text,
        )
        self._next_id += 1
        self._events.append(numbered)
        return numbered

    def restore(self, events: Sequence[NumberedEvent]) -> None:
        """Put the events of the run before in front of those of this one."""
        if events:
            self._next_id = max(self._next_id, events[-1].id + 1)
            self._events = deque((*events, *self._events), maxlen=KEPT)

    def report(self, *, after: int = 0, limit: int = 100) -> EventsReport:
        """The newest `limit` events whose number is above `after`."""
        chosen = [event for event in self._events if event.id > after][-limit:]
        return EventsReport(last_id=self._next_id - 1, events=tuple(chosen))
