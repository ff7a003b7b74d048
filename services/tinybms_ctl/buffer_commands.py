"""`tinybms-ctl buffer`: what the offline buffer holds, to look at, to keep or to drop."""

from __future__ import annotations

import csv
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from tinybms_buffer.reading import count_rows, stored_records
from tinybms_buffer.service import STORE_NAME
from tinybms_buffer.trouble import Damaged, StorageOff
from tinybms_config.model import Config
from tinybms_ctl.buffer_drop import DropFailed, drop_before
from tinybms_ctl.options import ConfigOption, JsonOption, load_or_exit, print_json, say
from tinybms_messages.codec import Message
from tinybms_messages.requests import StoredRecord
from tinybms_messages.status import BufferStatus
from tinybms_messages.topics import BUFFER_STATUS
from tinybms_runtime.bus import Bus
from tinybms_runtime.clock import SystemClock
from tinybms_runtime.loop import Loop
from tinybms_runtime.paths import Paths

LISTEN_S: Final = 2.5
COLUMNS: Final = (
    *("id", "time", "class", "suffix", "value", "raw", "text", "severity"),
    *("boot", "seq", "live_seq", "time_ok", "repaired"),
)
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

buffer_app = typer.Typer(no_args_is_help=True, help="Records that wait for the MQTT broker.")


@buffer_app.command("status")
def show_status(
    config: ConfigOption = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say how much is stored and what was given up; without the process, what its file holds."""
    settings = _settings(config)
    status = _heard(settings)
    if status is None:
        path = _file(settings)
        rows = count_rows(path) if path is not None and path.exists() else 0
        size = path.stat().st_size if path is not None and path.exists() else 0
        status = BufferStatus(
            state="down", detail="the buffer process is not heard", rows=rows, bytes=size
        )
    plain = msgspec.to_builtins(status)
    oldest_ns = plain.pop("oldest_wall_ns")
    plain["oldest"] = None if oldest_ns is None else _iso(oldest_ns)
    if as_json:
        sys.stdout.write(msgspec.json.encode(plain).decode() + "\n")
        return
    for name, value in plain.items():
        print(f"{name:<24}{'-' if value in {None, ''} else value}")


@buffer_app.command("list")
def list_records(
    config: ConfigOption = None,
    *,
    limit: Annotated[int, typer.Option(min=1, help="Most records shown.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show the oldest stored records."""
    path = _existing(_settings(config), without=[] if as_json else None)
    with _told():
        if as_json:
            print_json([_row(stored) for stored in islice(stored_records(path), limit)])
            return
        for shown, stored in enumerate(stored_records(path)):
            if shown >= limit:
                print(f"... of {count_rows(path)}; --limit shows more, export shows all")
                return
            row = _row(stored)
            words = f"  {row['text']}" if row["text"] else ""
            print(f"{row['time']}  {row['class']:<6} {row['suffix']:<24} {row['value']}{words}")


@buffer_app.command("export")
def export(
    config: ConfigOption = None,
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated, with a head.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object a line.")] = False,
    output: Annotated[Path | None, typer.Option(help="File instead of standard output.")] = None,
) -> None:
    """Write every stored record, in the order in which they were stored; nothing is removed."""
    if as_csv == as_jsonl:
        say("choose one of --csv and --jsonl")
        raise typer.Exit(2)
    path = _existing(_settings(config))
    with _told(), _target(output) as target, _progress() as progress:
        task = progress.add_task("records", total=count_rows(path))
        writer = csv.DictWriter(target, COLUMNS)
        if as_csv:
            writer.writeheader()
        for stored in stored_records(path):
            row = _row(stored)
            if as_csv:
                writer.writerow(row)
            else:
                target.write(msgspec.json.encode(row).decode() + "\n")
            progress.advance(task)


@buffer_app.command("drop")
def drop(
    older_than: Annotated[str, typer.Option("--older-than", help="Such as 90m, 12h or 7d.")],
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Remove stored records that are older than this; a gap record says how many."""
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", older_than)
    if match is None:
        say(f"--older-than {older_than!r}: a whole number with s, m, h or d is allowed, as in 7d")
        raise typer.Exit(2)
    settings = _settings(config)
    path = _existing(settings, without={"dropped": 0} if as_json else None)
    clock = SystemClock(trust_clock=settings.gateway.trust_clock)
    before_ns = clock.wall_ns() - int(match[1]) * _UNITS_S[match[2]] * 10**9
    dropped = 0
    with _told(), _progress() as progress:
        task = progress.add_task("dropping", total=count_rows(path, before_wall_ns=before_ns))
        for removed in drop_before(settings, path, before_ns, secrets.token_hex(8)):
            dropped += removed
            progress.advance(task, removed)
    if as_json:
        print_json({"dropped": dropped})
    else:
        print(f"{dropped} records dropped")


def _settings(config: str | None) -> Config:
    _, parsed = load_or_exit(config)
    return parsed.config


def _file(settings: Config) -> Path | None:
    return None if settings.buffer.ram_only else Paths.of(settings).state_file(STORE_NAME)


def _existing(settings: Config, *, without: object = None) -> Path:
    """The database; ends the process when there is none to look into, with `without` as JSON."""
    path = _file(settings)
    if path is None:
        say("buffer.ram_only is set: records are in the process's memory; see buffer status")
        raise typer.Exit(1)
    if not path.exists():
        say(f"nothing is stored: {path} does not exist")
        if without is not None:
            print_json(without)
        raise typer.Exit(0)
    return path


def _row(stored: StoredRecord) -> dict[str, object]:
    record = stored.record
    values = (
        *(stored.id, _iso(record.wall_ns), str(record.record_class), record.suffix),
        *(record.value, record.raw, record.text, record.severity),
        *(record.boot, record.seq, record.live_seq, record.time_ok, stored.repaired),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _iso(wall_ns: int) -> str:
    time = datetime.fromtimestamp(wall_ns // 10**9, UTC)
    return time.replace(microsecond=wall_ns % 10**9 // 1000).isoformat(timespec="milliseconds")


def _heard(settings: Config) -> BufferStatus | None:
    clock = SystemClock(trust_clock=settings.gateway.trust_clock)
    loop = Loop(clock)
    boot = secrets.token_hex(8)
    bus = Bus(paths=Paths.of(settings), source="ctl", boot=boot, clock=clock, loop=loop)
    heard: list[BufferStatus] = []

    def keep(message: Message[msgspec.Struct]) -> None:
        if isinstance(message.body, BufferStatus):
            heard.append(message.body)

    try:
        bus.subscribe(BUFFER_STATUS, keep)
        loop.run_until(lambda: bool(heard), LISTEN_S)
        return heard[-1] if heard else None
    finally:
        bus.close()
        loop.close()


@contextmanager
def _told() -> Iterator[None]:
    """What is wrong with the database, in words instead of a traceback."""
    try:
        yield
    except (StorageOff, Damaged, DropFailed, OSError) as error:
        say(str(error))
        raise typer.Exit(1) from error


@contextmanager
def _target(output: Path | None) -> Iterator[IO[str]]:
    if output is None:
        yield sys.stdout
        return
    with output.open("w", encoding="utf-8", newline="") as file:
        yield file


def _progress() -> Progress:
    """A bar on standard error, when somebody looks at it."""
    return Progress(console=Console(stderr=True), disable=not sys.stderr.isatty())
