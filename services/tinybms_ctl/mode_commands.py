"""`tinybms-ctl mode`: what the owner asks of the charge control for a time."""

from __future__ import annotations

import re
from typing import Annotated, Final

import typer

from tinybms_ctl.asking import NotAnswered, ask
from tinybms_ctl.options import ConfigOption, JsonOption, load_or_exit, print_json, say
from tinybms_messages.owner import (
    LONGEST_MODE_S,
    ActiveMode,
    ClearModes,
    ModesNow,
    OwnerMode,
    OwnerRequest,
    SetMode,
    ShowModes,
    mode_words,
    time_left,
)
from tinybms_runtime.clock import SystemClock

EXIT_USAGE: Final = 2
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

mode_app = typer.Typer(
    no_args_is_help=True,
    help="Lower a limit or balance at the top for a time; ends by itself.",
)

ForOption = Annotated[
    str, typer.Option("--for", help="How long, such as 90s, 30m, 2h or 1d; 7d at most.")
]


@mode_app.command("charge-off")
def charge_off(
    duration: ForOption, config: ConfigOption = None, *, as_json: JsonOption = False
) -> None:
    """Let nothing charge the battery: the charge limit (CCL) is 0."""
    _set(config, OwnerMode.CHARGE_OFF, duration, as_json=as_json)


@mode_app.command("discharge-off")
def discharge_off(
    duration: ForOption, config: ConfigOption = None, *, as_json: JsonOption = False
) -> None:
    """Let nothing discharge the battery: DCL is 0, an island goes dark."""
    _set(config, OwnerMode.DISCHARGE_OFF, duration, as_json=as_json)


@mode_app.command("charge-current")
def charge_current(
    amperes: Annotated[float, typer.Argument(min=0, max=1000, help="Most that CCL can be, in A.")],
    duration: ForOption,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Let the charge limit be no higher than this for now."""
    _set(config, OwnerMode.CHARGE_CURRENT, duration, amperes, as_json=as_json)


@mode_app.command("top-balance")
def top_balance(
    duration: ForOption = "6h", config: ConfigOption = None, *, as_json: JsonOption = False
) -> None:
    """Charge once to the top balance voltage; over when that charge is full, after 6 h at most."""
    _set(config, OwnerMode.TOP_BALANCE, duration, as_json=as_json)


@mode_app.command("clear")
def clear(
    modes: Annotated[
        list[str] | None, typer.Argument(help="Such as charge-off; without a name: all.")
    ] = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """End modes before their time."""
    known = {mode.value.replace("_", "-"): mode for mode in OwnerMode}
    wanted = [name.replace("_", "-") for name in modes or ()]
    for name in wanted:
        if name not in known:
            say(f"there is no mode {name!r}; allowed: {', '.join(known)}")
            raise typer.Exit(EXIT_USAGE)
    request = ClearModes(modes=tuple(known[name] for name in wanted))
    _say_modes(_asked(config, request), as_json=as_json)


@mode_app.command("show")
def show(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Show which modes hold, and for how long."""
    _say_modes(_asked(config, ShowModes()), as_json=as_json)


def duration_s(text: str, longest_s: float) -> float:
    """Seconds of "90s", "30m", "2h" or "1d"; ends the process when it is none, or too long."""
    match = re.fullmatch(r"([0-9]{1,7})([smhd])", text)
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not 0 < seconds <= longest_s:
        say(
            f"--for {text!r}: a whole number with s, m, h or d is allowed, "
            f"up to {longest_s:.0f} s, as in 30m"
        )
        raise typer.Exit(EXIT_USAGE)
    return float(seconds)


def _set(
    config: str | None,
    mode: OwnerMode,
    duration: str,
    limit_a: float | None = None,
    *,
    as_json: bool,
) -> None:
    wanted = SetMode(mode=mode, duration_s=duration_s(duration, LONGEST_MODE_S), limit_a=limit_a)
    _say_modes(_asked(config, wanted), as_json=as_json)


def _asked(config: str | None, body: OwnerRequest) -> tuple[ActiveMode, ...]:
    _, parsed = load_or_exit(config)
    try:
        reply = ask(parsed.config, "acquisition", body)
    except NotAnswered as error:
        say(str(error))
        raise typer.Exit(1) from error
    return reply.modes if isinstance(reply, ModesNow) else ()


def _say_modes(active: tuple[ActiveMode, ...], *, as_json: bool) -> None:
    """Every mode that holds now."""
    if as_json:
        print_json(
            [
                {"mode": one.mode.value, "left_s": round(_left_s(one), 1), "limit_a": one.limit_a}
                for one in active
            ]
        )
        return
    for one in active:
        print(f"{mode_words(one)}, {time_left(_left_s(one))}")
    if not active:
        print("no mode is set: the limits are those of the charge control")


def _left_s(mode: ActiveMode) -> float:
    return mode.left_s(SystemClock().boottime_ns())
