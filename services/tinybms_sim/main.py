"""Command line `tinybms-sim`."""

from pathlib import Path
from typing import Annotated

import typer

from tinybms_sim.bms import run_bms
from tinybms_sim.gx import FAULTS, run_gx
from tinybms_sim.image import ImageError, load_overrides
from tinybms_sim.line import SCENARIOS, make_line
from tinybms_sim.loop.command import LoopError, run_loop
from tinybms_sim.pty_line import LinkError
from tinybms_sim.shell import boottime_s

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Simulators for the gateway.")

Link = Annotated[Path, typer.Option(help="Path of the link to the simulated port.")]
Control = Annotated[
    Path | None, typer.Option(help="Path of a unix datagram socket that takes commands.")
]


@app.callback()
def _root() -> None:
    """Simulators: a TinyBMS, a GX behind a USB-CAN adapter, and both in a closed loop."""


@app.command()
def bms(
    link: Link,
    registers: Annotated[
        Path | None,
        typer.Option(help="JSON file: register number to word; values then stay fixed."),
    ] = None,
    scenario: Annotated[str, typer.Option(help=f"One of: {', '.join(SCENARIOS)}.")] = "normal",
    seed: Annotated[int, typer.Option(help="Seed of the battery and of the line faults.")] = 1,
    firmware: Annotated[int, typer.Option(help="Firmware number: 254 (Rev D) or 242.")] = 254,
    *,
    unpaced: Annotated[bool, typer.Option(help="Answer at once, not at 115200 baud.")] = False,
    control: Control = None,
) -> None:
    """Answer as a TinyBMS of Rev D on a pseudo-terminal, until SIGTERM or Ctrl-C."""
    now_s = boottime_s()
    try:
        overrides = load_overrides(registers) if registers else None
        line = make_line(
            start_s=now_s, overrides=overrides, seed=seed, firmware=firmware, paced=not unpaced
        )
        line.choose(scenario, now_s)
        run_bms(line, link, control)
    except (ImageError, LinkError, ValueError) as error:
        typer.echo(f"tinybms-sim: {error}", err=True)
        raise typer.Exit(2) from error


@app.command()
def gx(
    link: Link,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per event.")] = False,
    no_gx: Annotated[bool, typer.Option("--no-gx", help="An adapter alone: no 0x305.")] = False,
    fault: Annotated[str, typer.Option(help=f"One of: {', '.join(FAULTS)}.")] = "none",
    control: Control = None,
) -> None:
    """Be a USB-CAN adapter (slcan) with a GX behind it, until SIGTERM or Ctrl-C."""
    try:
        run_gx(link, control, as_json=as_json, with_gx=not no_gx, fault=fault)
    except (LinkError, ValueError) as error:
        typer.echo(f"tinybms-sim: {error}", err=True)
        raise typer.Exit(2) from error


@app.command()
def loop(
    scenario: Annotated[str, typer.Option(help="S1 to S18; S10 is random by its seed.")] = "S1",
    seed: Annotated[int, typer.Option(help="Seed of battery, sun, loads and noise.")] = 1,
    plot: Annotated[Path | None, typer.Option(help="Draw the run into this PNG file.")] = None,
    dt: Annotated[float | None, typer.Option(min=0.05, max=10.0, help="Step in s.")] = None,
) -> None:
    """Run the charge control against pack, BMS and chargers in a closed loop; exit 1: failed."""
    try:
        text, passed = run_loop(scenario, seed, dt, plot)
    except (LoopError, OSError) as error:
        typer.echo(f"tinybms-sim: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(text)
    if not passed:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; ends the process."""
    app()
