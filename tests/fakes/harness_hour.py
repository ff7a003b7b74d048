"""One service of the gateway through hours that take seconds: real code, loop, files and sockets.

Only the clock is the test's: where the loop would wait for its next timer, time jumps there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from fake_clock import FakeClock
from harness_gateway import GatewayFolder
from tinybms_runtime.bus import Bus
from tinybms_runtime.configfile import load
from tinybms_runtime.heart import PERIOD_S, Heart
from tinybms_runtime.logs import JsonLineFormatter
from tinybms_runtime.loop import Loop
from tinybms_runtime.runner import Build, ServiceContext

PATIENCE_S: Final = 0.001
"""Given to a service's helper threads once a second of its clock: they live in real time."""
LOOK_S: Final = 1e-6
BOOT: Final = "b" * 16


class TickingClock(FakeClock):
    """Each look at it takes a little time, as in a machine, so that nobody waits for ever."""

    def boottime_ns(self) -> int:
        """See tinybms_runtime.clock.Clock."""
        self.advance(LOOK_S)
        return super().boottime_ns()


class JumpingLoop(Loop):
    """A work loop whose waiting takes no time."""

    def __init__(self, clock: TickingClock) -> None:
        super().__init__(clock)
        self._jumping = clock
        self._threads = threading.active_count()
        self._patient_ns = 0

    def _select(self, wait_s: float) -> set[int]:
        ready = super()._select(self._patience_s() if wait_s else 0.0)
        if not ready:
            self._jumping.advance(wait_s)
        return ready

    def _patience_s(self) -> float:
        now_ns = self._jumping.boottime_ns()
        if threading.active_count() <= self._threads or now_ns - self._patient_ns < 1e9:
            return 0.0
        self._patient_ns = now_ns
        return PATIENCE_S


class Bytes(logging.Handler):
    """Keeps the lines as they would stand in the log file."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.setFormatter(JsonLineFormatter(process))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        self.lines.append(self.format(record) + "\n")

    @property
    def size(self) -> int:
        """Bytes of all lines."""
        return sum(len(line.encode()) for line in self.lines)


@contextmanager
def running(
    gateway: GatewayFolder, name: str, build: Build
) -> Iterator[tuple[Callable[[float], None], Bytes]]:
    """Start the service `name`; a function that lets seconds pass, and what it logs.

    The first line that a service logs is the runner's, as in tinybms_runtime.runner.
    """
    clock = TickingClock()
    loop = JumpingLoop(clock)
    parsed = load(gateway.config_file, {})
    log = logging.getLogger(f"tinybms.{name}")
    log.setLevel(parsed.config.gateway.log_level.upper())
    written = Bytes(name)
    log.addHandler(written)
    bus = Bus(paths=gateway.paths, source=name, boot=BOOT, clock=clock, loop=loop)
    context = ServiceContext(
        name=name,
        config=parsed.config,
        paths=gateway.paths,
        clock=clock,
        loop=loop,
        bus=bus,
        log=log,
        boot=BOOT,
    )
    service = build(context)
    heart = Heart(bus=bus, clock=clock, loop=loop, state=service.state, log_lines_dropped=int)
    loop.every(PERIOD_S, heart.beat)
    service.start()
    try:
        yield lambda seconds: _pass(loop, seconds), written
    finally:
        service.stop()
        bus.close()
        loop.close()
        log.removeHandler(written)


def _pass(loop: Loop, seconds: float) -> None:
    loop.run_until(lambda: False, seconds)
