"""`make bench`: latency, processor, memory, start and recovery of the whole gateway, as a table.

The same figures go to build/bench.json. Nothing here is a test: machines differ, and so do two
runs on a busy one; compare within one run.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench_buffer import measure_buffer
from bench_drain import measure_drain
from bench_gateway import MeasuredGateway
from bench_health import measure_health
from bench_measures import (
    LIMIT_TOPIC,
    Row,
    measure_latencies,
    measure_recovery,
    measure_resources,
    measure_start,
    quantiles,
)
from bench_mqtt import measure_mqtt
from bench_plain import measure_plain
from bench_rig import MeasuredMqtt
from tinybms_runtime.processes import NAMES

REPORT = Path("build/bench.json")
HEALTH_REPORT = Path("build/bench-health.json")
DRAIN_REPORT = Path("build/bench-drain.json")


def main() -> int:
    """Measure, print the table, write the JSON; 1 when a bound is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--falls", type=int, default=300, help="how often a limit falls")
    parser.add_argument("--rounds", type=int, default=3, help="how often each process is killed")
    parser.add_argument(
        "--drain",
        type=int,
        nargs="?",
        const=100_000,
        metavar="RECORDS",
        help="measure the replay of stored records and nothing else (100000 when not given)",
    )
    parser.add_argument("--health", action="store_true", help="measure health and nothing else")
    options = parser.parse_args()
    console = Console(width=150)
    report, rows = REPORT, list[Row]()
    if options.health:
        report, rows = HEALTH_REPORT, measure_health(console.print)
    elif options.drain is None:
        rows += _pipeline(options.falls, options.rounds, console)
        rows += _plain(options.falls, console)
        rows += [*_ratios(rows), *measure_buffer(console.print)]
        rows += measure_mqtt(console.print)
        rows += measure_health(console.print)
    else:
        report, rows = DRAIN_REPORT, measure_drain(options.drain, console.print)
    console.print(_table(rows))
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps(_report(rows), indent=1), encoding="utf-8")
    console.print(f"written to {report}")
    return 1 if any(row.holds is False for row in rows) else 0


def _pipeline(falls: int, rounds: int, console: Console) -> list[Row]:
    folder = Path(tempfile.mkdtemp(prefix="tb-", dir="/tmp"))
    try:
        with MeasuredGateway(folder) as gateway:
            console.print("gateway: start")
            rows = [measure_start(gateway)]
            with MeasuredMqtt(gateway.broker.port, LIMIT_TOPIC) as mqtt:
                found = measure_latencies(gateway.bms, gateway.can, mqtt, falls, console.print)
            rows += _latency_rows("pipeline", found.can_ms, found.mqtt_ms)
            console.print("gateway: processor and memory, a minute")
            rows += measure_resources(gateway)
            console.print("gateway: SIGKILL of each process")
            rows += measure_recovery(gateway, NAMES, rounds)
        return rows
    finally:
        shutil.rmtree(folder)


def _plain(falls: int, console: Console) -> list[Row]:
    folder = Path(tempfile.mkdtemp(prefix="tb-", dir="/tmp"))
    try:
        console.print("plain script: latency, processor and memory")
        found, rows = measure_plain(folder, falls, console.print)
        plain = [
            Row(what="plain script: answer to CAN", unit="ms", values=quantiles(found.can_ms)),
            Row(what="plain script: answer to MQTT", unit="ms", values=quantiles(found.mqtt_ms)),
        ]
        return [*plain, *rows]
    finally:
        shutil.rmtree(folder)


def _latency_rows(name: str, can_ms: list[float], mqtt_ms: list[float]) -> list[Row]:
    return [
        Row(what=f"{name}: answer to CAN", unit="ms", values=quantiles(can_ms), bound=5.0),
        Row(what=f"{name}: answer to MQTT", unit="ms", values=quantiles(mqtt_ms), bound=10.0),
    ]


def _ratios(rows: list[Row]) -> list[Row]:
    """What the pipeline costs, as multiples of the plain script."""
    by_name = {row.what: row.values for row in rows}
    pairs = (
        ("pipeline: answer to CAN", "plain script: answer to CAN", "median"),
        ("pipeline: answer to MQTT", "plain script: answer to MQTT", "median"),
        ("processor", "plain script: processor", "all"),
        ("private memory", "plain script: private memory", "all"),
    )
    return [
        Row(
            what=f"price of the pipeline: {ours}",
            unit="times the plain script",
            values={key: by_name[ours][key] / max(by_name[plain][key], 1e-9)},
        )
        for ours, plain, key in pairs
    ]


def _table(rows: list[Row]) -> Table:
    table = Table("what", "unit", "figures", "at most", "")
    for row in rows:
        figures = "  ".join(f"{key} {value:.2f}" for key, value in row.values.items())
        bound = "" if row.bound is None else f"{row.bound_of} {row.bound:g}"
        verdict = {True: "holds", False: "[bold]MISSED[/]", None: ""}[row.holds]
        table.add_row(row.what, row.unit, figures, bound, verdict)
    return table


def _report(rows: list[Row]) -> dict[str, object]:
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "rows": [{**asdict(row), "holds": row.holds} for row in rows],
    }


if __name__ == "__main__":
    sys.exit(main())
