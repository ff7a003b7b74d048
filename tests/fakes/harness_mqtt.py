"""A real mqtt_out, with a test in the place of acquisition and mosquitto_sub as subscriber."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fake_live import fake_live, fake_sample
from harness_gateway import BusProbe, GatewayFolder
from harness_mosquitto import Mosquitto
from harness_net import LOOPBACK
from tinybms_messages.live import LiveData
from tinybms_messages.registers import RegisterValue, RegisterValues
from tinybms_messages.status import MqttStatus
from tinybms_messages.topics import LIVE_DATA, MQTT_REGISTER_VALUE, MQTT_STATUS
from tinybms_runtime.clock import SystemClock

ROOT = "victron/tinybms"
WAIT_S = 30.0
CYCLE_S = 0.1


@dataclass(frozen=True, slots=True)
class Arrived:
    """One message as mosquitto_sub printed it; `topic` is below that of the listener."""

    qos: int
    retained: bool
    topic: str
    payload: str

    @property
    def json(self) -> dict[str, Any]:
        """The payload, which must be a strict JSON object."""
        loaded: dict[str, Any] = json.loads(self.payload, parse_constant=_refuse)
        return loaded


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


class Listener:
    """mosquitto_sub on everything, from its start on; keeps what is below `under`."""

    def __init__(self, broker: Mosquitto, file: Path, *, under: str = ROOT) -> None:
        self._file = file
        self._under = f"{under}/"
        self._read_bytes = 0
        self._messages: list[Arrived] = []
        with file.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *("mosquitto_sub", "-h", broker.host, "-p", str(broker.port)),
                    *("-q", "1", "-t", "#", "-F", "%q %r %t %p"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    def all(self) -> list[Arrived]:
        """Every message so far, in order."""
        with self._file.open("rb") as heard:
            heard.seek(self._read_bytes)
            new = heard.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.decode().splitlines():
            words = line.split(" ", 3)
            if len(words) == 4 and words[2].startswith(self._under):
                topic = words[2].removeprefix(self._under)
                self._messages.append(Arrived(int(words[0]), words[1] == "1", topic, words[3]))
        return self._messages

    def of(self, topic: str) -> list[Arrived]:
        """Every message of `topic` so far."""
        return [message for message in self.all() if message.topic == topic]

    def payloads(self, topic: str) -> list[str]:
        """The payloads of `topic` so far."""
        return [message.payload for message in self.of(topic)]


class MqttStack:
    """Bus broker and mqtt_out below `folder`, sending to `broker`."""

    def __init__(
        self,
        folder: Path,
        port: int,
        mqtt: Mapping[str, object] | None = None,
        *,
        can_enabled: bool = False,
        ageing: Mapping[str, object] | None = None,
        health: Mapping[str, object] | None = None,
    ) -> None:
        self.gateway = GatewayFolder(
            folder,
            {
                "mqtt": {"host": LOOPBACK, "port": port, **(mqtt or {})},
                "can": {"enabled": can_enabled},
                "ageing": ageing or {},
                "health": health or {},
            },
        )
        self.clock = SystemClock(trust_clock=True)
        self.gateway.start("broker")
        self.probe = BusProbe(self.gateway.paths, source="acquisition")
        self.probe.listen(MQTT_STATUS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.probe.__exit__(kind, error, trace)
        self.gateway.__exit__(kind, error, trace)

    def start(self, **environ: str) -> subprocess.Popen[bytes]:
        """Start mqtt_out."""
        return self.gateway.start("mqtt_out", **environ)

    def log_lines(self) -> list[dict[str, Any]]:
        """What mqtt_out logged."""
        text = self.gateway.log("mqtt_out").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def live(self, body: LiveData | None = None, **sample: object) -> int:
        """Publish a LIVE_DATA with a new sample of now; its number."""
        seq = self.probe.bus.next_seq(LIVE_DATA)
        now: dict[str, object] = {
            "seq": seq,
            "boottime_ns": self.clock.boottime_ns(),
            "wall_ns": self.clock.wall_ns(),
        }
        base = body or fake_live()
        fresh = fake_live(
            sample=fake_sample(**{**now, **sample}), limits=base.limits, alarms=base.alarms
        )
        self.probe.publish(LIVE_DATA, fresh)
        return seq

    def registers(self, live_seq: int, *values: RegisterValue) -> None:
        """Publish the register values of a cycle."""
        body = RegisterValues(live_seq=live_seq, wall_ns=self.clock.wall_ns(), values=values)
        self.probe.publish(MQTT_REGISTER_VALUE, body)

    def cycle(self, **sample: object) -> int:
        """Publish one whole cycle; its number."""
        seq = self.live(None, **sample)
        self.registers(seq, RegisterValue(key="pack_voltage", address=36, raw=5270, value=52.7))
        return seq

    def feed_until(
        self, done: Callable[[], bool], *, timeout_s: float = WAIT_S, **sample: object
    ) -> None:
        """Publish a cycle ten times a second until `done()`."""
        deadline = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < deadline, self._not_in_time()
            self.cycle(**sample)
            self.probe.wait_for(done, CYCLE_S)

    def feed(self, seconds: float, **sample: object) -> None:
        """Publish a cycle ten times a second for a time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.cycle(**sample)
            self.probe.wait_for(lambda: False, CYCLE_S)

    def wait_until(self, done: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
        """Wait without publishing anything."""
        assert self.probe.wait_for(done, timeout_s), self._not_in_time()

    def status(self) -> MqttStatus | None:
        """The newest MQTT_STATUS."""
        message = self.probe.last(MQTT_STATUS)
        return None if message is None else message.body

    def online(self) -> bool:
        """Whether mqtt_out says that it is connected."""
        status = self.status()
        return status is not None and status.connected

    def _not_in_time(self) -> str:
        logs = {name: self.gateway.log(name).read_text() for name in ("broker", "mqtt_out")}
        return f"not within the time; {self.status()}; {logs}"
