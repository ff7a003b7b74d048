"""What every command shares: where the configuration is, and how to complain."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from tinybms_config.parse import Parsed
from tinybms_config.problems import ConfigError
from tinybms_runtime.configfile import config_path, load

EXIT_BAD_CONFIGURATION: Final = 78

ConfigOption = Annotated[
    str | None,
    typer.Option("--config", help="Configuration file (default: $TINYBMS_CONFIG).", metavar="FILE"),
]

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


def load_or_exit(
    option: str | None, exit_code: int = EXIT_BAD_CONFIGURATION
) -> tuple[Path, Parsed]:
    """The configuration and its file; ends the process with `exit_code` when it is refused."""
    path = config_path(option, os.environ)
    try:
        return path, load(path, os.environ)
    except ConfigError as error:
        say(f"configuration refused\n{error}")
        raise typer.Exit(exit_code) from error


def print_json(value: object, *, indent: int = 0) -> None:
    """Print `value` as JSON: on one line, or with `indent` for people."""
    data = msgspec.json.encode(value)
    sys.stdout.write((msgspec.json.format(data, indent=indent) if indent else data).decode() + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Tell the person at the terminal something that is no answer."""
    sys.stderr.write(f"tinybms-ctl: {text}\n")
    sys.stderr.flush()
