"""The whole gateway under a real supervisord, between simulators and a real MQTT broker."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
import psutil
from paho.mqtt.enums import CallbackAPIVersion

from harness_gateway import GatewayFolder
from harness_mosquitto import Mosquitto
from harness_net import LOOPBACK, free_port
from harness_sim import SimBms, SimGx, wait_until
from tinybms_runtime.lock import holder_pid
from tinybms_runtime.processes import NAMES

ROOT = Path(__file__).parents[2]
CONF = ROOT / "supervisord.conf"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0
ROOT_TOPIC = "victron/tinybms"


class Stack:
    """Everything in `folder`, started on entry; on exit nothing is left.

    `tables` are merged over the sections of gateway.toml; `registers` hold the simulated battery at
    fixed words. `command`: how the gateway is started, `supervisord` or `ctl` (tinybms-ctl up).
    """

    def __init__(
        self,
        folder: Path,
        *,
        tables: Mapping[str, Mapping[str, object]] | None = None,
        registers: Mapping[int, int] | None = None,
        command: str = "supervisord",
    ) -> None:
        self.folder = folder
        self.http_port = free_port()
        self._command = command
        self._tables = tables or {}
        self._exits = contextlib.ExitStack()
        self.bms = SimBms(folder / "sim", registers=registers, name="bms")
        self.gx = SimGx(folder / "sim", name="can")
        (folder / "mosquitto").mkdir()
        self.broker = Mosquitto(folder / "mosquitto")
        self.supervisord: subprocess.Popen[bytes] | None = None
        self._ended_supervisords: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as exits:
            exits.enter_context(self.broker)
            exits.enter_context(self.bms)
            exits.enter_context(self.gx)
            self.gateway = GatewayFolder(self.folder, self._sections())
            self.paths = self.gateway.paths
            self.mqtt = exits.enter_context(Subscriber(self.broker.port))
            exits.callback(self.down)
            self.up()
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exits.close()

    def up(self) -> None:
        """Start supervisord; does not wait for its programs."""
        if self.supervisord is not None:
            self._ended_supervisords.append(self.supervisord)
        with (self.paths.log_dir / "supervisord-output.log").open("ab") as output:
            self.supervisord = subprocess.Popen(
                self._start_command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment(),
                cwd="/",
            )

    def down(self) -> None:
        """Stop everything, whatever state it is in; AssertionError when something is left."""
        for name, pid in self.pids().items():
            if name in NAMES:
                _signal(pid, signal.SIGCONT)
        running = [*self._ended_supervisords, self.supervisord]
        for process in filter(None, running):
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in filter(None, running):
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.supervisord = None
        self._ended_supervisords.clear()
        for pid in self.pids().values():
            _signal(pid, signal.SIGKILL)
        wait_until(lambda: not self.pids(), 5.0, "the end of every process of the gateway")

    def environment(self) -> dict[str, str]:
        """What supervisord and tinybms-ctl need."""
        python = str(Path(sys.executable).parent)
        return {
            **os.environ,
            "PATH": os.pathsep.join([python, os.environ.get("PATH", os.defpath)]),
            "TINYBMS_CONFIG": str(self.gateway.config_file),
            "TINYBMS_RUN_DIR": str(self.paths.run_dir),
            "TINYBMS_LOG_DIR": str(self.paths.log_dir),
        }

    def pids(self) -> dict[str, int]:
        """Pid of each process that holds its lock now."""
        found = {name: holder_pid(self.paths.lock(name)) for name in NAMES}
        return {name: pid for name, pid in found.items() if pid is not None and _alive(pid)}

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a process, or to `supervisord`; its pid."""
        if name == "supervisord":
            assert self.supervisord is not None, "supervisord was not started"
            self.supervisord.send_signal(number)
            if number == signal.SIGKILL:
                self.supervisord.wait()
            return self.supervisord.pid
        pid = self.pids()[name]
        os.kill(pid, number)
        return pid

    def ctl(self, *arguments: str, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run tinybms-ctl and wait for its end."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "tinybms_ctl", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=self.environment(),
            check=False,
        )

    def status(self) -> dict[str, Any] | None:
        """What health serves, None when it does not answer."""
        connection = http.client.HTTPConnection(LOOPBACK, self.http_port, timeout=2.0)
        try:
            connection.request("GET", "/api/status")
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                return None
            document: dict[str, Any] = json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return document

    def wait_for(
        self, done: Callable[[], object], timeout_s: float, what: str = "the condition"
    ) -> None:
        """Poll until `done()` is true; AssertionError with the logs' ends when it is not."""
        try:
            wait_until(lambda: bool(done()), timeout_s, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_ends()}") from None

    def wait_until_well(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until the status is ok: data on CAN and MQTT, every process running."""
        self.wait_for(
            lambda: (self.status() or {}).get("status") == "ok", timeout_s, "status ok in all parts"
        )

    def frames(self, can_id: int | None = None, since_s: float = 0.0) -> list[dict[str, Any]]:
        """CAN frames that the GX received: t (CLOCK_BOOTTIME in s), id, data, fields, problems."""
        return self.gx.frames(can_id, since_s)

    def longest_gap_s(self, can_id: int, since_s: float) -> float:
        """Longest time without a frame of this id from `since_s` until now."""
        times = [float(frame["t"]) for frame in self.frames(can_id, since_s)]
        edges = [since_s, *times, now_s()]
        return max(later - earlier for earlier, later in pairwise(edges))

    def log_ends(self, lines: int = 8) -> str:
        """The last lines of every log and what is not well, for a failing test's report."""
        document = self.status() or {}
        bad = [c for c in document.get("checks", []) if c["state"] not in {"ok", "running"}]
        parts = [f"not well: {json.dumps(bad)}"]
        for file in sorted(self.paths.log_dir.glob("*.log")):
            text = file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
            parts.append(f"== {file.name}\n" + "\n".join(text))
        return "\n".join(parts)

    def _start_command(self) -> list[str]:
        if self._command == "ctl":
            return [sys.executable, "-P", "-m", "tinybms_ctl", "up"]
        return [str(Path(sys.executable).parent / "supervisord"), "-n", "-c", str(CONF)]

    def _sections(self) -> dict[str, dict[str, object]]:
        base: dict[str, dict[str, object]] = {
            "acquisition": {"port": str(self.bms.link)},
            "can": {"interface": "slcan", "channel": str(self.gx.link)},
            "mqtt": {"port": self.broker.port, "root_topic": ROOT_TOPIC},
            "health": {"listen": f"{LOOPBACK}:{self.http_port}"},
        }
        for name, table in self._tables.items():
            base[name] = {**base.get(name, {}), **table}
        return base


class Subscriber:
    """An MQTT client that keeps every message under the root topic, oldest first."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[float, str, bytes]] = []
        """(CLOCK_BOOTTIME in s, topic under the root, payload)."""
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{ROOT_TOPIC}/#", qos=1)
        self._client.on_message = self._keep
        self._client.reconnect_delay_set(1, 1)
        self._client.connect_async(LOOPBACK, port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def of(self, topic: str, since_s: float = 0.0) -> list[bytes]:
        """Payloads of a topic, given without the root."""
        return [load for at, name, load in list(self.messages) if name == topic and at >= since_s]

    def value(self, topic: str) -> Any:  # noqa: ANN401 - whatever the JSON holds
        """`value` of the newest payload of a topic; None when there is none."""
        payloads = self.of(topic)
        return json.loads(payloads[-1])["value"] if payloads else None

    def _keep(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        name = message.topic.removeprefix(f"{ROOT_TOPIC}/")
        self.messages.append((now_s(), name, bytes(message.payload)))


def now_s() -> float:
    """CLOCK_BOOTTIME in seconds, as in the GX's frames."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
