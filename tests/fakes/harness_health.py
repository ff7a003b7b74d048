"""health and a broker as real processes, with a battery that the test itself speaks for."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fake_live import fake_live, fake_sample
from harness_gateway import BusProbe, GatewayFolder
from harness_net import LOOPBACK, free_port, wait_for_port
from tinybms_messages.live import LiveData
from tinybms_messages.topics import LIVE_DATA
from tinybms_runtime.clock import SystemClock


def fetch(
    port: int, path: str, *, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers (names in lower case) of one request."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        known = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, answer.read(), known
    finally:
        connection.close()


class HealthBench:
    """broker and health in `folder`; the test publishes LIVE_DATA in acquisition's name."""

    def __init__(
        self, folder: Path, tables: Mapping[str, Mapping[str, object]] | None = None
    ) -> None:
        self.port = free_port()
        tables = dict(tables or {})
        tables["health"] = {"listen": f"{LOOPBACK}:{self.port}", **tables.get("health", {})}
        self.gateway = GatewayFolder(folder, tables)
        self.acquisition = BusProbe(self.gateway.paths, "acquisition")
        self._clock = SystemClock(trust_clock=True)
        self._seq = 0

    def __enter__(self) -> Self:
        self.gateway.start("broker")
        self.gateway.start("health")
        if not wait_for_port(self.port, 15):
            self.__exit__(None, None, None)
            raise TimeoutError(self.gateway.log("health").read_text())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.acquisition.__exit__(kind, error, trace)
        self.gateway.__exit__(kind, error, trace)

    def json(self, path: str) -> dict[str, Any]:
        """The JSON of an answer that must be 200."""
        status, body, _ = fetch(self.port, path)
        assert status == 200, (path, status, body[:200])
        document: dict[str, Any] = json.loads(body)
        return document

    def live(self, sample: Mapping[str, object] | None = None, **changes: object) -> LiveData:
        """A snapshot of this moment."""
        self._seq += 1
        now = {"seq": self._seq, "boottime_ns": self._clock.boottime_ns()}
        fresh = fake_sample(**{**now, "wall_ns": self._clock.wall_ns(), **(sample or {})})
        return fake_live(**{"sample": fresh, **changes})

    def publish(self, sample: Mapping[str, object] | None = None, **changes: object) -> None:
        """Publish a snapshot of this moment."""
        self.acquisition.publish(LIVE_DATA, self.live(sample, **changes))

    def publish_until_shown(
        self, sample: Mapping[str, object], **changes: object
    ) -> dict[str, Any]:
        """Publish until `/api/live` shows the figures of `sample`; what it shows then."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            self.publish(sample, **changes)
            self.acquisition.wait_for(lambda: False, 0.1)
            shown = self.json("/api/live")
            figures = shown["sample"] or {}
            if all(figures.get(key) == value for key, value in sample.items()):
                return shown
        raise TimeoutError(f"/api/live does not show {dict(sample)}")


class Stream:
    """A client of `/api/stream`: iterate for (event, data)."""

    def __init__(self, port: int, *, timeout_s: float = 10.0) -> None:
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_s)
        self._connection.request("GET", "/api/stream")
        self.answer = self._connection.getresponse()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.answer.close()
        self._connection.close()

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        event = ""
        while line := self.answer.readline():
            name, _, text = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                event = text
            elif name == "data":
                yield event, json.loads(text)

    def next(self, kind: str) -> dict[str, Any]:
        """The data of the next event of `kind`."""
        return next(data for event, data in self if event == kind)
