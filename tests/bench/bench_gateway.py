"""The gateway under supervisord between the rig's two ends, for measuring."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from bench_rig import MeasuredBms
from fake_slcan import FakeSlcan
from harness_gateway import BusProbe, GatewayFolder
from harness_mosquitto import Mosquitto
from harness_net import LOOPBACK, free_port
from tinybms_messages.status import Heartbeat
from tinybms_messages.topics import HEARTBEAT, LIVE_DATA

ROOT: Final = Path(__file__).parents[2]
NO_DELAY: Final = "set_tcp_nodelay true\n"


class MeasuredGateway:
    """All six processes and supervisord, in `folder`; on exit nothing is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bms = MeasuredBms(folder / "bms")
        self.can = FakeSlcan(folder / "can")
        (folder / "mosquitto").mkdir()
        self.broker = Mosquitto(folder / "mosquitto", extra_config=NO_DELAY)
        self.http_port = free_port()
        self.started_s = 0.0
        self.supervisord: subprocess.Popen[bytes] | None = None
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            for part in (self.broker, self.bms, self.can):
                exits.enter_context(part)
            self.gateway = GatewayFolder(
                self.folder,
                {
                    "acquisition": {"port": str(self.folder / "bms")},
                    "can": {"interface": "slcan", "channel": str(self.folder / "can")},
                    "mqtt": {"port": self.broker.port},
                    "health": {"listen": f"{LOOPBACK}:{self.http_port}"},
                    "charge": {"max_discharge_current_a": 280.0},
                },
            )
            self.probe = exits.enter_context(BusProbe(self.gateway.paths))
            self.probe.listen(HEARTBEAT, LIVE_DATA)
            exits.callback(self.stop)
            self.start()
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exits.close()

    def start(self) -> None:
        """Start supervisord with everything."""
        python = Path(sys.executable).parent
        paths = self.gateway.paths
        self.started_s = time.monotonic()
        self.supervisord = subprocess.Popen(
            [python / "supervisord", "-n", "-c", ROOT / "supervisord.conf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={
                **os.environ,
                "PATH": os.pathsep.join([str(python), os.environ.get("PATH", os.defpath)]),
                "TINYBMS_CONFIG": str(self.gateway.config_file),
                "TINYBMS_RUN_DIR": str(paths.run_dir),
                "TINYBMS_LOG_DIR": str(paths.log_dir),
            },
        )

    def stop(self) -> None:
        """End supervisord and with it everything."""
        if self.supervisord is not None:
            self.supervisord.terminate()
            self.supervisord.wait(60)
            self.supervisord = None

    def processes(self) -> dict[str, psutil.Process]:
        """Find supervisord and its children, by name."""
        assert self.supervisord is not None, "the gateway runs"
        parent = psutil.Process(self.supervisord.pid)
        found = {"supervisord": parent}
        for child in parent.children():
            module = next((word for word in child.cmdline() if word.startswith("tinybms_")), "")
            found[module.removeprefix("tinybms_")] = child
        return found

    def first_beat_s(self, name: str, other_than_pid: int, timeout_s: float) -> float:
        """When the first heartbeat of a new process `name` arrived here."""

        def beat_at() -> float | None:
            for message in self.probe.messages["HEARTBEAT"]:
                body = message.body
                ours = isinstance(body, Heartbeat) and message.header.source == name
                if ours and body.pid != other_than_pid:
                    return message.header.boottime_ns / 1e9
            return None

        self.probe.messages["HEARTBEAT"].clear()
        self._wait(lambda: beat_at() is not None, timeout_s, f"a new {name}")
        at_s = beat_at()
        assert at_s is not None, "waited for"
        return at_s

    def live_again_s(self, since_s: float, timeout_s: float) -> float:
        """When the bus has carried a LIVE_DATA here that was sent after `since_s`."""
        messages = self.probe.messages["LIVE_DATA"]
        messages.clear()

        def carried() -> bool:
            return any(message.header.boottime_ns / 1e9 > since_s for message in messages)

        self._wait(carried, timeout_s, "a new LIVE_DATA")
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def _wait(self, done: Callable[[], bool], timeout_s: float, what: str) -> None:
        if not self.probe.wait_for(done, timeout_s):
            raise AssertionError(f"not within {timeout_s} s: {what}")
