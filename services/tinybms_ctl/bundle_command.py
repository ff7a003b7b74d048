"""`tinybms-ctl support-bundle`: one file that tells somebody else how the gateway is."""

from __future__ import annotations

import io
import os
import platform
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from serial.tools import list_ports

from tinybms_config.model import Config
from tinybms_config.parse import Parsed
from tinybms_config.redact import redact
from tinybms_ctl.doctor.command import plain_lines
from tinybms_ctl.doctor.facts import Facts
from tinybms_ctl.doctor.gather import gather
from tinybms_ctl.doctor.judges import judge
from tinybms_ctl.events_command import event_line
from tinybms_ctl.frames_command import frame_line
from tinybms_ctl.health_http import HealthSilent, fetch
from tinybms_ctl.log_tail import LogTail
from tinybms_ctl.logs_command import LOGS
from tinybms_ctl.options import ConfigOption, JsonOption, load_or_exit, print_json, say
from tinybms_ctl.scrub import Scrubber
from tinybms_health.event_log import EventsReport
from tinybms_mqtt_out.transport import PASSWORD_VARIABLE
from tinybms_runtime.paths import Paths

LINES_OF_A_LOG: Final = 2000
PACKAGES: Final = (
    *("tinybms-gateway", "pyzmq", "pyserial", "python-can", "paho-mqtt", "msgpack", "msgspec"),
    *("supervisor", "starlette", "uvicorn", "psutil"),
)
MODE: Final = 0o600


def support_bundle(
    config: ConfigOption = None,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write (default: made here).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Pack configuration, status, last logs, events, frames and versions, without secrets."""
    path, parsed = load_or_exit(config)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    name = f"tinybms-support-{parsed.config.gateway.device}-{stamp}"
    file = output or Path(f"{name}.tar.gz")
    scrub = Scrubber(secrets_of(parsed.config))
    files = {part: scrub(text) for part, text in contents(parsed, path)}
    try:
        _pack(file, name, files)
    except OSError as error:
        say(f"{file}: {error.strerror}: choose another file with --output")
        raise typer.Exit(1) from error
    if as_json:
        print_json({"file": str(file), "parts": sorted(files)})
    else:
        print(f"{file}: {len(files)} parts, {file.stat().st_size} bytes")


def secrets_of(config: Config) -> Iterator[str]:
    """Every secret that the gateway holds, as far as this user may read them."""
    mqtt = config.mqtt
    yield os.environ.get(PASSWORD_VARIABLE, "")
    yield mqtt.username or ""
    for key, file in (
        ("mqtt.password_file", mqtt.password_file),
        ("health.token_file", config.health.token_file),
    ):
        if file is None:
            continue
        try:
            yield Path(file).read_text(encoding="utf-8", errors="surrogateescape").strip()
        except OSError as error:
            say(f"{key} = {file!r}: {error.strerror}: can't be looked for in the logs")


def contents(parsed: Parsed, config_file: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each part; a part that can't be had says why."""
    config = parsed.config
    facts = gather(parsed, config_file)
    yield "doctor.txt", _lines(plain_lines(judge(facts)))
    yield "status.json", _json(facts.document)
    yield "config.json", _json({"file": str(config_file), "sections": redact(config)})
    yield "warnings.txt", _lines(parsed.warnings)
    yield "versions.json", _json(_versions())
    yield "system.txt", _lines(_system(facts))
    yield "frames.txt", _frames(facts)
    yield "events.txt", _events(config)
    yield from _logs(Paths.of(config))


def _pack(file: Path, name: str, files: dict[str, str]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE)
    with (
        os.fdopen(descriptor, "wb") as target,
        tarfile.open(fileobj=target, mode="w:gz") as archive,
    ):
        for part, text in files.items():
            data = text.encode("utf-8", "surrogateescape")
            entry = tarfile.TarInfo(f"{name}/{part}")
            entry.size, entry.mode, entry.mtime = len(data), 0o644, int(time.time())
            archive.addfile(entry, io.BytesIO(data))


def _versions() -> dict[str, str]:
    found = {name: _version(name) for name in PACKAGES}
    return {
        **found,
        "python": sys.version,
        "platform": platform.platform(),
        "machine": platform.machine(),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _system(facts: Facts) -> Iterator[str]:
    yield f"user {os.geteuid()}, groups {sorted(os.getgroups())}, load {os.getloadavg()}"
    for disk in facts.disks:
        yield f"{disk.folder}: {disk.free_bytes} bytes free"
    for port in list_ports.comports():
        yield f"{port.device}: {port.description} {port.hwid}"
    yield f"port: {facts.port}"
    yield f"can: {facts.can}"


def _frames(facts: Facts) -> str:
    if facts.line is None:
        return "acquisition does not answer\n"
    return _lines([str(facts.line.link), *map(frame_line, facts.line.frames)])


def _events(config: Config) -> str:
    try:
        report = fetch(config.health.listen, "/api/events?limit=500", EventsReport)
    except HealthSilent as error:
        return f"{error}\n"
    return _lines(map(event_line, report.events))


def _logs(paths: Paths) -> Iterator[tuple[str, str]]:
    for name in LOGS:
        lines = LogTail(paths.log_dir / f"{name}.log").last(LINES_OF_A_LOG)
        if lines:
            yield f"logs/{name}.log", _lines(lines)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
