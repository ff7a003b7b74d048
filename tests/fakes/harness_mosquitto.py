"""A real mosquitto as a test's own broker, to be stopped, killed, frozen and started again."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from harness_net import LOOPBACK, free_port, wait_for_port

START_TIMEOUT_S = 5.0
STOP_TIMEOUT_S = 5.0
PORT_ATTEMPTS = 5


class Mosquitto:
    """Own broker on a loopback port; `port` stays the same over restarts."""

    def __init__(self, folder: Path, *, extra_config: str = "", anonymous: bool = True) -> None:
        self.host = LOOPBACK
        self.port = free_port()
        self.folder = folder
        self.log_file = folder / "mosquitto.log"
        self._extra_config = extra_config
        self._anonymous = anonymous
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running broker."""
        return self._running().pid

    def __enter__(self) -> Self:
        for _ in range(PORT_ATTEMPTS):
            try:
                self.start()
            except OSError:
                self.port = free_port()
            else:
                return self
        text = self.log_file.read_text(encoding="utf-8")
        raise AssertionError(f"mosquitto does not start; its log says:\n{text}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.kill()

    def start(self) -> None:
        """Start it and wait until it accepts connections; OSError when it ends at once."""
        config_file = self.folder / "mosquitto.conf"
        config_file.write_text(self._config(), encoding="utf-8")
        with self.log_file.open("ab") as log:
            process = subprocess.Popen(
                [mosquitto_program(), "-c", str(config_file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if not wait_for_port(self.port, START_TIMEOUT_S) or process.poll() is not None:
            process.kill()
            process.wait()
            raise OSError(f"mosquitto did not listen on {self.host}:{self.port}")
        self._process = process

    def stop(self) -> None:
        """End it in the orderly way; clients see their connections closed."""
        self._running().terminate()
        self._end()

    def kill(self) -> None:
        """End it by SIGKILL; works on a frozen broker too."""
        self._running().kill()
        self._end()

    def freeze(self) -> None:
        """Stop it answering while its connections stay open."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen broker go on."""
        self._running().send_signal(signal.SIGCONT)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "mosquitto is not running"
        return self._process

    def _end(self) -> None:
        self._running().wait(STOP_TIMEOUT_S)
        self._process = None

    def _config(self) -> str:
        lines = [
            f"listener {self.port} {self.host}",
            f"allow_anonymous {'true' if self._anonymous else 'false'}",
            "persistence false",
            "set_tcp_nodelay true",
            "log_dest stderr",
            "log_type all",
            "connection_messages true",
        ]
        if os.getuid() == 0:
            lines.append(
                "user root"
            )  # else it changes to a user who may not read the test's folder
        return "\n".join([*lines, self._extra_config, ""])


def mosquitto_program() -> str:
    """Return the path of mosquitto, which Debian keeps outside an ordinary user's PATH."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    program = shutil.which("mosquitto", path=path)
    if program is None:
        raise AssertionError("mosquitto is missing; install it with: apt-get install mosquitto")
    return program


def users_file(path: Path, name: str, password: str) -> Path:
    """A password file of mosquitto at `path` with one user, for its option `password_file`."""
    subprocess.run(["mosquitto_passwd", "-c", "-b", path, name, password], check=True)
    path.chmod(0o644)
    return path
