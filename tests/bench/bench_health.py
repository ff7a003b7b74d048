"""health beside the data path: its answers, many listeners to its stream, the first paint."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

from bench_gateway import ROOT, MeasuredGateway
from bench_measures import Row, quantiles
from harness_browser import Browser
from harness_net import LOOPBACK

ASKED: Final = 2000
CLIENTS: Final = 100
LISTENED_S: Final = 45.0
ROUNDS: Final = 2
"""With and without listeners in turn, so that what else the machine does meets both alike."""
SETTLE_S: Final = 5.0
LIMITS: Final = 0x351
PERIOD_MS: Final = 1000.0
JITTER_MS: Final = 5.0
"""Half a percent of the period; a GX allows for much more."""
PAINTS: Final = 10
MODULES: Final = "TINYBMS_PAGE_MODULES"


def measure_health(progress: Callable[[str], None]) -> list[Row]:
    """All rows, on one gateway; the page's only where Chromium and its driver are at hand."""
    folder = Path(tempfile.mkdtemp(prefix="tb-", dir="/tmp"))
    try:
        with MeasuredGateway(folder) as gateway:
            _await_data(gateway)
            progress(f"health: {ASKED} times /api/status")
            rows = [_status(gateway)]
            rows += _stream(gateway, progress)
            rows += _page(gateway, progress)
        return rows
    finally:
        shutil.rmtree(folder)


def _await_data(gateway: MeasuredGateway) -> None:
    deadline_s = time.monotonic() + 60.0
    while not _fresh(gateway):
        assert time.monotonic() < deadline_s, "fresh data by HTTP"
        time.sleep(0.2)
    time.sleep(SETTLE_S)


def _fresh(gateway: MeasuredGateway) -> bool:
    try:
        return bool(json.loads(_get(gateway))["data"]["state"] == "fresh")
    except OSError:
        return False  # does not listen yet


def _get(gateway: MeasuredGateway) -> bytes:
    connection = http.client.HTTPConnection(LOOPBACK, gateway.http_port, timeout=5)
    try:
        connection.request("GET", "/api/status")
        return connection.getresponse().read()
    finally:
        connection.close()


def _status(gateway: MeasuredGateway) -> Row:
    """Each request on a connection of its own, as curl and most scrapers make it."""
    took_ms = []
    for _ in range(ASKED):
        begun_s = time.perf_counter()
        _get(gateway)
        took_ms.append((time.perf_counter() - begun_s) * 1e3)
        time.sleep(0.005)
    return Row(what="/api/status", unit="ms", values=quantiles(took_ms), bound=20.0)


def _stream(gateway: MeasuredGateway, progress: Callable[[str], None]) -> list[Row]:
    without, beside, shares_pct, got = list[float](), list[float](), list[float](), list[float]()
    for number in range(1, ROUNDS + 1):
        progress(f"health: {LISTENED_S:.0f} s without a listener, {number} of {ROUNDS}")
        without += _off_period_ms(gateway)
        progress(f"health: {LISTENED_S:.0f} s with {CLIENTS} listeners, {number} of {ROUNDS}")
        with _listeners(gateway.http_port) as clients:
            before_s, begun_s = _cpu_s(gateway), time.monotonic()
            beside += _off_period_ms(gateway)
            shares_pct.append(100 * (_cpu_s(gateway) - before_s) / (time.monotonic() - begun_s))
            counts = json.loads(clients.communicate(timeout=30)[0])["per_client"]
        got += [number / LISTENED_S for number in counts]
    who = f"{CLIENTS} stream clients"
    alone, loaded = quantiles(without), quantiles(beside)
    return [
        Row(
            what=f"health with {who}",
            unit="% of a core",
            values={"processor": max(shares_pct)},
            bound=30.0,
            bound_of="processor",
        ),
        Row(
            what=f"{who}: snapshots each got",
            unit="a second",
            values={"least": min(got), "most": max(got)},
        ),
        Row(what="0x351 off its period, nobody listens", unit="ms", values=alone),
        Row(what=f"0x351 off its period, {who}", unit="ms", values=loaded),
        Row(
            what=f"0x351 off its period: added by {who}",
            unit="ms",
            values={key: loaded[key] - alone[key] for key in ("median", "p90")},
            bound=JITTER_MS,
            bound_of="p90",
        ),
    ]


def _cpu_s(gateway: MeasuredGateway) -> float:
    return sum(gateway.processes()["health"].cpu_times()[:2])


def _off_period_ms(gateway: MeasuredGateway) -> list[float]:
    gateway.can.forget()
    time.sleep(LISTENED_S)
    times = [frame.at_s for frame in gateway.can.frames if frame.id == LIMITS]
    assert len(times) > LISTENED_S * 0.9, "0x351 came each second"
    return [abs(1e3 * (later - one) - PERIOD_MS) for one, later in pairwise(times)]


@contextmanager
def _listeners(port: int) -> Iterator[subprocess.Popen[str]]:
    script = Path(__file__).with_name("stream_clients.py")
    words = [sys.executable, str(script), str(port), str(CLIENTS), str(LISTENED_S)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as clients:
        try:
            assert clients.stdout is not None
            assert clients.stdout.readline() == "connected\n"
            yield clients
        finally:
            clients.kill()


def _page(gateway: MeasuredGateway, progress: Callable[[str], None]) -> list[Row]:
    modules = Path(os.environ.setdefault(MODULES, str(ROOT / "build" / "page"))) / "node_modules"
    if shutil.which("chromium") is None or not (modules / "playwright-core").is_dir():
        progress("page: left out; make test-page installs what it needs")
        return []
    progress("page: first paint")
    paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    shown = "document.body.dataset.state === 'fresh'"
    took: dict[str, list[float]] = {"paint": [], "values": []}
    with Browser(gateway.folder / "browser.log") as browser:
        for _ in range(PAINTS):
            browser.open(f"http://{LOOPBACK}:{gateway.http_port}/")
            browser.wait(shown)
            took["values"].append(float(browser.run("performance.now()")))
            browser.wait(f"{paint} > 0")
            took["paint"].append(float(browser.run(paint)))
    return [
        Row(
            what="page: first paint, a browser that knows nothing of it",
            unit="ms",
            values=quantiles(took["paint"]),
            bound=1000.0,
            bound_of="max",
        ),
        Row(what="page: first values", unit="ms", values=quantiles(took["values"])),
    ]
