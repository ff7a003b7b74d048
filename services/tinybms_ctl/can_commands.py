"""`tinybms-ctl can`: stop and start the CAN frames, or keep them up while the BMS is in service."""

from __future__ import annotations

from typing import Annotated

import typer

from tinybms_ctl.asking import NotAnswered, ask
from tinybms_ctl.mode_commands import duration_s
from tinybms_ctl.options import ConfigOption, JsonOption, load_or_exit, print_json, say
from tinybms_messages.owner import LONGEST_SERVICE_S, CanCommand, CanNow, ControlCan, time_left

can_app = typer.Typer(
    no_args_is_help=True, help="Stop the CAN frames in good order, or keep them up for a service."
)


@can_app.command("stop")
def stop(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Bring the chargers to rest (CCL 0 for 5 s), then send nothing until `can start`."""
    _asked(config, ControlCan(command=CanCommand.STOP), as_json=as_json)


@can_app.command("start")
def start(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Send again after `can stop`."""
    _asked(config, ControlCan(command=CanCommand.START), as_json=as_json)


@can_app.command("service")
def service(
    duration: Annotated[
        str, typer.Option("--for", help="How long, such as 90s or 5m; 10m at most.")
    ] = "10m",
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Let frames go on, without charge, while the BMS is away; ends when it is back."""
    seconds = duration_s(duration, LONGEST_SERVICE_S)
    _asked(config, ControlCan(command=CanCommand.SERVICE, duration_s=seconds), as_json=as_json)


@can_app.command("service-end")
def service_end(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """End a service before its time."""
    _asked(config, ControlCan(command=CanCommand.SERVICE_END), as_json=as_json)


def _asked(config: str | None, body: ControlCan, *, as_json: bool) -> None:
    _, parsed = load_or_exit(config)
    try:
        reply = ask(parsed.config, "can_out", body)
    except NotAnswered as error:
        say(str(error))
        raise typer.Exit(1) from error
    if not isinstance(reply, CanNow):
        return
    if as_json:
        print_json({"stopped": reply.stopped, "service_left_s": reply.service_left_s})
    else:
        print(can_words(reply))


def can_words(now: CanNow) -> str:
    """For people: what holds for CAN."""
    if now.stopped:
        return "stopped: no frames until tinybms-ctl can start"
    if now.service_left_s > 0:
        return f"service, {time_left(now.service_left_s)}: frames go on while the BMS is away"
    return "frames go out while there are data"
