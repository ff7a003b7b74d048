"""One line of doctor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tinybms_ctl.doctor.row import Level
from tinybms_ctl.doctor.table import TROUBLES


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check.

    `word` stands in the line: the level, for processes running, hung or down. `fix` and `trouble`
    are empty when all is well.
    """

    check: str
    level: Level
    word: str
    text: str = ""
    fix: str = ""
    trouble: str = ""


def good(check: str, text: str) -> Finding:
    """Nothing is wrong here."""
    return Finding(check=check, level=Level.OK, word=Level.OK.value, text=text)


def trouble(name: str, text: str, *, check: str = "", word: str = "", fix: str = "") -> Finding:
    """The row `name` of the table with what was seen; `fix` when there is a more exact one."""
    row = TROUBLES[name]
    check = check or row.check
    return Finding(
        check=check,
        level=row.level,
        word=word or row.level.value,
        text=text or row.shows,
        fix=(fix or row.fix).replace("NAME", check),
        trouble=name,
    )


def sentence(parts: Iterable[str]) -> str:
    """Several texts as one."""
    return "; ".join(part for part in parts if part)
