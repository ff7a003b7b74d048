"""What health says while the broker hangs is said again."""

from __future__ import annotations

from tinybms_health.own_events import AGAIN_AFTER_S, KEPT, OwnEvents
from tinybms_messages.status import GatewayEvent


def event(number: int) -> GatewayEvent:
    return GatewayEvent(code="watchdog_kill", text=f"number {number}", wall_ns=number)


def test_what_came_back_is_not_sent_again() -> None:
    events = OwnEvents()
    events.sent(0.0, event(1))
    events.came_back(event(1))
    assert events.overdue(100.0) == []


def test_what_did_not_come_back_is_sent_again_until_it_does() -> None:
    events = OwnEvents()
    events.sent(0.0, event(1))
    assert events.overdue(AGAIN_AFTER_S - 0.1) == []
    assert events.overdue(AGAIN_AFTER_S) == [event(1)]
    assert events.overdue(AGAIN_AFTER_S + 1) == []
    assert events.overdue(2 * AGAIN_AFTER_S) == [event(1)]
    events.came_back(event(1))
    assert events.overdue(100.0) == []


def test_a_long_outage_keeps_the_newest() -> None:
    events = OwnEvents()
    for number in range(KEPT + 5):
        events.sent(0.0, event(number))
    late = events.overdue(10.0)
    assert len(late) == KEPT
    assert late[-1] == event(KEPT + 4)
