"""Measure the plain single-process script between the same two ends as the gateway."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil

from bench_measures import LIMIT_TOPIC, RESOURCE_S, Latencies, Row, measure_latencies
from bench_rig import MeasuredBms, MeasuredMqtt
from fake_slcan import FakeSlcan
from harness_mosquitto import Mosquitto

SCRIPT: Final = Path(__file__).with_name("plain_gateway.py")
NO_DELAY: Final = "set_tcp_nodelay true\n"


def measure_plain(
    folder: Path, count: int, progress: Callable[[str], None]
) -> tuple[Latencies, list[Row]]:
    """Latencies of `count` falling limits, then processor and memory over RESOURCE_S."""
    (folder / "mosquitto").mkdir()
    with (
        Mosquitto(folder / "mosquitto", extra_config=NO_DELAY) as broker,
        MeasuredBms(folder / "bms") as bms,
        FakeSlcan(folder / "can") as can,
        MeasuredMqtt(broker.port, LIMIT_TOPIC) as mqtt,
    ):
        process = subprocess.Popen(
            [sys.executable, SCRIPT, folder / "bms", folder / "can", str(broker.port)]
        )
        try:
            found = measure_latencies(bms, can, mqtt, count, progress)
            rows = _resources(psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait(10)
    return found, rows


def _resources(process: psutil.Process) -> list[Row]:
    before_s = sum(process.cpu_times()[:2])
    began_s = time.monotonic()
    time.sleep(RESOURCE_S)
    share = 100 * (sum(process.cpu_times()[:2]) - before_s) / (time.monotonic() - began_s)
    memory_mb = process.memory_full_info().uss / 1e6
    return [
        Row(what="plain script: processor", unit="% of a core", values={"all": share}),
        Row(what="plain script: private memory", unit="MB", values={"all": memory_mb}),
    ]
