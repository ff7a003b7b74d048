"""`tinybms-ctl logs` and `tinybms-ctl restart`: single processes."""

from __future__ import annotations

import time
from typing import Annotated, Final

import typer

from tinybms_ctl.events_command import FollowOption
from tinybms_ctl.log_lines import merged, shown
from tinybms_ctl.log_tail import LogTail
from tinybms_ctl.options import ConfigOption, JsonOption, load_or_exit, print_json, say
from tinybms_ctl.restarting import restarted
from tinybms_runtime.paths import Paths
from tinybms_runtime.processes import NAMES
from tinybms_runtime.supervisor import SupervisorClient, SupervisorError

EXIT_USAGE: Final = 2
FOLLOW_S: Final = 0.2
LOGS: Final = (*NAMES, "supervisord")


def complete_log(incomplete: str) -> list[str]:
    """Names of logs for the shell."""
    return [name for name in LOGS if name.startswith(incomplete)]


def complete_process(incomplete: str) -> list[str]:
    """Names of processes for the shell."""
    return [name for name in NAMES if name.startswith(incomplete)]


def logs(
    process: Annotated[
        str | None, typer.Argument(help="Without it all.", autocompletion=complete_log)
    ] = None,
    config: ConfigOption = None,
    *,
    count: Annotated[int, typer.Option("-n", min=0, max=10_000, help="How many lines.")] = 50,
    follow: FollowOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="The lines as they are.")] = False,
) -> None:
    """Show the end of the log of a process, or of all in the order of their times."""
    if process is not None:
        _check_name(process, LOGS)
    _, parsed = load_or_exit(config)
    folder = Paths.of(parsed.config).log_dir
    names = [process] if process else list(LOGS)
    tails = {name: LogTail(folder / f"{name}.log") for name in names}
    if not any((folder / f"{name}.log").exists() for name in names) and not follow:
        say(f"no log in {folder}: was the gateway ever started, and may you look there?")
        raise typer.Exit(1)
    _print({name: tail.last(count) for name, tail in tails.items()}, count, as_json=as_json)
    while follow:
        time.sleep(FOLLOW_S)
        newer = {name: tail.new() for name, tail in tails.items()}
        _print(newer, sum(map(len, newer.values())), as_json=as_json)


def _print(lines: dict[str, list[str]], count: int, *, as_json: bool) -> None:
    if not count:
        return
    for name, line in merged(lines, count):
        print(line if as_json else shown(name, line), flush=True)


def restart(
    process: Annotated[str, typer.Argument(autocompletion=complete_process)],
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """End a process in good order and have supervisord start it again; the others go on."""
    _check_name(process, NAMES)
    _, parsed = load_or_exit(config)
    client = SupervisorClient(Paths.of(parsed.config).supervisor_socket)
    try:
        pid = restarted(client, process)
    except SupervisorError as error:
        say(str(error))
        raise typer.Exit(1) from error
    finally:
        client.close()
    if not pid:
        say(f"{process} does not come back; read: tinybms-ctl logs {process}")
        raise typer.Exit(1)
    if as_json:
        print_json({"process": process, "pid": pid})
    else:
        print(f"{process}: running pid {pid}")


def _check_name(name: str, allowed: tuple[str, ...]) -> None:
    if name not in allowed:
        say(f"there is no process {name!r}; allowed: {', '.join(allowed)}")
        raise typer.Exit(EXIT_USAGE)
