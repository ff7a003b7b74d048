"""The first gateway.toml: what was chosen, every other key as a comment with its default: pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tinybms_config.reference import Key, tables

Setting = str | int | float | bool

_HEAD = """# Configuration of the TinyBMS gateway, written by tinybms-ctl init.
# A key behind # has the default that is shown. Check changes: tinybms-ctl config check"""


def first_config(chosen: Mapping[str, Setting], notes: Mapping[str, str]) -> str:
    """The file's text. `chosen` and `notes` by dotted key; a note is a comment above its key.

    KeyError for a key that the configuration does not have.
    """
    unknown = (set(chosen) | set(notes)) - {
        _dotted(key) for table in tables() for key in table.keys
    }
    if unknown:
        raise KeyError(f"no such key: {', '.join(sorted(unknown))}")
    parts = [_HEAD]
    for table in tables():
        lines = [f"# {table.headline}", f"[{table.name}]"]
        for key in table.keys:
            if note := notes.get(_dotted(key)):
                lines.append(f"# {note}")
            lines.append(_line(key, chosen.get(_dotted(key))))
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _dotted(key: Key) -> str:
    return f"{key.section}.{key.name}"


def _line(key: Key, value: Setting | None) -> str:
    comment = f"# {key.meaning}; {key.allowed}"
    if value is None:
        return f"# {key.name} = {key.default}  {comment}".replace(" =   ", " =  ")
    return f"{key.name} = {json.dumps(value)}  {comment}"
