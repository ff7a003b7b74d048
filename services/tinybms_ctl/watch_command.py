"""`tinybms-ctl watch`: the status, live in the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from tinybms_config.parse import Parsed
from tinybms_ctl.look import look
from tinybms_ctl.options import ConfigOption, load_or_exit, print_json
from tinybms_ctl.render import plain_lines, screen
from tinybms_health.document import BatteryReport, StatusDocument

CELLS_IN_ROW = 8


def watch(
    config: ConfigOption = None,
    *,
    interval_s: Annotated[
        float, typer.Option("--interval", min=0.2, max=60, help="Seconds between two looks.")
    ] = 1.0,
    count: Annotated[int, typer.Option("--count", min=0, help="Looks; 0: until Ctrl-C.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
) -> None:
    """Show the status again and again; not on a terminal, as plain lines."""
    _, parsed = load_or_exit(config)
    documents = _documents(parsed, interval_s, count)
    try:
        if as_json:
            for document in documents:
                print_json(document)
        elif sys.stdout.isatty():
            _live(documents)
        else:
            for document in documents:
                print("\n".join([*plain_lines(document), ""]), flush=True)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _documents(parsed: Parsed, interval_s: float, count: int) -> Iterator[StatusDocument]:
    done = 0
    while True:
        began_s = time.monotonic()
        yield look(parsed)
        done += 1
        if done == count:
            return
        time.sleep(max(0.0, began_s + interval_s - time.monotonic()))


def _live(documents: Iterator[StatusDocument]) -> None:
    with Live(console=Console(), screen=True, auto_refresh=False) as live:
        for document in documents:
            live.update(watched(document), refresh=True)


def watched(document: StatusDocument) -> Group:
    """The status screen with the cells below it."""
    parts = [screen(document)]
    if document.battery is not None:
        return Group(*parts, cells(document.battery))
    return Group(*parts)


def cells(battery: BatteryReport) -> Table:
    """Cell voltages in rows of eight, the lowest and highest marked."""
    table = Table(box=None, pad_edge=False, show_header=False, title="cells, V")
    table.title_justify = "left"
    voltages = battery.cell_voltages_v
    for start in range(0, len(voltages), CELLS_IN_ROW):
        row = voltages[start : start + CELLS_IN_ROW]
        table.add_row(*(_cell(battery, voltage_v) for voltage_v in row))
    return table


def _cell(battery: BatteryReport, voltage_v: float) -> str:
    if voltage_v == battery.max_cell_voltage_v:
        return f"[bold]{voltage_v:.3f}+[/]"
    if voltage_v == battery.min_cell_voltage_v:
        return f"[bold]{voltage_v:.3f}-[/]"
    return f"{voltage_v:.3f} "
