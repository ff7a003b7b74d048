"""Run one service: options, configuration, lock, logging, signals, heartbeat, exit code."""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from tinybms_config.model import Config
from tinybms_config.parse import Parsed
from tinybms_config.problems import ConfigError, Problem
from tinybms_messages.status import GatewayEvent
from tinybms_messages.topics import GATEWAY_EVENT
from tinybms_runtime.bus import Bus
from tinybms_runtime.clock import Clock, SystemClock
from tinybms_runtime.configfile import config_path, load
from tinybms_runtime.heart import FIRST_S, PERIOD_S, Heart
from tinybms_runtime.lock import AlreadyRunningError, ProcessLock
from tinybms_runtime.logs import QueuedLineHandler, fields, start_logging
from tinybms_runtime.loop import Loop
from tinybms_runtime.paths import Paths
from tinybms_runtime.processes import PROCESSES
from tinybms_runtime.refusal import say, say_configuration_refused
from tinybms_runtime.requests import Answer, RequestServer


class ExitCode(IntEnum):
    """How a service ends."""

    STOPPED = 0
    DEFECT = 70
    ALREADY_RUNNING = 75
    BAD_CONFIGURATION = 78


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceContext:
    """What a service works with."""

    name: str
    config: Config
    paths: Paths
    clock: Clock
    loop: Loop
    bus: Bus
    log: logging.Logger
    boot: str

    def event(self, code: str, text: str, severity: str = "info") -> GatewayEvent:
        """Say on the bus and in the log that something happened; what was said.

        `code` is stable and for programs, `text` for people; `severity` is info, warning or alarm.
        """
        level = logging.INFO if severity == "info" else logging.WARNING
        self.log.log(level, text, extra=fields(event=code, severity=severity))
        event = GatewayEvent(code=code, text=text, wall_ns=self.clock.wall_ns(), severity=severity)
        self.bus.publish(GATEWAY_EVENT, event)
        return event

    def serve(self, answer: Answer) -> RequestServer:
        """Answer requests to this process from now on; the caller closes the server."""
        return RequestServer(
            context=self.bus.context,
            endpoint=self.paths.requests(self.name),
            clock=self.clock,
            loop=self.loop,
            answer=answer,
        )


class Service(Protocol):
    """The work of one process, driven by the loop of its context."""

    def start(self) -> None:
        """Plan timers and watches. Must not block nor fail because a peer is missing."""

    def stop(self) -> None:
        """Put things in order in bounded time; the loop has ended but may be run again."""

    def state(self) -> tuple[str, str]:
        """A word and a detail for the heartbeat."""


Build = Callable[[ServiceContext], Service]


def run_service(name: str, build: Build, argv: Sequence[str] | None = None) -> int:
    """Run the service until SIGTERM or SIGINT; the exit code of the process."""
    options = _options(name, argv)
    try:
        path = config_path(options.config, os.environ)
        parsed = _for_device(load(path, os.environ), options.device)
    except ConfigError as error:
        say_configuration_refused(name, error)
        return ExitCode.BAD_CONFIGURATION
    paths = Paths.of(parsed.config)
    lock = ProcessLock(paths.lock(name))
    try:
        for folder in (paths.run_dir, paths.state_dir):
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        lock.acquire()
    except AlreadyRunningError as error:
        say(name, f"{error}; this one ends, the other goes on")
        return ExitCode.ALREADY_RUNNING
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}"
        say(name, f"{reason}: the folders of [gateway] must be writable by the gateway's user")
        return ExitCode.BAD_CONFIGURATION
    try:
        _yield_to_others(name)
        return _run(name, build, parsed, paths)
    finally:
        lock.release()


def _options(name: str, argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"tinybms_{name}")
    parser.add_argument("--config", help="configuration file (default: $TINYBMS_CONFIG)")
    parser.add_argument("--device", help="name of the pack (default: gateway.device)")
    return parser.parse_args(argv)


def _yield_to_others(name: str) -> None:
    """Lower our priority as the process table says; threads started later inherit it."""
    for process in PROCESSES:
        if process.name == name and process.nice:
            os.nice(process.nice)


def _for_device(parsed: Parsed, device: str | None) -> Parsed:
    """`parsed` for the pack named on the command line; today that is the one of the file."""
    known = parsed.config.gateway.device
    if device is None or device == known:
        return parsed
    problem = Problem(key="device", value=repr(device), allowed=f"{known!r}, as in gateway.device")
    raise ConfigError("--device", [problem])


def _run(name: str, build: Build, parsed: Parsed, paths: Paths) -> int:
    log, handler = start_logging(name, parsed.config.gateway.log_level)
    try:
        for warning in parsed.warnings:
            log.warning(warning)
        _serve(_context(name, parsed.config, paths, log), build, handler)
    except Exception:
        log.exception("stopped by a defect")
        return ExitCode.DEFECT
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    return ExitCode.STOPPED


def _context(name: str, config: Config, paths: Paths, log: logging.Logger) -> ServiceContext:
    clock = SystemClock(trust_clock=config.gateway.trust_clock)
    loop = Loop(clock)
    boot = secrets.token_hex(8)
    return ServiceContext(
        name=name,
        config=config,
        paths=paths,
        clock=clock,
        loop=loop,
        bus=Bus(paths=paths, source=name, boot=boot, clock=clock, loop=loop),
        log=log,
        boot=boot,
    )


def _serve(context: ServiceContext, build: Build, handler: QueuedLineHandler) -> None:
    loop = context.loop
    service = build(context)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.from_thread(loop.stop))
    heart = Heart(
        bus=context.bus,
        clock=context.clock,
        loop=loop,
        state=service.state,
        log_lines_dropped=lambda: handler.dropped,
    )
    context.log.info(
        "started", extra=fields(pid=os.getpid(), boot=context.boot, version=heart.version)
    )
    loop.every(PERIOD_S, heart.beat, first_s=FIRST_S, early_s=PERIOD_S / 5)
    service.start()
    loop.run()
    service.stop()
    context.bus.close()
    loop.close()
    context.log.info("stopped")
