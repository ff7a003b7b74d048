"""The form of a row in the table of what can be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that can be wrong. `shows`: what one sees of it; `fix`: what to do."""

    name: str
    check: str
    level: Level
    shows: str
    fix: str


def fault(name: str, check: str, shows: str, fix: str) -> Trouble:
    """A row for what stops data, CAN or MQTT now."""
    return Trouble(name=name, check=check, level=Level.FAULT, shows=shows, fix=fix)


def warning(name: str, check: str, shows: str, fix: str) -> Trouble:
    """A row for everything else."""
    return Trouble(name=name, check=check, level=Level.WARNING, shows=shows, fix=fix)
