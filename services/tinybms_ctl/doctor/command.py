"""`tinybms-ctl doctor`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tinybms_ctl.doctor.finding import Finding
from tinybms_ctl.doctor.gather import gather
from tinybms_ctl.doctor.judges import EXIT_NOT_LOOKED, Judgement, judge
from tinybms_ctl.doctor.row import Level
from tinybms_ctl.options import ConfigOption, load_or_exit
from tinybms_ctl.render import STYLES, one_line

HEADLINES = {
    0: ("green", "Nothing stops data, CAN or MQTT"),
    1: ("bold red", "Something stops data, CAN or MQTT"),
    3: ("yellow", "Could not look"),
}


def doctor(
    config: ConfigOption = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The findings as JSON.")] = False,
) -> None:
    """Say what is wrong and what to do. Exit code 0: no fault, 1: a fault, 3: could not look."""
    path, parsed = load_or_exit(config, EXIT_NOT_LOOKED)
    judgement = judge(gather(parsed, path))
    if as_json:
        sys.stdout.write(msgspec.json.format(as_document(judgement), indent=2).decode() + "\n")
    elif sys.stdout.isatty():
        Console().print(screen(judgement))
    else:
        for line in plain_lines(judgement):
            print(line)
    raise typer.Exit(judgement.exit_code)


def plain_lines(judgement: Judgement) -> Iterator[str]:
    """`<name>: <word> <text>; <what to do>`, one unwrapped line for each check."""
    for finding in judgement.findings:
        text = "; ".join(part for part in (finding.text, finding.fix) if part)
        yield f"{finding.check}: {finding.word} {one_line(text)}".rstrip()


def as_document(judgement: Judgement) -> bytes:
    """The findings as JSON."""
    rows = [
        {
            "check": finding.check,
            "level": finding.level.value,
            "state": finding.word,
            "text": finding.text,
            "fix": finding.fix,
            "trouble": finding.trouble,
        }
        for finding in judgement.findings
    ]
    return msgspec.json.encode({"exit_code": judgement.exit_code, "findings": rows})


def screen(judgement: Judgement) -> Table:
    """The findings for people at a terminal."""
    style, headline = HEADLINES[judgement.exit_code]
    table = Table(box=None, pad_edge=False, show_header=False, title=Text(headline, style))
    table.title_justify = "left"
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in judgement.findings:
        table.add_row(finding.check, Text(finding.word, _style(finding)), _words(finding))
    return table


def _style(finding: Finding) -> str:
    return STYLES[finding.level.value]


def _words(finding: Finding) -> Text:
    text = Text(one_line(finding.text))
    if finding.level is not Level.OK and finding.fix:
        text.append(f"\n-> {one_line(finding.fix)}", "bold")
    return text
