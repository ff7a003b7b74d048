"""mqtt_out alone: processor with every group on, and memory at 200 values a second."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench_measures import Row
from harness_gateway import BusProbe, GatewayFolder
from harness_mosquitto import Mosquitto
from harness_mqtt import CYCLE_S, MqttStack
from harness_net import LOOPBACK
from harness_sim import SimBms
from tinybms_messages.registers import RegisterValue
from tinybms_messages.status import MqttStatus
from tinybms_messages.topics import LIVE_DATA, MQTT_STATUS

EVERYTHING: Final[dict[str, object]] = {
    "discovery": True,
    "venus": True,
    "legacy_topics": True,
    "groups": {"cells": True, "statistics": True, "settings": True},
}
CELLS: Final = 16
WARM_UP_S: Final = 15.0
USUAL_S: Final = 30.0
LOADED_S: Final = 60.0
GROWTH_MB: Final = 0.5
"""What an allocator may still take after the warm-up; a leak of a byte a value is 12 kB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    at_s: float
    cpu_s: float
    memory_mb: float
    published: int


def measure_mqtt(progress: Callable[[str], None]) -> list[Row]:
    """Both figures, each with a mosquitto of its own."""
    progress("mqtt_out: a simulated BMS, every group on")
    rows = [_in_folder(_usual)]
    progress("mqtt_out: more than 200 values a second")
    return [*rows, _in_folder(_loaded)]


def _in_folder(measure: Callable[[Path], Row]) -> Row:
    folder = Path(tempfile.mkdtemp(prefix="tb-", dir="/tmp"))
    try:
        (folder / "mosquitto").mkdir()
        return measure(folder)
    finally:
        shutil.rmtree(folder)


def _usual(folder: Path) -> Row:
    with (
        Mosquitto(folder / "mosquitto") as broker,
        SimBms(folder / "sim") as sim,
        GatewayFolder(
            folder,
            {
                "acquisition": {"port": str(sim.link)},
                "mqtt": {"host": LOOPBACK, "port": broker.port, **EVERYTHING},
            },
        ) as gateway,
        BusProbe(gateway.paths) as probe,
    ):
        probe.listen(MQTT_STATUS, LIVE_DATA)
        for name in ("broker", "acquisition"):
            gateway.start(name)
        process = psutil.Process(gateway.start("mqtt_out").pid)
        probe.wait_for(lambda: False, WARM_UP_S)
        polls = len(probe.bodies(LIVE_DATA))
        before = _mark(process, probe)
        probe.wait_for(lambda: False, USUAL_S)
        after = _mark(process, probe)
        took_s = after.at_s - before.at_s
        return Row(
            what="mqtt_out: every group on",
            unit="% of a core; polls and messages a second",
            values={
                "processor": 100 * (after.cpu_s - before.cpu_s) / took_s,
                "polls": (len(probe.bodies(LIVE_DATA)) - polls) / took_s,
                "messages": (after.published - before.published) / took_s,
            },
            bound=3.0,
            bound_of="processor",
        )


def _loaded(folder: Path) -> Row:
    with (
        Mosquitto(folder / "mosquitto") as broker,
        MqttStack(folder, broker.port, {**EVERYTHING, "max_rate_hz": 10.0}) as stack,
    ):
        process = psutil.Process(stack.start().pid)
        stack.feed_until(stack.online)
        _feed(stack, WARM_UP_S)
        before = _mark(process, stack.probe)
        _feed(stack, LOADED_S)
        after = _mark(process, stack.probe)
        took_s = after.at_s - before.at_s
        return Row(
            what="mqtt_out: at least 200 values a second",
            unit="MB; values a second; % of a core",
            values={
                "growth": after.memory_mb - before.memory_mb,
                "memory": after.memory_mb,
                "values": (after.published - before.published) / took_s,
                "processor": 100 * (after.cpu_s - before.cpu_s) / took_s,
            },
            bound=GROWTH_MB,
            bound_of="growth",
        )


def _feed(stack: MqttStack, seconds: float) -> None:
    """Ten polls a second in which every cell and the pack's values move by more than their bands.

    The pace is kept against the clock, so that the bench's own work does not lower the rate.
    """
    next_s = time.monotonic()
    end_s = next_s + seconds
    while next_s < end_s:
        step = round(next_s / CYCLE_S) % 2
        seq = stack.live(
            None,
            pack_voltage_v=52.0 + step,
            pack_current_a=-12.0 - 5 * step,
            cell_voltages_v=tuple(3.25 + 0.02 * step + 0.001 * cell for cell in range(CELLS)),
        )
        stack.registers(
            seq,
            RegisterValue(key="pack_voltage", address=36, raw=5200 + 100 * step, value=52.0 + step),
            *(_cell(cell, 32_500 + 200 * step) for cell in range(1, CELLS + 1)),
        )
        next_s += CYCLE_S
        stack.probe.wait_for(lambda: False, max(0.0, next_s - time.monotonic()))


def _cell(number: int, raw: int) -> RegisterValue:
    key = f"cell_voltage_{number:02}"
    return RegisterValue(key=key, address=number - 1, raw=raw, value=raw / 10_000)


def _mark(process: psutil.Process, probe: BusProbe) -> _Mark:
    times = process.cpu_times()
    last = probe.last(MQTT_STATUS)
    status = last.body if last is not None else None
    return _Mark(
        at_s=time.monotonic(),
        cpu_s=times.user + times.system,
        memory_mb=process.memory_full_info().uss / 1e6,
        published=status.publish_count if isinstance(status, MqttStatus) else 0,
    )
