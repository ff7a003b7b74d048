"""Replay of many stored records through mqtt_out and mosquitto to a slow subscriber.

A first part goes at the rate that is configured by default, against a subscriber that is slow for
it; the rest at the highest rate that can be configured, against one that is quicker, but rests as
well. mosquitto keeps its default queue of 1,000 messages for a subscriber that lags behind.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import paho.mqtt.client as mqtt
from msgspec.structs import replace
from paho.mqtt.enums import CallbackAPIVersion

from bench_measures import Row
from fake_clock import FakeClock
from fake_critical import make_record
from fake_store import open_store
from harness_gateway import BusProbe, GatewayFolder
from harness_mosquitto import Mosquitto
from harness_net import LOOPBACK
from tinybms_config.model import Buffer
from tinybms_messages.status import BufferStatus
from tinybms_messages.topics import BUFFER_STATUS

TOPIC: Final = "victron/tinybms/replay/soc_percent"
BATCH: Final = 1000
LONGEST_S: Final = 1800.0
LAST_MESSAGES_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """`rate` of the replay in messages a second, and how slow the subscriber is.

    The subscriber takes `handling_s` for a message, and rests for `rest_s` each `every_s`.
    """

    rate: int
    handling_s: float
    rest_s: float
    every_s: float


BY_DEFAULT: Final = Pace(rate=Buffer().replay_rate, handling_s=0.005, rest_s=5.0, every_s=20.0)
FASTEST: Final = Pace(rate=1000, handling_s=0.0005, rest_s=0.5, every_s=10.0)
DEFAULT_PART_S: Final = 60
"""For so long the replay goes at the default rate; all of it would take a quarter of an hour."""


def measure_drain(records: int, progress: Callable[[str], None]) -> list[Row]:
    """Store `records`, replay them, count them at the subscriber."""
    folder = Path(tempfile.mkdtemp(prefix="tb-", dir="/tmp"))
    try:
        with ExitStack() as exits:
            (folder / "mosquitto").mkdir()
            broker = exits.enter_context(Mosquitto(folder / "mosquitto"))
            drain = exits.enter_context(Drain(folder, broker.port, records, progress))
            first = min(records, BY_DEFAULT.rate * DEFAULT_PART_S)
            by_default_s = drain.until(records - first, BY_DEFAULT)
            rest = records - len(drain.subscriber.numbers)
            fastest_s = drain.until(0, FASTEST)
            drain.subscriber.wait_for(records)
            numbers = drain.subscriber.numbers
    finally:
        shutil.rmtree(folder)
    arrived = list(dict.fromkeys(numbers))
    return [
        Row(
            what="drain: stored records to a slow subscriber",
            unit="records",
            values={
                "stored": records,
                "lost": records - len(arrived),
                "repeated": len(numbers) - len(arrived),
                "out of order": sum(after < before for before, after in pairwise(arrived)),
            },
            bound=0.0,
            bound_of="lost",
        ),
        Row(
            what=f"drain: at replay_rate {BY_DEFAULT.rate} (default), then {FASTEST.rate}",
            unit="records a second",
            values={"default": first / by_default_s, "fastest": rest / max(fastest_s, 1e-9)},
        ),
    ]


class Drain:
    """Bus broker, buffer with `records` in its store, mqtt_out, and the slow subscriber."""

    def __init__(
        self, folder: Path, port: int, records: int, progress: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._port = port
        self._progress = progress
        self.subscriber = SlowSubscriber(port)
        self._gateway = self._configured(BY_DEFAULT)
        self._probe = BusProbe(self._gateway.paths)
        progress(f"drain: store {records} records")
        _fill(self._gateway.paths.state_file("buffer.sqlite"), records)

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            exits.enter_context(self._gateway)
            exits.enter_context(self._probe)
            exits.enter_context(self.subscriber)
            self._probe.listen(BUFFER_STATUS)
            for name in ("broker", "buffer"):
                self._gateway.start(name)
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exits.close()

    def until(self, rows: int, pace: Pace) -> float:
        """Replay at `pace` until at most `rows` are stored; how long that took in s."""
        self._progress(f"drain: at {pace.rate} messages a second until {rows} are left")
        self._configured(pace)
        self.subscriber.pace = pace
        if "mqtt_out" in self._gateway.processes:
            self._gateway.stop("mqtt_out")
        began_s = time.monotonic()
        self._gateway.start("mqtt_out")

        def done() -> bool:
            last = self._probe.last(BUFFER_STATUS)
            status = BufferStatus(state="") if last is None else last.body
            return bool(status.state) and status.rows <= rows

        if not self._probe.wait_for(done, LONGEST_S):
            raise AssertionError(f"not drained within {LONGEST_S} s")
        return time.monotonic() - began_s

    def _configured(self, pace: Pace) -> GatewayFolder:
        return GatewayFolder(
            self._folder,
            {
                "mqtt": {"host": LOOPBACK, "port": self._port},
                "buffer": {"replay_rate": pace.rate},
            },
        )


class SlowSubscriber:
    """Acknowledges each message only when it has taken its time over it."""

    def __init__(self, port: int) -> None:
        self.pace = BY_DEFAULT
        self.numbers: list[int] = []
        self._rest_at_s = time.monotonic()
        self._subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(TOPIC, qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._take
        self._client.connect(LOOPBACK, port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        if not self._subscribed.wait(10):
            raise AssertionError("the subscriber can't subscribe")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait_for(self, count: int) -> None:
        """Give what is still in mosquitto's queue its time, until `count` have come."""
        end_s = time.monotonic() + LAST_MESSAGES_S
        while len(set(self.numbers)) < count and time.monotonic() < end_s:
            time.sleep(0.5)

    def _take(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        self.numbers.append(int(json.loads(message.payload)["seq"]))
        time.sleep(self.pace.handling_s)
        if time.monotonic() >= self._rest_at_s:
            time.sleep(self.pace.rest_s)
            self._rest_at_s = time.monotonic() + self.pace.every_s


def _fill(path: Path, records: int) -> None:
    store = open_store(path, FakeClock())
    record = make_record(1, wall_ns=time.time_ns())
    for first in range(1, records + 1, BATCH):
        numbers = range(first, min(first + BATCH, records + 1))
        store.append([replace(record, seq=number, live_seq=number) for number in numbers])
    store.close()
