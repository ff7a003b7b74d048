"""Find and read the configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tinybms_charge.parameters import charge_parameters
from tinybms_config.parse import Parsed, parse
from tinybms_config.problems import ConfigError, Problem

DEFAULT_PATH: Final = Path("/etc/tinybms/gateway.toml")
_LARGEST_BYTES: Final = 1024 * 1024


def config_path(option: str | None, environ: Mapping[str, str]) -> Path:
    """The file to read: the option, else $TINYBMS_CONFIG, else /etc/tinybms/gateway.toml."""
    return Path(option or environ.get("TINYBMS_CONFIG") or DEFAULT_PATH)


def load(path: Path, environ: Mapping[str, str]) -> Parsed:
    """The checked configuration; ConfigError with every problem, also for an unreadable file."""
    try:
        text = _read(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problem = Problem(key="(file)", value=reason, allowed="a readable TOML file in UTF-8")
        raise ConfigError(str(path), [problem]) from error
    parsed = parse(text, environ, file=str(path))
    charge_parameters(parsed.config, file=str(path))
    return parsed


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_LARGEST_BYTES + 1)
    if len(data) > _LARGEST_BYTES:
        raise OSError(f"larger than {_LARGEST_BYTES} bytes")
    return data.decode("utf-8")
