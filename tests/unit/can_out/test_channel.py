"""The channel over outages: queue full, device gone, bus off; one line for each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

import msgspec
import pytest

from fake_clock import FakeClock
from tinybms_can_out.adapter import (
    BUS_OFF,
    RESTARTED,
    Adapter,
    AdapterGone,
    FrameNotSent,
    Received,
)
from tinybms_can_out.channel import REOPEN_AFTER_S, Channel
from tinybms_can_out.core import CanFrame
from tinybms_config.model import Config
from tinybms_messages.status import GatewayEvent
from tinybms_messages.topics import Topic
from tinybms_runtime.bus import Bus
from tinybms_runtime.loop import Loop
from tinybms_runtime.paths import Paths
from tinybms_runtime.runner import ServiceContext

FRAME = CanFrame(id=0x351, data=bytes(8))


class FakeAdapter:
    """Takes frames unless told to fail."""

    def __init__(self) -> None:
        self.open_error: str | None = None
        self.send_error: Exception | None = None
        self.incoming: list[Received] = []
        self.refused = 0
        self.refuses = False
        self.sent: list[CanFrame] = []
        self.opens = 0
        self.closes = 0

    def open(self) -> None:
        self.opens += 1
        if self.open_error is not None:
            raise AdapterGone(self.open_error)

    def close(self) -> None:
        self.closes += 1

    def fileno(self) -> int | None:
        return None

    def send(self, frame: CanFrame) -> None:
        if self.send_error is not None:
            raise self.send_error
        self.sent.append(frame)

    def receive(self) -> list[Received]:
        found, self.incoming = self.incoming, []
        return found

    def take_refused(self) -> int:
        refused, self.refused = self.refused, 0
        return refused

    def refusing(self) -> bool:
        return self.refuses


class FakeLoop:
    """Timers that run when the test lets time pass."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._due: list[tuple[float, Callable[[], None]]] = []

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        self._due.append((self._now_s() + delay_s, action))

    def advance(self, seconds: float) -> None:
        self._clock.advance(seconds)
        due = [action for time, action in self._due if time <= self._now_s()]
        self._due = [item for item in self._due if item[0] > self._now_s()]
        for action in due:
            action()

    def _now_s(self) -> float:
        return self._clock.boottime_ns() / 1e9


class FakeBus:
    def __init__(self) -> None:
        self.events: list[GatewayEvent] = []

    def publish(self, topic: Topic, body: msgspec.Struct) -> None:
        assert topic.name == "GATEWAY_EVENT"
        assert isinstance(body, GatewayEvent)
        self.events.append(body)


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.loop = FakeLoop(self.clock)
        self.bus = FakeBus()
        self.adapter = FakeAdapter()
        self.heard: list[CanFrame] = []
        self.restarts = 0
        context = ServiceContext(
            name="can_out",
            config=Config(),
            paths=Paths.of(Config()),
            clock=self.clock,
            loop=cast("Loop", self.loop),
            bus=cast("Bus", self.bus),
            log=logging.getLogger("test"),
            boot="0" * 16,
        )
        adapter: Adapter = self.adapter
        self.channel = Channel(
            context=context,
            adapter=adapter,
            on_frame=self.heard.append,
            on_open=self._restarted,
        )

    def _restarted(self) -> None:
        self.restarts += 1

    def advance(self, seconds: float) -> None:
        self.loop.advance(seconds)
        self.channel.look()

    def is_open(self) -> bool:
        return self.channel.is_open

    def bus_off(self) -> bool:
        return self.channel.bus_off

    def codes(self) -> list[str]:
        return [event.code for event in self.bus.events]


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.channel.open()
    return bench


