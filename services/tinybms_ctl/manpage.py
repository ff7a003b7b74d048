"""The manual page tinybms-ctl.1, made from the commands: `python -m tinybms_ctl.manpage`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from tinybms_ctl.main import app

NAME: Final = "tinybms-ctl"
EVERYWHERE: Final = frozenset({"--config", "--help"})
"""Options that are explained once for all."""

_HEAD: Final = rf""".\" Made by make docs; do not edit.
.TH TINYBMS-CTL 1 "" "TinyBMS gateway" "User Commands"
.SH NAME
{NAME} \- start, watch and ask the TinyBMS gateway
.SH SYNOPSIS
.B {NAME}
.I COMMAND
.RI [ OPTION ...]
.SH DESCRIPTION
The gateway shows a battery with a TinyBMS to a Victron GX device by CAN and to anything that speaks
MQTT. This command starts it, shows how it is, says what is wrong and what to do, checks the
configuration, and asks something of the running gateway. It works, and says what is wrong, when
processes of the gateway are down.
.PP
On a terminal it prints tables; elsewhere one plain line for each thing, or JSON with
.BR \-\-json .
.SH OPTIONS
.TP
.BI \-\-config " FILE"
The configuration file, for every command that reads one; without it
.BR $TINYBMS_CONFIG ,
else /etc/tinybms/gateway.toml.
.TP
.B \-\-help
The options of a command, such as
.BR "tinybms\-ctl status \-\-help" .
.TP
.BR \-\-install\-completion ", " \-\-show\-completion
Completion for the shell that runs it: install it for this user, or print it.
"""
_TAIL: Final = r""".SH EXIT STATUS
.TP
.B status
0: every process runs, every enabled link works, data are fresh; 1: it works in part; 2: no data, or
no process. Alarms of the battery count with
.B \-\-check\-battery
alone.
.TP
.B doctor
0: nothing stops data, CAN or MQTT; 1: something does; 3: it could not look.
.TP
.B All others
0: done; 1: not done, and the text says why; 2: wrong options; 75: refused because the gateway or
another copy runs; 78: the configuration is wrong.
.SH FILES
.TP
.I /etc/tinybms/gateway.toml
The configuration.
.TP
.I /var/lib/tinybms
Counters, charge state, history and records that wait for the MQTT broker.
.TP
.I /var/log/tinybms
One log for each process.
.TP
.I /run/tinybms
Sockets, locks and pid files.
.SH ENVIRONMENT
.TP
.B TINYBMS_CONFIG
The configuration file, where
.B \-\-config
is not given.
.TP
.BR TINYBMS_RUN_DIR ", " TINYBMS_LOG_DIR
Go before gateway.run_dir and gateway.log_dir of the configuration.
.TP
.B TINYBMS_MQTT_PASSWORD
The password for MQTT, in place of mqtt.password_file.
.SH SEE ALSO
.BR ip (8),
.BR candump (1),
.BR mosquitto_sub (1),
.BR supervisord (1)
"""


def manpage(root: typer.Typer) -> str:
    """The page in the language of man(7), the same on every machine."""
    lines = [_HEAD.rstrip(), ".SH COMMANDS"]
    for words, command in commands(root).items():
        lines += _command(words, command)
    return "\n".join([*lines, _TAIL])


def commands(root: typer.Typer) -> dict[str, TyperCommand]:
    """Every command that people may use, by its words after `tinybms-ctl`, as in `--help`."""
    return dict(_leaves(get_command(root), ()))


def options(command: TyperCommand) -> list[TyperOption]:
    """The options of a command that people may use, without those that every command has."""
    shown = [one for one in command.params if isinstance(one, TyperOption) and not one.hidden]
    return [one for one in shown if not EVERYWHERE.intersection(one.opts)]


def _leaves(command: object, words: tuple[str, ...]) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from _leaves(inner, (*words, name))
    elif isinstance(command, TyperCommand) and not command.hidden:
        yield " ".join(words), command


def _command(words: str, command: TyperCommand) -> Iterator[str]:
    arguments = [one for one in command.params if isinstance(one, TyperArgument)]
    usage = [rf"\fB{_text(words)}\fR", *(_argument(one) for one in arguments)]
    yield f".SS {' '.join(usage)}" + (" [\\fIOPTION\\fR ...]" if options(command) else "")
    yield _paragraph(command.help)
    for argument in arguments:
        yield from (".TP", _argument(argument), _paragraph(argument.help))
    for option in options(command):
        yield from (".TP", _option(option), _paragraph(option.help))


def _argument(argument: TyperArgument) -> str:
    name = rf"\fI{_text((argument.name or '').upper())}\fR"
    return (name if argument.required else f"[{name}]") + (" ..." if argument.nargs != 1 else "")


def _option(option: TyperOption) -> str:
    names = ", ".join(rf"\fB{_text(name)}\fR" for name in option.opts)
    if option.is_flag:
        return names
    value = option.metavar or _VALUES.get(option.type_descriptor.annotation, "TEXT")
    return rf"{names} \fI{_text(value)}\fR"


_VALUES: Final[dict[object, str]] = {float: "NUMBER", int: "NUMBER", Path: "FILE"}


def _paragraph(text: str | None) -> str:
    """Text as one line that starts with no dot, for a dot there is a request."""
    words = _text(" ".join((text or "").split())) or r"\&"
    return rf"\&{words}" if words.startswith((".", "'")) else words


def _text(text: str) -> str:
    """Text in which nothing has a meaning for troff, and no hyphen becomes a dash."""
    return re.sub(r"-", r"\\-", text.replace("\\", r"\e"))


if __name__ == "__main__":
    sys.stdout.write(manpage(app))
