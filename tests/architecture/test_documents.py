"""What the documents say is what the program does; links lead somewhere; commands exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from harness_documents import (
    INDEX,
    ROOT,
    RUN,
    anchors,
    commands,
    fences,
    headings,
    links,
    name_of,
    pages,
    runnable,
)
from tinybms_config.reference import Key, markdown, tables
from tinybms_ctl.main import app
from tinybms_ctl.manpage import EVERYWHERE, options
from tinybms_ctl.manpage import commands as known_commands

ENGLISH, FRENCH = ROOT / "README.md", ROOT / "README.fr.md"
ROW = re.compile(r"^\| `([a-z_]+(?:\.[a-z_]+)+)` \| (.*?) \| .+ \|$", re.MULTILINE)
INSTALLER = "deploy/install.sh"
COMMANDS = {tuple(words.split()): command for words, command in known_commands(app).items()}


def keys() -> dict[str, Key]:
    return {f"{table.name}.{key.name}": key for table in tables() for key in table.keys}


def test_the_reference_is_made_from_the_present_model() -> None:
    page = ROOT / "deploy" / "docs" / "configuration.md"
    assert page.read_text(encoding="utf-8") == markdown(), "run: make docs"


def test_every_key_says_what_it_means() -> None:
    assert [name for name, key in keys().items() if not key.meaning] == []


@pytest.mark.parametrize("readme", [ENGLISH, FRENCH], ids=name_of)
def test_the_keys_in_the_readme_exist_with_these_defaults(readme: Path) -> None:
    rows = ROW.findall(readme.read_text(encoding="utf-8"))
    assert len(rows) > 10
    for name, default in rows:
        assert default.strip("`") == keys()[name].default, name


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / path).resolve() if path else page
        there = file.exists() and file.is_relative_to(ROOT)
        if not there or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_the_index_names_every_page() -> None:
    named = {(INDEX.parent / target.partition("#")[0]).resolve() for target in links(INDEX)}
    there = {page for page in INDEX.parent.glob("*.md") if page != INDEX}
    assert there - named == set()


def test_the_readme_leads_to_the_index() -> None:
    for readme in (ENGLISH, FRENCH):
        assert name_of(INDEX) in links(readme)


def test_both_readmes_have_the_same_headings_and_tables() -> None:
    assert [depth for depth, _ in headings(ENGLISH)] == [depth for depth, _ in headings(FRENCH)]
    rows = [
        [line.count(" | ") for line in readme.read_text("utf-8").splitlines() if line[:1] == "|"]
        for readme in (ENGLISH, FRENCH)
    ]
    assert rows[0] == rows[1]


def test_both_readmes_have_the_same_code_and_lead_to_the_same_pages() -> None:
    blocks = [[(one.info, one.lines()) for one in fences(page)] for page in (ENGLISH, FRENCH)]
    assert blocks[0] == blocks[1]
    other = {name_of(ENGLISH), name_of(FRENCH)}
    assert set(links(ENGLISH)) - other == set(links(FRENCH)) - other


def command_problem(words: list[str]) -> str:
    """What is wrong with the words after tinybms-ctl; "" when there is such a command."""
    names = tuple(word for word in words if re.fullmatch(r"[a-z][a-z-]*", word))
    found = [known for known in COMMANDS if names[: len(known)] == known]
    group = any(known[: len(words)] == tuple(words) for known in COMMANDS)
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    if not found:
        alone = {"--help", "--install-completion", "--show-completion"}
        allowed = group or (not names and given <= alone)
        return "" if allowed else f"no such command: {words}"
    known = {name for one in options(COMMANDS[found[0]]) for name in one.opts}
    unknown = given - known - EVERYWHERE
    return f"no such option: {unknown} in {words}" if unknown else ""


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_command_of_tinybms_ctl_exists_with_its_options(page: Path) -> None:
    found = [command_problem(words) for words in commands(page, "tinybms-ctl")]
    assert [problem for problem in found if problem] == []


def test_a_command_that_does_not_exist_would_be_found() -> None:
    assert command_problem(["statsu"])
    assert command_problem(["status", "--jsn"])
    assert command_problem(["mode", "charge-of"])
    assert not command_problem(["mode", "charge-off", "--for", "2h"])
    assert not command_problem(["mode"])


def test_every_target_of_make_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {
        (name_of(page), word)
        for page in pages()
        for words in commands(page, "make")
        for word in words
        if re.fullmatch(r"[a-z-]+", word)
    }
    assert len(named) > 10
    assert {(page, word) for page, word in named if word not in targets} == set()


def test_every_option_of_the_installer_exists() -> None:
    said = subprocess.run(
        ["bash", str(ROOT / INSTALLER), "--help"], capture_output=True, text=True, check=True
    ).stdout
    allowed = set(re.findall(r"--[a-z-]+", said)) | {"--help"}
    used = {
        word
        for page in pages()
        for words in commands(page, INSTALLER)
        for word in words
        if word.startswith("-")
    }
    assert {"--dry-run", "--rollback", "--remove", "--purge", "--wheelhouse"} <= used
    assert used <= allowed


def test_blocks_that_a_test_runs_hold_commands_that_end() -> None:
    lines = [line for page in pages() for line in runnable(page)]
    assert len(lines) > 15
    assert all(line.startswith("tinybms-ctl ") for line in lines)
    assert not [line for line in lines if " -f" in line or " watch" in line or " up" in line]


def test_a_block_of_commands_says_so() -> None:
    for page in (ENGLISH, FRENCH, *sorted(INDEX.parent.glob("*.md"))):
        for fence in fences(page):
            if fence.info not in {"sh", RUN}:
                assert not re.search(r"^(sudo|make) ", fence.text, re.MULTILINE), name_of(page)
