"""The page deploy/docs/troubleshooting.md, made from what doctor and status can say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tinybms_ctl.doctor.status_lines import STATUS_LINES, StatusLine
from tinybms_ctl.doctor.table import GROUPS

_HEAD: Final = """# Troubleshooting

This page is made by `make docs`. It lists every line that `tinybms-ctl doctor` and
`tinybms-ctl status` print when something is not well, and what to do about it.

1. `tinybms-ctl doctor` looks at everything and says what to do. Mend the first fault first: those
   below it often go with it. It exits with 0 when nothing stops data, CAN or MQTT (there may be
   warnings), with 1 when something does, and with 3 when it could not look. While a process owns a
   port or channel, doctor asks that process and never opens the device itself.
2. `tinybms-ctl logs NAME` shows what a process wrote, `tinybms-ctl events` what happened,
   `tinybms-ctl frames` the last bytes on the serial line.
3. `tinybms-ctl support-bundle` packs everything for somebody else to look at, without secrets.

Run them as the gateway's user or as root: `sudo tinybms-ctl doctor`. With `--json` they are for
programs. A line named `process` stands under the name of the process itself:
`acquisition: down ...`.

What the gateway does by itself when a part fails is on the page about safety:
[safety.md](safety.md).
"""
_STATUS_HEAD: Final = """## Lines of `tinybms-ctl status`

`status` says how things are, without looking for the cause. For each line here `doctor` knows more.
"""


def markdown() -> str:
    """The page, by symptom."""
    parts = [_HEAD]
    for title, rows in GROUPS.items():
        found = ((row.shows, f"{row.check}: {row.level}", row.fix) for row in rows)
        parts.append("\n".join((f"## {title}", "", *_table("doctor", found))) + "\n")
    lines = ((row.shows, " ... ".join(_said(row)), row.fix) for row in STATUS_LINES)
    parts.append("\n".join((_STATUS_HEAD, *_table("status", lines))) + "\n")
    return "\n".join(parts)


def _said(row: StatusLine) -> Iterator[str]:
    yield f"{row.check}: {row.state}"
    if row.says:
        yield row.says


def _table(command: str, rows: Iterator[tuple[str, str, str]]) -> Iterator[str]:
    yield f"| what one sees | line of {command} | what to do |"
    yield "|---|---|---|"
    for shows, line, fix in rows:
        yield f"| {shows} | `{line}` | {fix} |"