def test_a_full_queue_for_half_a_minute_is_counted_said_once_and_survived(bench: Bench) -> None:
    assert bench.channel.send(FRAME)
    bench.adapter.send_error = FrameNotSent("transmit queue full")
    bench.restarts = 0
    for _ in range(300):
        assert not bench.channel.send(FRAME)
        bench.advance(0.1)
    assert bench.codes() == ["can_send_failed"]
    assert bench.channel.send_errors > 200
    assert bench.adapter.opens > 1, "a channel that takes nothing is opened again"
    bench.adapter.send_error = None
    bench.advance(5.0)
    bench.adapter.sent.clear()
    assert bench.channel.send(FRAME)
    assert bench.adapter.sent == [FRAME], "nothing old is waiting"
    assert bench.codes() == ["can_send_failed", "can_restored"]
    assert bench.restarts >= 1
    assert not bench.channel.failing


def test_a_short_stall_does_not_reopen(bench: Bench) -> None:
    bench.adapter.send_error = FrameNotSent("transmit queue full")
    bench.channel.send(FRAME)
    assert bench.channel.failing
    bench.advance(REOPEN_AFTER_S - 1)
    bench.channel.send(FRAME)
    bench.adapter.send_error = None
    assert bench.channel.send(FRAME)
    assert bench.adapter.opens == 1


def test_a_vanished_device_is_retried_with_growing_delays_and_one_line(bench: Bench) -> None:
    assert bench.channel.send(FRAME)
    bench.adapter.send_error = AdapterGone("no such device")
    bench.adapter.open_error = "No such file or directory"
    assert not bench.channel.send(FRAME)
    assert not bench.is_open()
    for _ in range(600):
        bench.advance(0.1)
        assert not bench.channel.send(FRAME)
    assert bench.codes() == ["can_adapter_lost"]
    assert 12 <= bench.adapter.opens <= 25
    bench.adapter.send_error = bench.adapter.open_error = None
    bench.advance(5.1)
    assert bench.is_open()
    assert bench.channel.send(FRAME)
    assert bench.channel.reopened == 1
    assert bench.codes() == ["can_adapter_lost", "can_restored"]


def test_a_device_that_opens_but_never_sends_keeps_its_outage(bench: Bench) -> None:
    bench.adapter.send_error = AdapterGone("interface down")
    for _ in range(100):
        bench.channel.send(FRAME)
        bench.advance(0.5)
    assert bench.codes() == ["can_adapter_lost"]


def test_bus_off_is_shown_until_the_bus_restarts(bench: Bench) -> None:
    error = Received(frame=CanFrame(id=BUS_OFF, data=bytes(8)), is_error=True)
    bench.adapter.incoming = [error, error]
    bench.advance(0.1)
    assert bench.bus_off()
    assert bench.codes() == ["can_bus_off"]
    bench.adapter.incoming = [Received(frame=CanFrame(id=RESTARTED, data=bytes(8)), is_error=True)]
    bench.advance(0.1)
    assert not bench.bus_off()
    assert bench.heard == []


def test_frames_are_handed_on(bench: Bench) -> None:
    bench.adapter.incoming = [Received(frame=FRAME)]
    bench.advance(0.1)
    assert bench.heard == [FRAME]


def test_frames_that_the_device_could_not_send_are_counted(bench: Bench) -> None:
    bench.adapter.refused = 3
    bench.advance(0.1)
    assert bench.channel.send_errors == 3
    assert "no other node" in bench.channel.last_error


def test_a_device_that_refuses_all_frames_is_an_error_until_it_sends_again(bench: Bench) -> None:
    bench.adapter.refused, bench.adapter.refuses = 20, True
    for _ in range(10):
        bench.advance(0.1)
    assert bench.channel.failing
    assert bench.codes() == ["can_send_failed"]
    bench.adapter.refuses = False
    bench.advance(0.1)
    assert bench.codes() == ["can_send_failed", "can_restored"]
    assert bench.restarts == 2


def test_closing_ends_the_listening(bench: Bench) -> None:
    bench.channel.close()
    assert bench.adapter.closes == 1
    bench.adapter.incoming = [Received(frame=FRAME)]
    bench.advance(0.1)
    assert bench.heard == []
