"""Every command that answers something can answer it as JSON."""

from __future__ import annotations

from tinybms_ctl.main import app
from tinybms_ctl.manpage import commands, options

WITHOUT_AN_ANSWER = {"up", "down", "demo", "config example", "buffer export"}
"""They start or stop processes, or print a file that has a form of its own."""


def test_every_command_with_an_answer_takes_json() -> None:
    found = commands(app)
    assert len(found) > 25
    without = {
        words
        for words, command in found.items()
        if not any("--json" in option.opts for option in options(command))
    }
    assert without == WITHOUT_AN_ANSWER
