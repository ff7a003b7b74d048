"""An example of gateway.toml with every key, made from the types that check the real one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import get_type_hints

import msgspec

from tinybms_config.allowed import allowed_text
from tinybms_config.model import Config, Section


def example() -> str:
    """All sections with their defaults; keys without a default value are comments."""
    return "\n".join(_section(Config(), "")).strip() + "\n"


def _section(section: Section, prefix: str) -> Iterator[str]:
    """The keys of a section, then the sections in it, as TOML wants it."""
    hints = get_type_hints(type(section), include_extras=True)
    inner: list[tuple[str, Section]] = []
    for field in msgspec.structs.fields(section):
        value = getattr(section, field.name)
        if isinstance(value, Section):
            inner.append((f"{prefix}{field.encode_name}", value))
        else:
            allowed = allowed_text(hints[field.name])
            yield f"{_line(field.encode_name, value)}  # {allowed}"
    for name, table in inner:
        yield ""
        yield f"# {_headline(table)}"
        yield f"[{name}]"
        yield from _section(table, f"{name}.")


def _line(key: str, value: object) -> str:
    if value is None:
        return f"# {key} ="
    if isinstance(value, dict):
        return f"{key} = {{}}"
    return f"{key} = {json.dumps(value)}"


def _headline(table: Section) -> str:
    return (type(table).__doc__ or "").strip().splitlines()[0]
