"""What is measured, one function for each figure; every one returns rows of the table."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench_gateway import MeasuredGateway
from bench_rig import MeasuredBms, MeasuredMqtt, first_dcl_below, last_dcl_a
from fake_slcan import FakeSlcan

WARM_C: Final = 50
COLD_C: Final = -100
STEP_C: Final = 8
"""Tenths of a degree between two samples: each step lets DCL fall by more than 2 %."""
WHOLE_A: Final = 279.9
"""The discharge limit of a warm pack; less would be a limit that still rises."""
RESOURCE_S: Final = 60.0
SETTLE_S: Final = 3.0
"""Rest between two kills, so that supervisord starts the next one at once."""
LIMIT_TOPIC: Final = "victron/tinybms/discharge_current_limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure; `bound` is what it is to be at most, None where it is only shown."""

    what: str
    unit: str
    values: dict[str, float]
    bound: float | None = None
    bound_of: str = "p99"

    @property
    def holds(self) -> bool | None:
        """Whether the bound is kept."""
        return None if self.bound is None else self.values[self.bound_of] <= self.bound


@dataclass(slots=True, kw_only=True)
class Latencies:
    """Delays in ms from the last byte of a live answer."""

    can_ms: list[float]
    mqtt_ms: list[float]


def measure_latencies(
    bms: MeasuredBms,
    can: FakeSlcan,
    mqtt: MeasuredMqtt,
    count: int,
    progress: Callable[[str], None],
) -> Latencies:
    """Let the discharge limit fall `count` times and note when CAN and MQTT carry it."""
    found = Latencies(can_ms=[], mqtt_ms=[])
    tenths = WARM_C
    warm_up(bms, can)
    while len(found.can_ms) < count:
        tenths -= STEP_C
        if tenths < COLD_C:
            warm_up(bms, can)
            tenths = WARM_C - STEP_C
        before_a = last_dcl_a(can)
        assert before_a is not None, "frames are coming"
        can.forget()
        bms.set_probe(tenths)
        answered_s = _await(partial(bms.answered_s, tenths), 5.0, "a live answer")
        lower_frame = partial(first_dcl_below, can, before_a, answered_s - 1.0)
        lower_value = partial(mqtt.first_below, before_a, answered_s - 0.5)
        at_can_s = _await(lower_frame, 5.0, "a lower limit in 0x351")
        at_mqtt_s = _await(lower_value, 5.0, "a lower limit by MQTT")
        found.can_ms.append((at_can_s - answered_s) * 1e3)
        found.mqtt_ms.append((at_mqtt_s - answered_s) * 1e3)
        if len(found.can_ms) % 50 == 0:
            progress(f"latency: {len(found.can_ms)} of {count}")
        time.sleep(0.3)
    return found


def warm_up(bms: MeasuredBms, can: FakeSlcan) -> None:
    """Warm the pack in small steps, so that no step looks like a glitch, until DCL is whole."""
    for tenths in range(COLD_C, WARM_C + 1, 5):
        bms.set_probe(tenths)
        _await(partial(bms.answered_s, tenths), 5.0, "a live answer")
    _await(lambda: (last_dcl_a(can) or 0.0) >= WHOLE_A or None, 90.0, "the whole discharge limit")


def measure_resources(gateway: MeasuredGateway) -> list[Row]:
    """Processor time over RESOURCE_S and private memory at its end, each process and all."""
    processes = gateway.processes()
    before = {name: sum(process.cpu_times()[:2]) for name, process in processes.items()}
    began_s = time.monotonic()
    time.sleep(RESOURCE_S)
    took_s = time.monotonic() - began_s
    cpu = {
        name: 100 * (sum(process.cpu_times()[:2]) - before[name]) / took_s
        for name, process in processes.items()
    }
    memory = {name: process.memory_full_info().uss / 1e6 for name, process in processes.items()}
    return [
        Row(
            what="processor",
            unit="% of a core",
            values={"all": sum(cpu.values()), **cpu},
            bound=5.0,
            bound_of="all",
        ),
        Row(
            what="private memory",
            unit="MB",
            values={"all": sum(memory.values()), **memory},
            bound=150.0,
            bound_of="all",
        ),
    ]


def measure_start(gateway: MeasuredGateway) -> Row:
    """From the start of supervisord to the first CAN frame."""
    first_s = _await(
        lambda: gateway.can.frames[0].at_s if gateway.can.frames else None, 30.0, "a CAN frame"
    )
    took = {"start": first_s - gateway.started_s}
    return Row(what="start to first CAN frame", unit="s", values=took, bound=3.0, bound_of="start")


def measure_recovery(gateway: MeasuredGateway, names: Iterable[str], rounds: int) -> list[Row]:
    """SIGKILL each process; how long until its successor works.

    A successor works when its loop beats; the broker, when it carries LIVE_DATA again.
    """
    rows = []
    for name in names:
        took_s = sorted(_recovery_s(gateway, name) for _ in range(rounds))
        rows.append(
            Row(
                what=f"SIGKILL of {name}: at work again",
                unit="s",
                values={"median": took_s[len(took_s) // 2], "max": took_s[-1]},
                bound=2.5 if name == "health" else 1.0,
                bound_of="max",
            )
        )
    return rows


def _recovery_s(gateway: MeasuredGateway, name: str) -> float:
    gateway.probe.wait_for(lambda: False, SETTLE_S)
    process = gateway.processes()[name]
    killed_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    process.send_signal(signal.SIGKILL)
    process.wait(5)
    if name == "broker":
        return gateway.live_again_s(killed_s, 30.0) - killed_s
    return gateway.first_beat_s(name, process.pid, 30.0) - killed_s


def quantiles(values: list[float]) -> dict[str, float]:
    """Median, p90, p99 and maximum."""
    ordered = sorted(values)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return {"median": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": ordered[-1]}


def _await(get: Callable[[], float | None], timeout_s: float, what: str) -> float:
    deadline_s = time.monotonic() + timeout_s
    while (value := get()) is None:
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.002)
    return value
