"""Find out how the gateway is: from health, and without it from supervisord, locks and bus."""

from __future__ import annotations

import http.client
import os
import secrets
from collections.abc import Mapping
from importlib import metadata
from typing import Final

import msgspec

from tinybms_charge.parameters import charge_parameters
from tinybms_config.parse import Parsed
from tinybms_ctl.health_http import connection_to
from tinybms_ctl.system import process_facts, supervisord
from tinybms_health.document import StatusDocument
from tinybms_health.listener import Listener
from tinybms_health.status import status_document
from tinybms_health.verdict import checks, verdict
from tinybms_health.view import Heard, View
from tinybms_runtime.bus import Bus
from tinybms_runtime.clock import SystemClock
from tinybms_runtime.lock import holder_pid
from tinybms_runtime.loop import Loop
from tinybms_runtime.paths import Paths

HTTP_TIMEOUT_S: Final = 2.0
LISTEN_S: Final = 2.0


def look(parsed: Parsed) -> StatusDocument:
    """The status now; takes at most some seconds, whatever is down."""
    paths = Paths.of(parsed.config)
    silent = False
    try:
        document = _asked(parsed.config.health.listen, paths)
    except TimeoutError:
        document, silent = None, True
    if document is not None:
        return document
    document = look_without_health(parsed, paths)
    if paths.run_dir.exists() and not os.access(paths.run_dir, os.X_OK):
        # Who may not see the locks can't say that a process does not run.
        return with_states(document, dict.fromkeys(document.processes, "unknown"))
    if silent and document.processes["health"].state == "running":
        return with_states(document, {"health": "hung"})
    return document


def with_states(document: StatusDocument, states: Mapping[str, str]) -> StatusDocument:
    """`document` with other states of processes, judged anew."""
    processes = {
        name: msgspec.structs.replace(report, state=states.get(name, report.state))
        for name, report in document.processes.items()
    }
    seen = msgspec.structs.replace(document, processes=processes)
    seen = msgspec.structs.replace(seen, checks=checks(seen))
    return msgspec.structs.replace(seen, status=verdict(seen))


def ask_health(listen: str, paths: Paths) -> StatusDocument | None:
    """The document of this gateway's health process, None when it does not answer."""
    try:
        return _asked(listen, paths)
    except TimeoutError:
        return None


def _asked(listen: str, paths: Paths) -> StatusDocument | None:
    """As ask_health; TimeoutError when somebody takes the connection and is silent for 2 s.

    Another gateway's health on the same port is no answer: its pid is not the one in our lock. A
    user who may not see our locks is told by device name only.
    """
    connection = connection_to(listen, HTTP_TIMEOUT_S)
    try:
        connection.request("GET", "/api/status")
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            return None
        document = msgspec.json.decode(answer.read(), type=StatusDocument)
        pid = holder_pid(paths.lock("health"))
    except TimeoutError:
        raise
    except (OSError, http.client.HTTPException, msgspec.MsgspecError):
        return None
    finally:
        connection.close()
    if not os.access(paths.run_dir, os.X_OK):
        return document if document.device == paths.device else None
    report = document.processes.get("health")
    return document if pid is not None and report is not None and report.pid == pid else None


def look_without_health(parsed: Parsed, paths: Paths) -> StatusDocument:
    """The document made by ourselves; listens on the bus for up to two seconds."""
    config = parsed.config
    clock = SystemClock(trust_clock=config.gateway.trust_clock)
    manager = supervisord(paths)
    processes = process_facts(paths, manager.programs)
    alive = {name for name, facts in processes.items() if facts.pid and not facts.frozen}
    heard = _listen(paths, clock, alive)
    return status_document(
        View(
            observer="tinybms-ctl",
            version=metadata.version("tinybms-gateway"),
            config=config,
            parameters=charge_parameters(config),
            boottime_ns=clock.boottime_ns(),
            wall_ns=clock.wall_ns(),
            time_ok=clock.time_ok(),
            supervisor=manager.facts,
            processes=processes,
            heard=heard,
            warnings=parsed.warnings,
        )
    )


def _listen(paths: Paths, clock: SystemClock, alive: set[str]) -> Heard:
    """What the bus says, until everybody who lives was heard."""
    loop = Loop(clock)
    bus = Bus(paths=paths, source="ctl", boot=secrets.token_hex(8), clock=clock, loop=loop)
    listener = Listener(bus, kernel_boot_id=clock.kernel_boot_id)

    def complete() -> bool:
        heard = listener.heard()
        wanted = {
            "acquisition": heard.live.newest,
            "can_out": heard.can,
            "mqtt_out": heard.mqtt,
            "buffer": heard.buffer,
        }
        return alive <= heard.heartbeats.keys() and all(
            said is not None for name, said in wanted.items() if name in alive
        )

    try:
        if "broker" in alive:
            loop.run_until(complete, LISTEN_S)
        return listener.heard()
    finally:
        bus.close()
        loop.close()
