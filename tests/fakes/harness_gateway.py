"""Single processes of the gateway in a folder of their own, and a probe on their bus."""

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from tinybms_config.model import Config, Gateway
from tinybms_messages.codec import Message
from tinybms_messages.header import Header
from tinybms_messages.topics import Topic
from tinybms_runtime.bus import Bus
from tinybms_runtime.clock import SystemClock
from tinybms_runtime.loop import Loop
from tinybms_runtime.paths import Paths

STOP_TIMEOUT_S = 8.0
NOBODY = 65534
AS_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("env", "-u", "COVERAGE_PROCESS_CONFIG"),
)
"""Words before a command that root runs as another user, who can't write down coverage. That user
must be able to reach the interpreter, which a home folder may not allow: for long tests."""


def toml_of(tables: Mapping[str, Mapping[str, object]]) -> str:
    """Simple tables (text, numbers, booleans, one more level) as TOML."""
    lines: list[str] = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_literal(value)}" for key, value in table.items()]
    text = "\n".join(lines) + "\n"
    tomllib.loads(text)
    return text


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_literal(item)}" for key, item in value.items()) + " }"
    return f'"{value}"'


class GatewayFolder:
    """A gateway.toml with folders below `folder`, and the processes started on it.

    `tables` are the sections of the file; [gateway] is filled in.
    """

    def __init__(self, folder: Path, tables: Mapping[str, Mapping[str, object]]) -> None:
        self.folder = folder
        self.config_file = folder / "gateway.toml"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("run", "state", "log"):
            (folder / name).mkdir(exist_ok=True)
        gateway = {
            "run_dir": str(folder / "run"),
            "state_dir": str(folder / "state"),
            "log_dir": str(folder / "log"),
            "trust_clock": True,
            **tables.get("gateway", {}),
        }
        self.config_file.write_text(toml_of({**tables, "gateway": gateway}), encoding="utf-8")
        self.paths = Paths.of(Config(gateway=msgspec.convert(gateway, Gateway)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in list(self.processes):
            self.stop(name)

    def start(self, name: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start a process; its output goes to log/<name>.log."""
        with self.log(name).open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", f"tinybms_{name}", "--config", str(self.config_file)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **environ},
            )
        self.processes[name] = process
        return process

    def stop(self, name: str) -> int:
        """End a process by SIGTERM (by SIGKILL when it takes too long); its exit code."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            return process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def kill(self, name: str) -> None:
        """End a process by SIGKILL."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def log(self, name: str) -> Path:
        """Where the output of a process goes."""
        return self.folder / "log" / f"{name}.log"


class BusProbe:
    """A subscriber and publisher in the test's own process."""

    def __init__(self, paths: Paths, source: str = "probe") -> None:
        self._clock = SystemClock(trust_clock=True)
        self._loop = Loop(self._clock)
        self.bus = Bus(
            paths=paths, source=source, boot="f" * 16, clock=self._clock, loop=self._loop
        )
        self.messages: dict[str, list[Message[Any]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bus.close()
        self._loop.close()

    def listen(self, *topics: Topic) -> None:
        """Collect messages of `topics`, by name, in `messages`."""
        for topic in topics:
            self.messages.setdefault(topic.name, [])
            self.bus.subscribe(topic, self._keep)

    def publish(self, topic: Topic, body: msgspec.Struct) -> Header:
        """Send a message as this probe's source."""
        return self.bus.publish(topic, body)

    def wait_for(self, done: Callable[[], bool], timeout_s: float = 10.0) -> bool:
        """Receive until `done()` or the time is over; the last value of `done()`."""
        look_again = self._loop.every(0.02, lambda: None)
        try:
            return self._loop.run_until(done, timeout_s)
        finally:
            look_again.cancel()

    def bodies(self, topic: Topic) -> list[Any]:
        """The bodies of the messages of `topic` so far."""
        return [message.body for message in self.messages.get(topic.name, [])]

    def last(self, topic: Topic) -> Message[Any] | None:
        """The newest message of `topic`."""
        messages = self.messages.get(topic.name, [])
        return messages[-1] if messages else None

    def _keep(self, message: Message[msgspec.Struct]) -> None:
        self.messages[message.topic.name].append(message)
