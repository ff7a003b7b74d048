"""`tinybms-ctl init`: find the battery and write the first gateway.toml."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from serial.tools import list_ports

from tinybms_config.parse import parse
from tinybms_config.problems import ConfigError
from tinybms_ctl.first_config import Setting, first_config
from tinybms_ctl.options import ConfigOption, say
from tinybms_ctl.probe import ProbeAnswer, probe
from tinybms_runtime.configfile import config_path
from tinybms_runtime.statefile import write_atomic

BY_ID: Final = "/dev/serial/by-id/*"
_NET: Final = Path("/sys/class/net")
OFF: Final = "off"
AUTO: Final = "auto"
MODE: Final = 0o644
"""Readable by the gateway's user, whoever wrote it: there are no secrets in it."""


class InitRefused(Exception):
    """The file is not written; the text says why and what to do."""


def init(  # noqa: PLR0913 - one parameter for each option of the command line
    config: ConfigOption = None,
    *,
    port: Annotated[str | None, typer.Option(help="Serial port; without it all are tried.")] = None,
    search: Annotated[
        list[str] | None, typer.Option(help=f"Where to look for ports (default: {BY_ID}).")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Name of the pack (pack1).")] = None,
    can: Annotated[
        str, typer.Option(help="auto, off, socketcan:CHANNEL or slcan:PATH.", metavar="CAN")
    ] = AUTO,
    mqtt: Annotated[str | None, typer.Option(help="HOST, HOST:PORT or off.")] = None,
    mqtt_user: Annotated[str | None, typer.Option(help="User name for MQTT.")] = None,
    mqtt_password_file: Annotated[str | None, typer.Option(help="File with its password.")] = None,
    chemistry: Annotated[str | None, typer.Option(help="lifepo4, nmc or lto.")] = None,
    max_charge_current: Annotated[float | None, typer.Option(help="In A.")] = None,
    max_discharge_current: Annotated[float | None, typer.Option(help="In A.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing, for unattended use.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What was found, as JSON.")] = False,
) -> None:
    """Find the battery by reading its version, which changes nothing, and write gateway.toml."""
    file = config_path(config, os.environ)
    asking = sys.stdin.isatty() and not yes
    try:
        refuse_to_replace(file, force=force)
        found, answer = _battery(port, search or [BY_ID], asking=asking)
        if asking and mqtt is None:
            mqtt = typer.prompt("MQTT broker (HOST, HOST:PORT or off)", default="127.0.0.1")
        chosen: dict[str, Setting | None] = {
            "acquisition.port": found,
            "gateway.device": device,
            "mqtt.username": mqtt_user,
            "mqtt.password_file": mqtt_password_file,
            "charge.chemistry": chemistry,
            "charge.max_charge_current_a": max_charge_current,
            "charge.max_discharge_current_a": max_discharge_current,
            **can_settings(can),
            **mqtt_settings(mqtt),
        }
        text = _text({key: value for key, value in chosen.items() if value is not None}, answer)
        _write(file, text)
    except InitRefused as error:
        say(str(error))
        raise typer.Exit(1) from error
    _tell(file, found, answer, chosen, as_json=as_json)


def refuse_to_replace(file: Path, *, force: bool) -> None:
    """InitRefused when there is a file already."""
    if file.exists() and not force:
        raise InitRefused(f"{file} is there already: --force replaces it, --config names another")


def can_settings(can: str) -> dict[str, Setting | None]:
    """Settings for auto, off, socketcan:CHANNEL or slcan:PATH; InitRefused for anything else."""
    if can == AUTO:
        channels = sorted(one.name for one in _NET.glob("can[0-9]*"))
        if not channels:
            say("no CAN interface is there: CAN is off; for an adapter: --can slcan:PATH")
        can = f"socketcan:{channels[0]}" if channels else OFF
    if can == OFF:
        return {"can.enabled": False}
    interface, _, channel = can.partition(":")
    if not interface or not channel:
        raise InitRefused(f"--can {can!r}: allowed are auto, off, socketcan:can0, slcan:PATH")
    return {"can.interface": interface, "can.channel": channel}


def mqtt_settings(mqtt: str | None) -> dict[str, Setting | None]:
    """Settings for HOST, HOST:PORT or off."""
    if mqtt is None:
        return {}
    if mqtt == OFF:
        return {"mqtt.enabled": False}
    host, _, port = mqtt.rpartition(":") if mqtt.count(":") == 1 else (mqtt, "", "")
    if port and not port.isdigit():
        raise InitRefused(f"--mqtt {mqtt!r}: the port must be a number")
    return {"mqtt.host": host, "mqtt.port": int(port) if port else None}


def ports(patterns: list[str]) -> list[str]:
    """Ports to try: what the patterns match; without any, every USB port."""
    matches = sorted({path for pattern in patterns for path in glob.glob(pattern)})  # noqa: PTH207 - absolute patterns
    if matches or patterns != [BY_ID]:
        return matches
    return sorted(one.device for one in list_ports.comports() if one.vid is not None)


def _battery(port: str | None, patterns: list[str], *, asking: bool) -> tuple[str, ProbeAnswer]:
    """The port of the battery and its answer; a port that was given is taken all the same."""
    if port is not None:
        answer = probe(port)
        if answer.version is None:
            say(f"no TinyBMS answers, the port is taken all the same: {answer.error}")
        return port, answer
    tried = {path: probe(path) for path in ports(patterns)}
    found = {path: one for path, one in tried.items() if one.version is not None}
    if len(found) == 1:
        return next(iter(found.items()))
    if not found:
        raise InitRefused(
            "no TinyBMS answers; check cable and supply, or name the port: --port PATH\n"
            + "\n".join(_tried(tried))
        )
    names = ", ".join(found)
    if not asking:
        raise InitRefused(f"more than one TinyBMS answers ({names}): choose with --port")
    choice = typer.prompt(
        f"More than one TinyBMS answers: {names}. Which", default=next(iter(found))
    )
    if choice not in found:
        raise InitRefused(f"{choice}: none of {names}")
    return choice, found[choice]


def _tried(tried: dict[str, ProbeAnswer]) -> Iterator[str]:
    yield from (f"  tried {one.error}" for one in tried.values())
    if not tried:
        yield "  there is no USB serial port"


def _text(chosen: dict[str, Setting], answer: ProbeAnswer) -> str:
    version = answer.version
    notes = {}
    if version is not None:
        notes["acquisition.bms_serial"] = f"The one that answered: {version.serial_number}"
        notes["acquisition.port"] = f"A TinyBMS with firmware 2.3.{version.firmware} answered here."
    text = first_config(chosen, notes)
    try:
        parse(text, {}, file="the new file")
    except ConfigError as error:
        raise InitRefused(f"the options don't fit together\n{error}") from error
    return text


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, text.encode(), durable=True)
        file.chmod(MODE)
    except OSError as error:
        raise InitRefused(f"{file}: {error.strerror}: choose another with --config") from error


def _tell(
    file: Path,
    port: str,
    answer: ProbeAnswer,
    chosen: dict[str, Setting | None],
    *,
    as_json: bool,
) -> None:
    version = answer.version
    if as_json:
        document = {
            "file": str(file),
            "port": port,
            "firmware": version.firmware if version else None,
            "serial_number": version.serial_number if version else None,
            "chosen": {key: value for key, value in chosen.items() if value is not None},
        }
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
        return
    if version is not None:
        print(f"{port}: TinyBMS, firmware 2.3.{version.firmware}, serial {version.serial_number}")
    print(f"{file}: written")
    print("next: tinybms-ctl up (or start its service), then tinybms-ctl doctor")
