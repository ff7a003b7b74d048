"""`tinybms-ctl events`: what happened in the gateway."""

from __future__ import annotations

import time
from typing import Annotated, Final

import typer

from tinybms_ctl.health_http import HealthSilent, fetch
from tinybms_ctl.options import ConfigOption, load_or_exit, print_json, say
from tinybms_ctl.render import one_line
from tinybms_health.event_log import ASKED_AT_MOST, EventsReport, NumberedEvent

FOLLOW_S: Final = 1.0

CountOption = Annotated[int, typer.Option("-n", min=1, max=ASKED_AT_MOST, help="How many.")]
FollowOption = Annotated[bool, typer.Option("-f", "--follow", help="Go on with new ones.")]


def events(
    config: ConfigOption = None,
    *,
    count: CountOption = 50,
    follow: FollowOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show the last events of the gateway, oldest first."""
    _, parsed = load_or_exit(config)
    listen = parsed.config.health.listen
    try:
        report = fetch(listen, f"/api/events?limit={count}", EventsReport)
    except HealthSilent as error:
        say(str(error))
        raise typer.Exit(1) from error
    _print(report, as_json=as_json)
    while follow:
        time.sleep(FOLLOW_S)
        try:
            newer = fetch(listen, f"/api/events?after={report.last_id}", EventsReport)
        except HealthSilent:
            continue  # health comes back, or the person ends this
        _print(newer, as_json=as_json)
        report = newer


def _print(report: EventsReport, *, as_json: bool) -> None:
    for event in report.events:
        if as_json:
            print_json(event)
        else:
            print(event_line(event), flush=True)


def event_line(event: NumberedEvent) -> str:
    """One event in one line."""
    return (
        f"{event.time} {event.severity:<7} {event.source:<11} {event.code}: {one_line(event.text)}"
    )
