"""`tinybms-ctl reload`: every process anew, one after the other, so that CAN frames go on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from tinybms_config.parse import Parsed
from tinybms_ctl.look import look
from tinybms_ctl.options import ConfigOption, JsonOption, load_or_exit, print_json, say
from tinybms_ctl.restarting import STARTS_WITHIN_S, added, removed, replaced, restarted
from tinybms_ctl.takeover import sample_arrives
from tinybms_health.document import StatusDocument
from tinybms_runtime.paths import Paths
from tinybms_runtime.processes import NAMES
from tinybms_runtime.supervisor import Changes, SupervisorClient, SupervisorError

WITHIN_S: Final = 60.0
SAMPLE_WITHIN_S: Final = 20.0
CAN_STARTS_WITHIN_S: Final = 5.0
"""While it does not start the GX hears nothing: the sooner that is said the better."""
STEADY_S: Final = 5.0
"""What comes up well and ends at once is not well."""
_LOOK_S: Final = 0.5


class NotWellError(Exception):
    """A process did not come back, or something works no more that did before."""


def reload(
    config: ConfigOption = None,
    *,
    before: Annotated[
        Path | None,
        typer.Option(
            help="Output of `status --json` from before, to compare with.", metavar="FILE"
        ),
    ] = None,
    within: Annotated[
        float, typer.Option(help="Seconds until all must be as well as before.", min=1.0)
    ] = WITHIN_S,
    as_json: JsonOption = False,
) -> None:
    """Read supervisord.conf again and restart each process in turn; CAN frames go on."""
    _, parsed = load_or_exit(config)
    deadline = time.monotonic() + within
    former = (_read(before) if before else None) or look(parsed)
    client = SupervisorClient(Paths.of(parsed.config).supervisor_socket)
    pids: dict[str, int | None] = {}
    error = ""
    try:
        for name, pid in _each_in_turn(client, parsed, former, deadline):
            pids[name] = pid
            if not as_json:
                print(f"{name}: {f'running pid {pid}' if pid else 'removed'}", flush=True)
        _wait_until_as_well(parsed, former, deadline)
    except (SupervisorError, NotWellError) as trouble:
        error = str(trouble)
        say(error)
    finally:
        client.close()
    if as_json:
        print_json({"as_well_as_before": not error, "error": error, "pids": pids})
    elif not error:
        print("all is as well as before")
    raise typer.Exit(1 if error else 0)


def worse(former: StatusDocument, now: StatusDocument) -> tuple[str, ...]:
    """What is not well now but was before; a process must run, whatever was before.

    The battery's own alarms don't count: no restart makes them better.
    """
    forgiven = {check.name for check in former.checks if not check.well} - set(NAMES)
    return tuple(
        f"{check.name}: {check.state}" + (f" ({check.text})" if check.text else "")
        for check in now.checks
        if not check.well and check.name not in forgiven and check.name != "battery"
    )


def in_turn(changes: Changes) -> tuple[str, ...]:
    """Names in the order of their restart: can_out last, so that its gap is the only one."""
    rest = [name for name in (*NAMES, *changes.added) if name not in {*changes.removed, "can_out"}]
    return tuple(dict.fromkeys((*changes.removed, *rest, "can_out")))


def _each_in_turn(
    client: SupervisorClient, parsed: Parsed, former: StatusDocument, deadline: float
) -> Iterator[tuple[str, int | None]]:
    """Each process with its new pid; None for one that is no longer in supervisord.conf."""
    changes = client.reread()
    had_data = any(check.name == "data" and check.well for check in former.checks)
    pids: dict[str, int] = {}
    running = {name for name, one in client.programs().items() if one.pid}
    # What is down goes first; for can_out the GX is waiting.
    for name in sorted(in_turn(changes), key=lambda name: name in running):
        if name == "can_out" and had_data and "acquisition" in pids:
            _wait_for_sample(parsed, pids["acquisition"], deadline)
        if name in changes.removed:
            removed(client, name)
            yield name, None
            continue
        pids[name] = _renewed(client, changes, name)
        if not pids[name]:
            raise NotWellError(f"{name} does not come back; read: tinybms-ctl logs {name}")
        yield name, pids[name]


def _renewed(client: SupervisorClient, changes: Changes, name: str) -> int:
    if name in changes.added:
        return added(client, name)
    if name in changes.changed:
        return replaced(client, name)
    within_s = CAN_STARTS_WITHIN_S if name == "can_out" else STARTS_WITHIN_S
    return restarted(client, name, starts_within_s=within_s)


def _wait_for_sample(parsed: Parsed, pid: int, deadline: float) -> None:
    """Until the new acquisition has something to send; until then the old can_out goes on."""
    within_s = min(SAMPLE_WITHIN_S, deadline - time.monotonic())
    if not sample_arrives(Paths.of(parsed.config), pid, max(within_s, 0.0)):
        raise NotWellError("no sample from the new acquisition: can_out is left as it is")


def _wait_until_as_well(parsed: Parsed, former: StatusDocument, deadline: float) -> None:
    well_since: float | None = None
    while True:
        bad = worse(former, look(parsed))
        now = time.monotonic()
        well_since = None if bad else well_since or now
        if well_since is not None and now - well_since >= STEADY_S:
            return
        if now >= deadline and bad:
            raise NotWellError("not as well as before: " + "; ".join(bad))
        time.sleep(_LOOK_S)


def _read(file: Path) -> StatusDocument | None:
    """The document of another time; None, so that all is compared with now, when it is none."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=StatusDocument)
    except (OSError, msgspec.MsgspecError) as error:
        say(f"{file} is no status, the present one counts: {error}")
        return None
