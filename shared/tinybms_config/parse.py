"""TOML text and environment to a checked `Config`: refuse, never repair."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar, get_type_hints

import msgspec

from tinybms_config.allowed import allowed_text
from tinybms_config.crosscheck import cross_problems
from tinybms_config.model import Config, Section
from tinybms_config.problems import ConfigError, Problem

SectionT = TypeVar("SectionT", bound=Section)

ENVIRONMENT_KEYS: Final[dict[str, str]] = {
    "TINYBMS_RUN_DIR": "run_dir",
    "TINYBMS_LOG_DIR": "log_dir",
}
"""Variables that win over a key of [gateway]."""

_SECRET_KEYS: Final = frozenset({"password"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A configuration that holds, and sentences about what the owner may not have meant."""

    config: Config
    warnings: tuple[str, ...]


def parse(text: str, environ: Mapping[str, str], *, file: str = "gateway.toml") -> Parsed:
    """The configuration in `text`, with what `environ` overrides.

    Raises ConfigError with every problem at once: syntax, unknown keys, types, ranges, and keys
    that contradict each other.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = Problem(key="(syntax)", value=str(error), allowed="TOML 1.0")
        raise ConfigError(file, [problem]) from error
    warnings = list(_override(tables, environ))
    problems: list[Problem] = []
    config = _section(Config, tables, "", problems)
    if config is None or problems:
        raise ConfigError(file, problems)
    crossed = tuple(cross_problems(config))
    if crossed:
        raise ConfigError(file, crossed)
    return Parsed(config=config, warnings=tuple(warnings))


def _override(tables: dict[str, object], environ: Mapping[str, str]) -> Iterator[str]:
    """Put the environment's folders into [gateway]; yields a warning where the file differs."""
    gateway = tables.setdefault("gateway", {})
    if not isinstance(gateway, dict):
        return
    for variable, key in ENVIRONMENT_KEYS.items():
        value = environ.get(variable)
        if not value:
            continue
        if key in gateway and gateway[key] != value:
            yield (
                f"gateway.{key} = {gateway[key]!r} in the file, but {variable} says {value!r}: "
                "the environment wins"
            )
        gateway[key] = value


def _section(
    kind: type[SectionT], table: object, prefix: str, problems: list[Problem]
) -> SectionT | None:
    """`table` as a `kind`, each key checked by itself so that all problems are found."""
    if not isinstance(table, dict):
        problems.append(Problem(key=prefix.rstrip("."), value=repr(table), allowed="a table"))
        return None
    hints = get_type_hints(kind, include_extras=True)
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    values: dict[str, object] = {}
    for key, value in table.items():
        dotted = f"{prefix}{key}"
        if key not in known:
            shown = "***" if key in _SECRET_KEYS else repr(value)
            allowed = "no such key; known here: " + ", ".join(sorted(known))
            problems.append(Problem(key=dotted, value=shown, allowed=allowed))
            continue
        hint = hints[key]
        if isinstance(hint, type) and issubclass(hint, Section):
            values[key] = _section(hint, value, f"{dotted}.", problems)
            continue
        try:
            values[key] = msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            allowed = allowed_text(hint, error)
            problems.append(Problem(key=dotted, value=repr(value), allowed=allowed))
    return None if problems else kind(**values)
