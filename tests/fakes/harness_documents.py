"""Reads the pages of this tree: headings, links, fenced blocks, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[2]
INDEX = ROOT / "deploy" / "docs" / "README.md"
_FENCE: Final = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN: Final = re.compile(r"`([^`\n]+)`")
_LINK: Final = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_COMMENT: Final = re.compile(r"\s+# .*$")
_BEFORE: Final = re.compile(r"^(?:\$ |sudo |runuser -u tinybms -- )+")
RUN: Final = "sh run"
"""The mark of a block whose lines a test runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """A fenced block: what stands after the backticks, and its text."""

    info: str
    text: str

    def lines(self) -> tuple[str, ...]:
        """Lines without the comments at their ends, which are words for people."""
        return tuple(_COMMENT.sub("", line) for line in self.text.splitlines())


def pages() -> list[Path]:
    """Every page of the tree, without what tools put beside it."""
    folders = [ROOT / name for name in ("deploy", "services", "shared", "tests", ".ci")]
    inner = [page for folder in folders for page in folder.rglob("*.md")]
    return sorted([*ROOT.glob("*.md"), *inner])


def name_of(page: Path) -> str:
    """A page as people call it."""
    return str(page.relative_to(ROOT))


def fences(page: Path) -> list[Fence]:
    """The fenced blocks in their order."""
    return [
        Fence(info=found["info"].strip(), text=found["text"])
        for found in _FENCE.finditer(page.read_text(encoding="utf-8"))
    ]


def headings(page: Path) -> list[tuple[int, str]]:
    """Depth and words of each heading."""
    found = _HEADING.findall(_prose(page))
    return [(len(depth), words) for depth, words in found]


def anchors(page: Path) -> set[str]:
    """What a link can name after `#`, as the common renderers make it from a heading."""
    return {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-") for _, words in headings(page)}


def links(page: Path) -> list[str]:
    """Targets of all links, outside of code."""
    return _LINK.findall(_SPAN.sub("", _prose(page)))


def commands(page: Path, program: str) -> Iterator[list[str]]:
    """The words of each command line for `program`, in blocks and in the text, without it."""
    text = page.read_text(encoding="utf-8")
    shells = [fence for fence in fences(page) if fence.info in {"", "sh", RUN}]
    blocks = [line for fence in shells for line in fence.lines()]
    for line in [*blocks, *_SPAN.findall(_FENCE.sub("", text))]:
        for part in re.split(r"\s*(?:&&|\|\||[;|])\s*", _BEFORE.sub("", line.strip())):
            words = _words(part)
            if words and words[0] == program:
                yield words[1:]


def runnable(page: Path) -> list[str]:
    """The command lines that a test runs, as written but for sudo."""
    return [
        _BEFORE.sub("", line)
        for fence in fences(page)
        if fence.info == RUN
        for line in fence.lines()
        if line.strip()
    ]


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()
