"""What the documents say of the configuration is what the gateway takes."""

import re
from pathlib import Path

from tinybms_config.reference import Key, markdown, tables

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([a-z_]+(?:\.[a-z_]+)+)` \| (.*?) \| .+ \|$", re.MULTILINE)


def keys() -> dict[str, Key]:
    return {f"{table.name}.{key.name}": key for table in tables() for key in table.keys}


def test_the_reference_is_made_from_the_present_model() -> None:
    page = ROOT / "deploy" / "docs" / "configuration.md"
    assert page.read_text(encoding="utf-8") == markdown(), "run: make docs"


def test_every_key_says_what_it_means() -> None:
    assert [name for name, key in keys().items() if not key.meaning] == []


def test_the_keys_in_the_readme_exist_with_these_defaults() -> None:
    rows = ROW.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(rows) > 10
    for name, default in rows:
        assert default.strip("`") == keys()[name].default, name
