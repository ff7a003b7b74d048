"""`tinybms-ctl history`: the past as a table, CSV or JSON."""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

import typer

from tinybms_ctl.health_http import HealthSilent, fetch
from tinybms_ctl.options import ConfigOption, JsonOption, load_or_exit, print_json, say
from tinybms_health.history import HistoryReport


def history(
    config: ConfigOption = None,
    *,
    begin: Annotated[
        str | None, typer.Option("--from", help="ISO 8601 or Unix seconds; default: an hour ago.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="As --from; default: now.")] = None,
    step: Annotated[int | None, typer.Option(min=1, help="Length of a row in seconds.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the battery's past: one row for each interval that has data."""
    _, parsed = load_or_exit(config)
    asked = {"from": begin, "to": end, "step": step}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    target = f"/api/history?{query}" if query else "/api/history"
    try:
        report = fetch(parsed.config.health.listen, target, HistoryReport)
    except HealthSilent as error:
        say(str(error))
        raise typer.Exit(1) from error
    if as_json:
        print_json(report)
    else:
        write_rows(report, delimiter="," if as_csv else "\t")


def write_rows(report: HistoryReport, *, delimiter: str) -> None:
    """Rows with a header; what is not known is an empty field."""
    writer = csv.writer(sys.stdout, delimiter=delimiter, lineterminator="\n")
    writer.writerow(report.columns)
    for row in report.rows:
        writer.writerow([_time(row[0]), *("" if value is None else value for value in row[1:])])


def _time(unix_s: float | None) -> str:
    if unix_s is None:
        return ""
    text = datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")
