"""The example configuration is a valid one, holds every key, and changes nothing."""

from __future__ import annotations

import re

import msgspec

from tinybms_config.model import Config, Section
from tinybms_config.parse import parse
from tinybms_ctl.example import example


def keys(section: Section) -> set[str]:
    found: set[str] = set()
    for field in msgspec.structs.fields(section):
        value = getattr(section, field.name)
        found |= keys(value) if isinstance(value, Section) else {field.encode_name}
    return found


def test_it_is_valid_and_equal_to_the_defaults() -> None:
    parsed = parse(example(), {})
    assert parsed.config == Config()
    assert parsed.warnings == ()


def test_every_key_is_there_with_what_it_allows() -> None:
    shown = re.findall(r"^(?:# )?([a-z_]+) =.*  # .+$", example(), re.MULTILINE)
    assert set(shown) == keys(Config())
