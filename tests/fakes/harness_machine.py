"""A machine for install.sh beside a simulated battery, a GX behind slcan and an MQTT broker."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

from harness_mosquitto import Mosquitto
from harness_net import LOOPBACK, free_port
from harness_sim import SimBms, SimGx, wait_until
from harness_stack import now_s
from harness_tree import WHEELHOUSE, Tree

INSTALL = "/media/wheels/install.sh"
CONFIG = "/etc/tinybms/gateway.toml"
LIMITS_ID = 0x351
DIALOUT = 20
"""The group's number on every Debian."""


class Machine(Tree):
    """`wheels`: more wheelhouses, by their folder's name in /media."""

    def __init__(self, folder: Path, *, wheels: Mapping[str, Path] | None = None) -> None:
        self.simulated = folder / "sim"
        self.simulated.mkdir(parents=True)
        shared = {WHEELHOUSE: "media/wheels", self.simulated: str(self.simulated).lstrip("/")}
        shared |= {path: f"media/{name}" for name, path in (wheels or {}).items()}
        super().__init__(folder / "tree", shared=shared)
        self.bms = SimBms(self.simulated, name="bms")
        self.gx = SimGx(self.simulated, name="gx")
        (folder / "mosquitto").mkdir()
        self.broker = Mosquitto(folder / "mosquitto")
        self.http_port = free_port()
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as exits:
            for peer in (self.broker, self.bms, self.gx):
                exits.enter_context(peer)
            for port in (self.bms.link, self.gx.link):
                os.chown(port, 0, DIALOUT)
                port.chmod(0o660)
            super().__enter__()
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self._exits.close()

    def install(self, *options: str, wheels: str = "wheels") -> subprocess.CompletedProcess[str]:
        """Run the install.sh of a wheelhouse."""
        return self.run(f"/media/{wheels}/install.sh", "--yes", *options)

    def installed(self, *options: str, wheels: str = "wheels") -> str:
        """As `install`, and it has to work; what it said."""
        done = self.install(*options, wheels=wheels)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def init(self) -> None:
        """Let init find the battery, with a port for HTTP that is free here."""
        self.good(
            *("tinybms-ctl", "init", "--yes", "--search", f"{self.simulated}/bms*"),
            *("--can", f"slcan:{self.gx.link}", "--mqtt", f"{LOOPBACK}:{self.broker.port}"),
        )
        listen = f'listen = "{LOOPBACK}:{self.http_port}"'
        self.good("sed", "-i", f"s/^# listen = .*/{listen}/", CONFIG)

    def wait_until_well(self) -> None:
        """Wait until tinybms-ctl finds nothing wrong."""
        try:
            wait_until(lambda: self.run("tinybms-ctl", "status").returncode == 0, 60.0, "status 0")
        except AssertionError as error:
            status = self.run("tinybms-ctl", "status").stdout
            logs = self.run("tinybms-ctl", "logs", "-n", "30").stdout
            raise AssertionError(f"{error}\n{status}\n{logs}") from None

    def versions(self) -> set[str]:
        """The versions that the processes of the gateway were started from."""
        script = (
            "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null; echo; done | "
            "sed -n 's|^/opt/tinybms-gateway/\\([^/]*\\)/bin/python -P -m tinybms_.*|\\1|p'"
        )
        return set(self.shell(script).split())

    def current(self) -> str:
        """The version in use."""
        return self.good("readlink", "/opt/tinybms-gateway/current").strip()

    def gap_s(self, since_s: float) -> float:
        """Longest time without 0x351 from `since_s` until now."""
        times = [float(frame["t"]) for frame in self.gx.frames(LIMITS_ID, since_s)]
        return max(b - a for a, b in pairwise([since_s, *times, now_s()]))
