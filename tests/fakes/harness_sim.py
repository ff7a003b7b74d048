"""The simulators as real processes, for tests: `SimBms` and `SimGx` are context managers."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
POLL_S = 0.01


def wait_until(done: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Poll until done; raises AssertionError naming what was waited for."""
    deadline_s = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(POLL_S)


class _SimProcess:
    """A `python -P -m tinybms_sim` process with its link and its control socket."""

    kind = ""

    def __init__(self, folder: Path, name: str, options: list[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.link = folder / name
        self.control = folder / f"{name}.ctl"
        self._options = options
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Process number of the running simulator."""
        assert self._process is not None, "not started"
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and wait until its port can be opened and steered."""
        command = [sys.executable, "-P", "-m", "tinybms_sim", self.kind]
        command += ["--link", str(self.link), "--control", str(self.control), *self._options]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started(self._process)
        try:
            wait_until(self._is_up, START_TIMEOUT_S, f"{self.link} of tinybms-sim {self.kind}")
        except AssertionError:
            self.stop()
            raise

    def stop(self) -> int | None:
        """End the process by SIGTERM; answers its exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.terminate()
        try:
            code = process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait(STOP_TIMEOUT_S)
        self._stopped()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        return code

    def command(self, line: str, timeout_s: float = 5.0) -> str:
        """Send a control command; answers the text after "ok", raises AssertionError on "error"."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker:
            asker.bind("")
            asker.settimeout(timeout_s)
            asker.connect(str(self.control))
            asker.send(line.encode())
            answer = asker.recv(65_536).decode()
        assert answer.split(" ", 1)[0] == "ok", answer
        return answer[2:].strip()

    def status(self) -> dict[str, Any]:
        """Counters and state of the simulator."""
        status: dict[str, Any] = json.loads(self.command("status"))
        return status

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            stderr = self._process.stderr.read() if self._process.stderr else ""
            raise AssertionError(f"tinybms-sim {self.kind} ended at once: {stderr}")
        # A link that a killed simulator left behind may lead to a pty that is another's by now, so
        # only an answer counts; the control socket is made after the link.
        try:
            self.status()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def _started(self, process: subprocess.Popen[str]) -> None:
        """Take up the output of a new process."""

    def _stopped(self) -> None:
        """Let go of the output of an ended process."""


class SimBms(_SimProcess):
    """A simulated TinyBMS; its port is `link`.

    `registers` (address to word) makes the values fixed; without it the battery lives.
    """

    kind = "bms"

    def __init__(
        self,
        folder: Path,
        *,
        registers: Mapping[int, int] | None = None,
        scenario: str = "normal",
        seed: int = 1,
        options: tuple[str, ...] = (),
        name: str = "bms",
    ) -> None:
        arguments = ["--scenario", scenario, "--seed", str(seed), *options]
        if registers is not None:
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{name}-registers.json"
            file.write_text(json.dumps({str(k): v for k, v in registers.items()}))
            arguments += ["--registers", str(file)]
        super().__init__(folder, name, arguments)

    def scenario(self, name: str, rate: float | None = None) -> None:
        """Enter a scenario; `rate` is the share of answers that a line fault hits."""
        self.command(f"scenario {name}" if rate is None else f"scenario {name} {rate}")

    def set_words(self, words: Mapping[int, int]) -> None:
        """Hold registers at these words, all in one step."""
        self.command("words " + " ".join(f"{a}={w}" for a, w in words.items()))

    def unplug(self) -> None:
        """Hang up the port and take its link away."""
        self.command("unplug")

    def replug(self) -> None:
        """Make a new port and its link."""
        self.command("replug")


class SimGx(_SimProcess):
    """A simulated GX behind a USB-CAN adapter (slcan); its port is `link`.

    Every line that it prints is kept: `frames` are the received CAN frames, `displays` what the GX
    shows each second.
    """

    kind = "gx"

    def __init__(self, folder: Path, *, options: tuple[str, ...] = (), name: str = "gx") -> None:
        super().__init__(folder, name, ["--json", *options])
        self._lines: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None

    def frames(self, can_id: int | None = None, since_s: float = 0.0) -> list[dict[str, Any]]:
        """Frames received (of one id), from CLOCK_BOOTTIME second since_s on."""
        wanted = None if can_id is None else f"0x{can_id:03X}"
        return [
            line
            for line in self._of_kind("frame")
            if wanted in (None, line["id"]) and line["t"] >= since_s
        ]

    def displays(self) -> list[dict[str, Any]]:
        """What the GX showed, one entry a second."""
        return self._of_kind("display")

    def wait_for(
        self, done: Callable[["SimGx"], bool], timeout_s: float = 10.0, what: str = "GX condition"
    ) -> None:
        """Poll until done(self)."""
        wait_until(lambda: done(self), timeout_s, what)

    def fault(self, name: str) -> None:
        """Enter a fault: none, adapter_gone, queue_full, tx_full or gx_silent."""
        self.command(f"fault {name}")

    def _of_kind(self, kind: str) -> list[dict[str, Any]]:
        with self._lock:
            return [line for line in self._lines if line["kind"] == kind]

    def _started(self, process: subprocess.Popen[str]) -> None:
        self._reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._reader.start()

    def _stopped(self) -> None:
        if self._reader is not None:
            self._reader.join(STOP_TIMEOUT_S)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for text in process.stdout:
            if not text.endswith("\n"):
                return  # cut off by the end of the process
            line = json.loads(text)
            with self._lock:
                self._lines.append(line)
