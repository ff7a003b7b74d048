"""Command line `tinybms-ctl`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console

from tinybms_ctl.backup_commands import backup, restore
from tinybms_ctl.buffer_commands import buffer_app
from tinybms_ctl.bundle_command import support_bundle
from tinybms_ctl.can_commands import can_app
from tinybms_ctl.demo import demo
from tinybms_ctl.demo_files import DemoRefusedError
from tinybms_ctl.doctor.command import doctor
from tinybms_ctl.events_command import events
from tinybms_ctl.example import example
from tinybms_ctl.frames_command import frames
from tinybms_ctl.history_command import history
from tinybms_ctl.init_command import init
from tinybms_ctl.logs_command import logs, restart
from tinybms_ctl.look import look
from tinybms_ctl.mode_commands import mode_app
from tinybms_ctl.mqtt_commands import mqtt_app
from tinybms_ctl.options import (
    EXIT_BAD_CONFIGURATION,
    ConfigOption,
    JsonOption,
    load_or_exit,
    print_json,
    say,
)
from tinybms_ctl.reload_command import reload
from tinybms_ctl.render import plain_lines, screen
from tinybms_ctl.soc_commands import soc_app
from tinybms_ctl.system import supervisord
from tinybms_ctl.takeover import take_over
from tinybms_ctl.up import RefusedError
from tinybms_ctl.up import up as start_all
from tinybms_ctl.watch_command import watch
from tinybms_health.verdict import EXIT_CODES, verdict
from tinybms_runtime.paths import Paths
from tinybms_runtime.supervisor import SupervisorClient, SupervisorError

EXIT_DOWN: Final = 2
EXIT_REFUSED: Final = 75
STOP_WITHIN_S: Final = 60.0

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Start the TinyBMS gateway, see how it is, check its configuration.",
)
config_app = typer.Typer(no_args_is_help=True, help="The configuration file.")
app.add_typer(config_app, name="config")

app.add_typer(mqtt_app, name="mqtt")
app.add_typer(buffer_app, name="buffer")
app.add_typer(mode_app, name="mode")
app.add_typer(can_app, name="can")
app.add_typer(soc_app, name="soc")


@app.command()
def up(config: ConfigOption = None) -> None:
    """Start supervisord with every process, in the foreground."""
    path, parsed = load_or_exit(config, EXIT_BAD_CONFIGURATION)
    for warning in parsed.warnings:
        say(f"warning: {warning}")
    try:
        start_all(parsed, path, say)
    except RefusedError as error:
        say(str(error))
        raise typer.Exit(EXIT_REFUSED) from error


@app.command()
def down(config: ConfigOption = None) -> None:
    """Stop every process and supervisord; waits until they have ended."""
    _, parsed = load_or_exit(config, EXIT_BAD_CONFIGURATION)
    paths = Paths.of(parsed.config)
    client = SupervisorClient(paths.supervisor_socket)
    try:
        pid = client.pid()
        client.shutdown()
    except SupervisorError as error:
        say(str(error))
        raise typer.Exit(1) from error
    finally:
        client.close()
    deadline = time.monotonic() + STOP_WITHIN_S
    while supervisord(paths).facts.state != "down":
        if time.monotonic() >= deadline:
            say(f"supervisord (pid {pid}) has not ended after {STOP_WITHIN_S:g} s")
            raise typer.Exit(1)
        time.sleep(0.1)
    print("stopped")


@app.command()
def status(
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
    check_battery: Annotated[
        bool, typer.Option("--check-battery", help="Let alarms of the battery count.")
    ] = False,
) -> None:
    """Show how everything is. Exit code 0: well, 1: works in part, 2: no data or no process."""
    _, parsed = load_or_exit(config, EXIT_DOWN)
    document = look(parsed)
    if as_json:
        print_json(document, indent=2)
    elif sys.stdout.isatty():
        Console().print(screen(document))
    else:
        for line in plain_lines(document):
            print(line)
    raise typer.Exit(EXIT_CODES[verdict(document, check_battery=check_battery)])


_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "doctor": doctor,
    "watch": watch,
    "events": events,
    "history": history,
    "logs": logs,
    "restart": restart,
    "reload": reload,
    "frames": frames,
    "support-bundle": support_bundle,
    "init": init,
    "backup": backup,
    "restore": restore,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)


@config_app.command("check")
def config_check(
    file: Annotated[str | None, typer.Argument(help="File (default: $TINYBMS_CONFIG).")] = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Check the configuration; every problem is printed. Exit code 78 when there is one."""
    path, parsed = load_or_exit(file or config, EXIT_BAD_CONFIGURATION)
    if as_json:
        print_json({"file": str(path), "warnings": parsed.warnings})
        return
    for warning in parsed.warnings:
        print(f"warning: {warning}")
    print(f"{path}: ok")


@config_app.command("example")
def config_example() -> None:
    """Print an example of the configuration file with every key, its default and its range."""
    sys.stdout.write(example())


@app.command("demo")
def demo_command(
    seconds: Annotated[
        float | None, typer.Option(help="End after this time; exit code 1 without any data.")
    ] = None,
) -> None:
    """Run everything against simulators, in the folder .demo here, until Ctrl-C."""
    try:
        arrived = demo(seconds)
    except DemoRefusedError as error:
        say(str(error))
        raise typer.Exit(1) from error
    if seconds is not None and not arrived:
        say("no data arrived on CAN and MQTT")
        raise typer.Exit(1)


@app.command(hidden=True)
def takeover(orphans: str) -> None:
    """Replace orphans; started by `up` itself, in the environment of the new supervisord."""
    _, parsed = load_or_exit(None, EXIT_BAD_CONFIGURATION)
    pids = msgspec.json.decode(orphans, type=dict[str, int])
    if not take_over(Paths.of(parsed.config), pids, say):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; ends the process."""
    app()
