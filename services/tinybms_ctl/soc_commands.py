"""`tinybms-ctl soc`: the setting of SoC at a full charge."""

from __future__ import annotations

import typer

from tinybms_ctl.asking import NotAnswered, ask
from tinybms_ctl.options import ConfigOption, JsonOption, load_or_exit, print_json, say
from tinybms_messages.owner import ResumeSoc, SocNow

soc_app = typer.Typer(no_args_is_help=True, help="The state of charge that the BMS counts.")


@soc_app.callback()
def _group() -> None:
    """Keep `resume` a command of its own although it is the only one."""


@soc_app.command("resume")
def resume(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Let SoC be set again at a full charge, after a setting that failed."""
    _, parsed = load_or_exit(config)
    try:
        reply = ask(parsed.config, "acquisition", ResumeSoc())
    except NotAnswered as error:
        say(str(error))
        raise typer.Exit(1) from error
    if not isinstance(reply, SocNow):
        return
    if as_json:
        print_json({"allowed": reply.allowed, "unsynchronised_days": reply.unsynchronised_days})
        return
    print(f"SoC was last known to be right {reply.unsynchronised_days:.1f} days ago")
    if reply.allowed:
        print("it may be set at the next full charge, once a day at most")
    else:
        print("it is not set: acquisition.allow_writes is false")
