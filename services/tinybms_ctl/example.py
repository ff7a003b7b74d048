"""An example of gateway.toml with every key, made from the types that check the real one."""

from __future__ import annotations

from tinybms_config.reference import Key, Table, tables


def example() -> str:
    """All sections with their defaults; keys without a default value are comments."""
    return "\n\n".join(_section(table) for table in tables()) + "\n"


def _section(table: Table) -> str:
    lines = [f"# {table.headline}", f"[{table.name}]"]
    return "\n".join([*lines, *(_line(key) for key in table.keys)])


def _line(key: Key) -> str:
    setting = f"{key.name} = {key.default}" if key.default else f"# {key.name} ="
    return f"{setting}  # {key.meaning}; {key.allowed}"
