"""Four producers at once and a connection that breaks again and again: nothing stalls or is lost.

Other bridges locked up when several threads published, or one published from within a callback.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from fake_critical import make_record
from fake_live import fake_live, fake_sample
from harness_gateway import BusProbe
from harness_mosquitto import Mosquitto
from harness_mqtt import Listener, MqttStack
from harness_proxy import Way
from tinybms_messages.registers import RegisterValue, RegisterValues
from tinybms_messages.status import BufferStatus, CanStatus
from tinybms_messages.topics import (
    BUFFER_STATUS,
    CAN_STATUS,
    CRITICAL,
    LIVE_DATA,
    MQTT_DELIVERED,
    MQTT_REGISTER_VALUE,
)
from tinybms_runtime.clock import SystemClock

MESSAGES = 10_000
BURST = 20
BURST_EVERY_S = 0.05
"""10 000 in 25 s: about forty times what a gateway does."""
BREAKS = 4
STALL_S = 5.0
BOOT = "00000000000000d4"
CLOCK = SystemClock(trust_clock=True)


def say_records(probe: BusProbe, number: int) -> None:
    now = {"wall_ns": CLOCK.wall_ns(), "boottime_ns": CLOCK.boottime_ns()}
    kernel = CLOCK.kernel_boot_id
    probe.publish(CRITICAL, make_record(number, boot=BOOT, kernel_boot_id=kernel, **now))


def say_live(probe: BusProbe, number: int) -> None:
    now = {"wall_ns": CLOCK.wall_ns(), "boottime_ns": CLOCK.boottime_ns()}
    sample = fake_sample(seq=number, pack_voltage_v=50 + number % 100 / 20, **now)
    probe.publish(LIVE_DATA, fake_live(sample=sample))


def say_registers(probe: BusProbe, number: int) -> None:
    value = RegisterValue(key="full_charge_count", address=112, raw=number, value=number)
    body = RegisterValues(live_seq=number, wall_ns=CLOCK.wall_ns(), values=(value,))
    probe.publish(MQTT_REGISTER_VALUE, body)


def say_can(probe: BusProbe, number: int) -> None:
    probe.publish(CAN_STATUS, CanStatus(state="sending", victron_keepalive_ok=number % 2 == 0))


PRODUCERS: list[tuple[str, Callable[[BusProbe, int], None]]] = [
    ("acquisition", say_records),
    ("acquisition", say_live),
    ("acquisition", say_registers),
    ("can_out", say_can),
]


def produce(stack: MqttStack, source: str, say: Callable[[BusProbe, int], None]) -> None:
    with BusProbe(stack.gateway.paths, source) as probe:
        probe.wait_for(lambda: False, 0.5)
        for number in range(1, MESSAGES + 1):
            say(probe, number)
            if number % BURST == 0:
                probe.wait_for(lambda: False, BURST_EVERY_S)
        probe.wait_for(lambda: False, 0.5)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_four_producers_and_a_breaking_connection_neither_stall_nor_lose(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    with (
        Listener(mosquitto, run_dir / "heard") as listener,
        Way(mosquitto.port) as way,
        MqttStack(run_dir, way.port, {"discovery": False}, can_enabled=True) as stack,
        BusProbe(stack.gateway.paths) as probe,
    ):
        probe.listen(MQTT_DELIVERED, BUFFER_STATUS)
        way.open()
        stack.gateway.start("buffer")
        stack.start()
        stack.wait_until(stack.online)
        probe.wait_for(lambda: probe.last(BUFFER_STATUS) is not None)
        threads = [
            threading.Thread(target=produce, args=(stack, source, say)) for source, say in PRODUCERS
        ]
        for thread in threads:
            thread.start()
        heard_s = [time.monotonic()]
        for breaks in range(BREAKS):
            while not online_again(stack, breaks):
                rest(stack, heard_s, 0.2)
            rest(stack, heard_s, 1.0)
            way.reset()
        while any(thread.is_alive() for thread in threads):
            rest(stack, heard_s, 0.5)
        for thread in threads:
            thread.join()

        def all_delivered() -> bool:
            rest(stack, heard_s, 0.2)
            last, buffer = probe.last(MQTT_DELIVERED), probe.last(BUFFER_STATUS)
            assert buffer is not None
            status: BufferStatus = buffer.body
            boots = {} if last is None else {boot.boot: boot.up_to for boot in last.body.boots}
            return boots.get(BOOT) == MESSAGES and status.rows == 0 and status.waiting == 0

        deadline = time.monotonic() + 150
        while not (probe.wait_for(lambda: False, 0.05) or all_delivered()):
            assert time.monotonic() < deadline, (probe.last(MQTT_DELIVERED), stack.status())
        everywhere = ("soc_percent", "replay/soc_percent")
        numbers = {
            message.json["seq"] // 10
            for topic in everywhere
            for message in listener.of(topic)
            if message.json["boot"] == BOOT
        }
        assert numbers == set(range(1, MESSAGES + 1))
        assert max(later - earlier for earlier, later in pairwise(heard_s)) < STALL_S
        status = stack.status()
        assert status is not None
        assert status.reconnects >= BREAKS


def online_again(stack: MqttStack, times: int) -> bool:
    status = stack.status()
    return stack.online() and status is not None and status.reconnects >= times


def rest(stack: MqttStack, heard_s: list[float], seconds: float) -> None:
    """Wait, and note when mqtt_out said something of itself."""
    statuses = stack.probe.messages["MQTT_STATUS"]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        count = len(statuses)
        stack.probe.wait_for(lambda: False, 0.1)
        if len(statuses) > count:
            heard_s.append(time.monotonic())
