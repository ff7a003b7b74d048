"""The status for people: tables on a terminal, one plain line for each check elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tinybms_health.document import Check, StatusDocument
from tinybms_health.verdict import duration
from tinybms_messages.live import Limits

STYLES = {
    "ok": "green",
    "running": "green",
    "starting": "yellow",
    "warning": "yellow",
    "hung": "bold red",
    "fault": "bold red",
    "down": "bold red",
}
HEADLINES = {
    "ok": ("green", "All is well"),
    "partial": ("yellow", "It works in part"),
    "down": ("bold red", "No data, or no process"),
}


def plain_lines(document: StatusDocument) -> Iterator[str]:
    """`<name>: <state> <text>` for each check, then a sentence for each limit in the same form.

    A process that starts is running. A limit that holds the battery back is as it should be: ok.
    """
    for check in document.checks:
        state = "running starting," if check.state == "starting" else check.state
        yield f"{check.name}: {state} {one_line(check.text)}".rstrip(" ,")
    for name, value, sentence in _limit_rows(document.limits):
        yield f"{name.lower()}: ok {value}, {one_line(sentence)}".rstrip(" ,")


def one_line(text: str) -> str:
    """`text` without line breaks."""
    return " ".join(text.split())


def screen(document: StatusDocument) -> Group:
    """The status as tables."""
    style, headline = HEADLINES[document.status]
    title = Text.assemble((headline, style), f"  {document.device}  {document.time}")
    parts: list[RenderableType] = [title, _processes(document), _checks(document)]
    if document.limits is not None:
        parts.append(_limits(document.limits))
    parts += [Text(f"warning: {warning}", "yellow") for warning in document.warnings]
    parts += [Text(f"advice: {advisory}", "yellow") for advisory in document.advisories]
    return Group(*parts)


def _processes(document: StatusDocument) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("process", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("pid", "up", "restarts", "beat", "lag ms", "cpu %", "MB"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("work", overflow="fold")
    manager = document.supervisord
    table.add_row(
        "supervisord",
        _state(manager.state),
        _shown(manager.pid),
        *[""] * 4,
        _shown(manager.cpu_pct, ".1f"),
        _shown(_megabytes(manager.rss_bytes), ".0f"),
        one_line(manager.detail),
    )
    for name, report in document.processes.items():
        work = ", ".join(part for part in (report.work, report.detail) if part)
        table.add_row(
            name,
            _state(report.state),
            _shown(report.pid),
            duration(report.uptime_s) if report.uptime_s is not None else "-",
            _shown(report.restarts),
            duration(report.heartbeat_age_s) if report.heartbeat_age_s is not None else "-",
            _shown(report.lag_ms, ".1f"),
            _shown(report.cpu_pct, ".1f"),
            _shown(_megabytes(report.rss_bytes), ".0f"),
            one_line(work),
        )
    return table


def _checks(document: StatusDocument) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for check in document.checks:
        if not _is_process(document, check):
            table.add_row(check.name, _state(check.state), one_line(check.text))
    return table


def _is_process(document: StatusDocument, check: Check) -> bool:
    return check.name == "supervisord" or check.name in document.processes


def _limits(limits: Limits) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value, sentence in _limit_rows(limits):
        table.add_row(name, value, one_line(sentence))
    return table


def _limit_rows(limits: Limits | None) -> tuple[tuple[str, str, str], ...]:
    """(name, value, sentence) of each limit."""
    if limits is None:
        return ()
    return (
        ("CVL", f"{limits.charge_voltage_v:.1f} V", limits.voltage_sentence),
        ("CCL", f"{limits.charge_current_a:.1f} A", limits.charge_sentence),
        ("DCL", f"{limits.discharge_current_a:.1f} A", limits.discharge_sentence),
    )


def _state(state: str) -> Text:
    return Text(state, STYLES.get(state, ""))


def _shown(value: float | None, form: str = "") -> str:
    return "-" if value is None else format(value, form)


def _megabytes(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else size_bytes / 1e6
