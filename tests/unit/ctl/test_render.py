"""Plain lines for programs and pipes, tables for people."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import msgspec
from rich.console import Console

from fake_view import facts, fake_view
from tinybms_ctl.render import plain_lines, screen
from tinybms_health.status import status_document
from tinybms_health.view import View
from tinybms_runtime.processes import NAMES


def with_detail(detail: str) -> View:
    view = fake_view()
    broken = facts("buffer", pid=0, supervisor_state="FATAL", error=detail)
    return replace(view, processes={**view.processes, "buffer": broken})


def text_of(view: View, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(screen(status_document(view)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_each_check_is_one_line_with_name_and_state() -> None:
    document = status_document(fake_view())
    lines = list(plain_lines(document))[: len(document.checks)]
    assert all(re.match(r"[a-z_]+: (running|ok)( |$)", line) for line in lines)
    names = [line.split(":")[0] for line in lines]
    assert names[:7] == ["supervisord", *NAMES]
    assert len(names) == len(set(names))


def test_each_limit_is_one_line_with_its_sentence() -> None:
    document = status_document(fake_view())
    assert document.limits is not None
    sentence = "Charge limited to 25.7 A by low temperature (probe 1, 3.4 °C); next step at 5 °C"
    limits = msgspec.structs.replace(
        document.limits, charge_current_a=25.7, charge_sentence=sentence
    )
    lines = list(plain_lines(msgspec.structs.replace(document, limits=limits)))
    assert [line.split(":")[0] for line in lines[len(document.checks) :]] == ["cvl", "ccl", "dcl"]
    assert f"ccl: ok 25.7 A, {sentence}" in lines
    assert all(re.match(r"[a-z_]+: (running|ok) ", line) for line in lines[len(NAMES) + 1 :])


def test_without_limits_there_is_no_line_of_them() -> None:
    document = msgspec.structs.replace(status_document(fake_view()), limits=None)
    assert len(list(plain_lines(document))) == len(document.checks)


def test_a_text_with_line_breaks_stays_one_line() -> None:
    lines = list(plain_lines(status_document(with_detail("first\nsecond\r\n  third"))))
    line = next(line for line in lines if line.startswith("buffer:"))
    assert line.startswith("buffer: down ")
    assert line.endswith("supervisord says FATAL, first second third")


def test_every_process_and_limit_is_on_the_screen_at_80_columns() -> None:
    text = text_of(fake_view(), 80)
    assert all(re.search(rf"^{name} +running", text, re.MULTILINE) for name in NAMES)
    assert re.search(r"CVL +55\.2 V", text)
    assert "All is well" in text


def test_the_screen_says_what_is_wrong() -> None:
    text = text_of(with_detail("could not be found"), 120)
    assert "It works in part" in text
    assert "could not be found" in text
