"""What is wrong with a configuration: all of it at once, each with place, value and remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault: `key` is the dotted key, `value` its text as given, `allowed` what would do."""

    key: str
    value: str
    allowed: str

    def line(self, file: str) -> str:
        """One line for people: file, key, value and what is allowed."""
        return f"{file}: {self.key} = {self.value}: allowed is {self.allowed}"


class ConfigError(ValueError):
    """A configuration that is refused, with every problem found in it."""

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.line(file) for problem in self.problems))
