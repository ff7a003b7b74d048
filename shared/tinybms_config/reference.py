"""The reference of all keys, made from the types that check the real file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_type_hints

import msgspec

from tinybms_config.allowed import allowed_text, meaning_text
from tinybms_config.model import Config, Section

_HEAD = """# Configuration

One TOML file: `--config FILE`, else `$TINYBMS_CONFIG`, else `/etc/tinybms/gateway.toml`. Every key
has a default; an unknown key is an error. `tinybms-ctl config check [FILE]` lists every error with
what is allowed, `tinybms-ctl config example` writes a file with all keys. `TINYBMS_RUN_DIR` and
`TINYBMS_LOG_DIR` go before the file; a difference is a warning.

This page is made by `make docs`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of the file; `default` as TOML, empty when the key is left out by default."""

    section: str
    name: str
    default: str
    allowed: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One section of the file with its keys; `name` is the dotted one of its header."""

    name: str
    headline: str
    keys: tuple[Key, ...]


def tables() -> tuple[Table, ...]:
    """Every section, outer before inner, in the order of the model."""
    return tuple(_tables(Config(), ""))


def markdown() -> str:
    """The reference as a page."""
    parts = [_HEAD]
    for table in tables():
        rows = [_row(key) for key in table.keys]
        head = ["| key | default | allowed | meaning |", "|---|---|---|---|"]
        parts.append("\n".join([f"## {table.headline}", "", *head, *rows]) + "\n")
    return "\n".join(parts)


def _tables(section: Section, name: str) -> Iterator[Table]:
    hints = get_type_hints(type(section), include_extras=True)
    keys: list[Key] = []
    inner: list[tuple[str, Section]] = []
    for field in msgspec.structs.fields(section):
        value = getattr(section, field.name)
        if isinstance(value, Section):
            inner.append((f"{name}.{field.name}".lstrip("."), value))
            continue
        hint = hints[field.name]
        keys.append(
            Key(
                section=name,
                name=field.name,
                default=_toml(value),
                allowed=allowed_text(hint),
                meaning=meaning_text(hint),
            )
        )
    if keys:
        headline = (type(section).__doc__ or "").strip().splitlines()[0].rstrip(".")
        yield Table(name=name, headline=headline, keys=tuple(keys))
    for inner_name, inner_section in inner:
        yield from _tables(inner_section, inner_name)


def _toml(value: object) -> str:
    if value is None:
        return ""
    return "{}" if isinstance(value, dict) else json.dumps(value)


def _row(key: Key) -> str:
    default = f"`{key.default}`" if key.default else ""
    allowed = key.allowed.replace("|", "\\|")
    return f"| `{key.name}` | {default} | {allowed} | {key.meaning} |"
