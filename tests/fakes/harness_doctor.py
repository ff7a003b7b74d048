"""What tinybms-ctl status and doctor say off a terminal, taken apart."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

LINE = re.compile(r"[a-z_]+: (ok|warning|fault|running|hung|down|unknown)( |$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a command said, by name of the line, and its exit code."""

    code: int
    rows: dict[str, str]

    def word(self, name: str) -> str:
        """The state in a line; "" when there is no such line."""
        return self.rows.get(name, "").split(" ")[0]

    def with_word(self, *words: str) -> set[str]:
        """Names of the lines with one of these states."""
        return {name for name in self.rows if self.word(name) in words}

    @property
    def bad(self) -> set[str]:
        """Names of what is a fault, or a process that does not run."""
        return self.with_word("fault", "hung", "down")


def told(answer: subprocess.CompletedProcess[str]) -> Told:
    """The answer's lines; every one has the right form, and no name comes twice."""
    lines = answer.stdout.splitlines()
    assert lines, answer.stderr
    assert all(LINE.match(line) for line in lines), answer.stdout + answer.stderr
    rows = dict(line.split(": ", 1) for line in lines)
    assert len(rows) == len(lines), answer.stdout
    assert "Traceback" not in answer.stderr
    return Told(code=answer.returncode, rows=rows)
