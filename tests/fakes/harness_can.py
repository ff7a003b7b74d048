"""A real broker and a real can_out, with a test in the place of acquisition and of the adapter."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil
import zmq

from fake_live import fake_live, fake_sample
from fake_slcan import FakeSlcan, wait_until
from tinybms_messages.codec import decode, encode
from tinybms_messages.header import Header
from tinybms_messages.live import LiveData
from tinybms_messages.status import CanStatus
from tinybms_messages.topics import CAN_STATUS, LIVE_DATA
from tinybms_runtime.clock import SystemClock

DEVICE = "pack1"


class CanStack:
    """Processes of one test under `folder`; the adapter is at `folder/can`."""

    def __init__(self, folder: Path, *, can: str = "", interface: str = "slcan") -> None:
        self.folder = folder
        self.link = folder / "can"
        self.clock = SystemClock(trust_clock=True)
        self._processes: dict[str, tuple[subprocess.Popen[bytes], IO[bytes]]] = {}
        self._seq = 0
        self._config = folder / "gateway.toml"
        self._config.write_text(
            f'[gateway]\nrun_dir = "{folder}/run"\nstate_dir = "{folder}/state"\n'
            f'log_dir = "{folder}/log"\n'
            f'[can]\ninterface = "{interface}"\nchannel = "{self.link}"\n{can}\n'
        )
        self._context = zmq.Context()
        self._publisher = self._context.socket(zmq.PUB)
        self._publisher.connect(f"ipc://{folder}/run/bus-in")
        self._subscriber = self._context.socket(zmq.SUB)
        self._subscriber.setsockopt(zmq.SUBSCRIBE, CAN_STATUS.address(DEVICE, "can_out"))
        self._subscriber.connect(f"ipc://{folder}/run/bus-out")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in list(self._processes):
            self.end(name, signal.SIGKILL)
        self._context.destroy(linger=0)

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start a service as supervisord does."""
        log = (self.folder / f"{name}.log").open("ab")
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("TINYBMS_")
        }
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"tinybms_{name}", "--config", str(self._config)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        self._processes[name] = (process, log)
        return process

    def end(self, name: str, number: int = signal.SIGTERM) -> int:
        """Send a signal to a service and return its exit code."""
        process, log = self._processes.pop(name)
        process.send_signal(number)
        code = process.wait(timeout=10)
        log.close()
        return code

    def running(self, name: str) -> bool:
        """Whether the service still runs."""
        return self._processes[name][0].poll() is None

    def cpu_meter(self, name: str) -> Callable[[], float]:
        """Give a function that tells the CPU seconds a service used since now."""
        process = psutil.Process(self._processes[name][0].pid)

        def spent() -> float:
            times = process.cpu_times()
            return float(times.user + times.system)

        before = spent()
        return lambda: spent() - before

    @staticmethod
    def lock(port: IO[bytes]) -> None:
        """Hold a port as another program does that locks it."""
        fcntl.flock(port, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def log_lines(self, name: str = "can_out") -> list[dict[str, object]]:
        """What the service logged."""
        text = (self.folder / f"{name}.log").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def publish(self, live: LiveData | None = None, **sample: object) -> None:
        """Send LIVE_DATA as acquisition would; without `live` a healthy sample of now."""
        now_ns = self.clock.boottime_ns()
        if live is None:
            live = fake_live(sample=fake_sample(**{"boottime_ns": now_ns, **sample}))
        self._seq += 1
        header = Header(
            source="acquisition",
            boot="a" * 16,
            seq=self._seq,
            wall_ns=self.clock.wall_ns(),
            boottime_ns=now_ns,
            kernel_boot_id=self.clock.kernel_boot_id,
            time_ok=True,
        )
        self._publisher.send_multipart(encode(LIVE_DATA, DEVICE, header, live))

    def feed(self, seconds: float, **sample: object) -> None:
        """Send a fresh sample ten times a second."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.publish(**sample)  # type: ignore[arg-type]  # fields of the sample
            time.sleep(0.1)

    def feed_until_frames(self, adapter: FakeSlcan, count: int = 1) -> None:
        """Send samples until the adapter got `count` more frames."""
        wanted = len(adapter.frames) + count

        def arrived() -> bool:
            self.publish()
            time.sleep(0.05)
            return len(adapter.frames) >= wanted

        wait_until(arrived)

    def status(self, *, newer_than_s: float = 0.0) -> CanStatus:
        """The newest CAN_STATUS, waiting for one when there is none."""
        oldest_ns = self.clock.boottime_ns() + round(newer_than_s * 1e9)
        found: CanStatus | None = None
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if not self._subscriber.poll(50):
                if found is not None:
                    return found
                continue
            message = decode(self._subscriber.recv_multipart())
            if message.header.boottime_ns >= oldest_ns and isinstance(message.body, CanStatus):
                found = message.body
        assert found is not None, "no CAN_STATUS"
        return found

    def wait_for_state(self, state: str) -> CanStatus:
        """The first CAN_STATUS with this state."""
        deadline = time.monotonic() + 15
        seen = ""
        while time.monotonic() < deadline:
            status = self.status()
            if status.state == state:
                return status
            seen = status.state
        raise AssertionError(f"state {seen!r} instead of {state!r}")
