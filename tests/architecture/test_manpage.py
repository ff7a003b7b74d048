"""The manual page and the completion for the shell know every command and option."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tinybms_ctl.main import app
from tinybms_ctl.manpage import commands, manpage, options

PAGE = Path(__file__).parents[2] / "deploy/man/tinybms-ctl.1"
REQUESTS = {".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".I", ".BR", ".RI", ".BI", '.\\"'}


def test_the_page_is_made_from_the_present_commands() -> None:
    assert PAGE.read_text(encoding="utf-8") == manpage(app), "run: make docs"


def test_every_command_and_option_is_on_it_with_words() -> None:
    text = PAGE.read_text(encoding="utf-8").replace("\\-", "-")
    found = commands(app)
    assert {"up", "status", "doctor", "config check", "mode charge-off"} <= set(found)
    assert "takeover" not in found, "hidden: started by up itself"
    for words, command in found.items():
        part = text.split(f".SS \\fB{words}\\fR", 1)[1].split("\n.SS ")[0]
        assert command.help, words
        for option in options(command):
            assert option.help, f"{words} {option.opts}"
            assert all(f"\\fB{name}\\fR" in part for name in option.opts), option.opts


def test_each_line_is_one_that_man_understands() -> None:
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith((".", "'")):
            assert line.split(" ")[0] in REQUESTS, line
        else:
            assert re.sub(r"\\(?:f[BIR]|-|&|e)", "", line).count("\\") == 0, line
            assert line, "an empty line is a space in man"


def completed(shell: str, **environ: str) -> str:
    answer = subprocess.run(
        [str(Path(sys.executable).parent / "tinybms-ctl")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "_TINYBMS_CTL_COMPLETE": shell, **environ},
        check=True,
    )
    return answer.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion(shell: str) -> None:
    assert f"_TINYBMS_CTL_COMPLETE=complete_{shell}" in completed(f"source_{shell}")


@pytest.mark.parametrize(
    ("words", "expected"), [("tinybms-ctl sta", "status"), ("tinybms-ctl can st", "stop")]
)
def test_the_completion_knows_the_commands(words: str, expected: str) -> None:
    last = str(len(words.split()) - 1)
    assert expected in completed("complete_bash", COMP_WORDS=words, COMP_CWORD=last).split()
