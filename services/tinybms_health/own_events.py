"""Events of health itself, which a hanging broker must not swallow: pure bookkeeping."""

from __future__ import annotations

from collections import deque
from typing import Final

from tinybms_messages.status import GatewayEvent

KEPT: Final = 100
AGAIN_AFTER_S: Final = 3.0


class OwnEvents:
    """Remembers which events have not come back over the bus, and when to send them again.

    What never came back was lost with a broker that hung or died; the oldest are given up when
    more than `KEPT` wait.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, GatewayEvent]] = deque(maxlen=KEPT)

    def sent(self, now_s: float, event: GatewayEvent) -> None:
        """`event` was published."""
        self._waiting.append((now_s, event))

    def came_back(self, event: GatewayEvent) -> None:
        """The bus has delivered `event`."""
        self._waiting = deque(
            ((sent_s, other) for sent_s, other in self._waiting if other != event), maxlen=KEPT
        )

    def overdue(self, now_s: float) -> list[GatewayEvent]:
        """Events to be published again; each is overdue anew after `AGAIN_AFTER_S`."""
        late = [event for sent_s, event in self._waiting if now_s - sent_s >= AGAIN_AFTER_S]
        for event in late:
            self.came_back(event)
            self.sent(now_s, event)
        return late
