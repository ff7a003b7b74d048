"""A configuration that may be shown: nothing in it opens a door."""

from __future__ import annotations

from typing import Final

import msgspec

from tinybms_config.model import Config

HIDDEN: Final = "***"

SECRET_KEYS: Final = frozenset({"mqtt.username"})
"""Dotted keys whose values stay hidden; passwords themselves never enter a Config."""


def redact(config: Config) -> dict[str, object]:
    """`config` as plain tables with every secret replaced by ***."""
    plain: dict[str, object] = msgspec.to_builtins(config)
    for dotted in SECRET_KEYS:
        *tables, key = dotted.split(".")
        table: object = plain
        for name in tables:
            table = table.get(name) if isinstance(table, dict) else None
        if isinstance(table, dict) and table.get(key) is not None:
            table[key] = HIDDEN
    return plain
