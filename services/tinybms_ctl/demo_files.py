"""The demo's folder: `.demo` in the working directory, and nothing outside it that stays."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Final

from tinybms_config.crosscheck import LONGEST_SOCKET_NAME, SOCKET_PATH_LIMIT

FOLDER: Final = ".demo"
LOOPBACK: Final = "127.0.0.1"
ROOT_TOPIC: Final = "victron/tinybms"


class DemoRefusedError(Exception):
    """The demo can't be started; the text says why."""


class DemoFiles:
    """Folders, ports and configuration of one demo; `close` takes away what need not stay.

    Unix sockets need short paths. When the working directory's is too long, the run folder is a
    temporary one, which `close` removes.
    """

    def __init__(self, parent: Path) -> None:
        self.root = parent.absolute() / FOLDER
        self.log_dir = self.root / "log"
        self.state_dir = self.root / "state"
        self.bms_port = self.root / "bms"
        self.can_port = self.root / "can"
        self.config_file = self.root / "gateway.toml"
        self._lock = self._take()
        for folder in (self.log_dir, self.state_dir):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o750)
        self.run_dir = self._make_run_dir()
        self.http_port, self.mqtt_port = free_ports(2)
        self.config_file.write_text(self._configuration(), encoding="utf-8")

    def close(self) -> None:
        """Remove sockets and locks; configuration and logs stay for whoever wants to read them."""
        shutil.rmtree(self.run_dir, ignore_errors=True)
        os.close(self._lock)

    def _take(self) -> int:
        """One demo at a time in this folder."""
        try:
            self.root.mkdir(mode=0o750, exist_ok=True)
            descriptor = os.open(
                self.root / "demo.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640
            )
        except OSError as error:
            raise DemoRefusedError(f"{error.filename}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise DemoRefusedError(f"another demo runs in {self.root}") from error
        return descriptor

    def _make_run_dir(self) -> Path:
        room = SOCKET_PATH_LIMIT - len(LONGEST_SOCKET_NAME) - 1
        run_dir = self.root / "run"
        if len(os.fsencode(run_dir)) <= room:
            shutil.rmtree(run_dir, ignore_errors=True)
            run_dir.mkdir(mode=0o750)
            return run_dir
        short = os.environ.get("XDG_RUNTIME_DIR") or None
        if short is not None and not os.access(short, os.W_OK):
            short = None
        return Path(tempfile.mkdtemp(prefix="tinybms-demo-", dir=short))

    def _configuration(self) -> str:
        return f"""# Made by the demo, anew at each start.
[gateway]
run_dir = "{self.run_dir}"
state_dir = "{self.state_dir}"
log_dir = "{self.log_dir}"
trust_clock = true

[acquisition]
port = "{self.bms_port}"

[can]
interface = "slcan"
channel = "{self.can_port}"

[mqtt]
host = "{LOOPBACK}"
port = {self.mqtt_port}
root_topic = "{ROOT_TOPIC}"

[health]
listen = "{LOOPBACK}:{self.http_port}"
"""


def free_ports(count: int) -> list[int]:
    """TCP ports of the loopback interface that nobody listens on now."""
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
