"""The health process: watches all others, restarts what hangs, and answers over HTTP."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib import metadata
from typing import Final

from tinybms_charge.parameters import charge_parameters
from tinybms_health.document import StatusDocument
from tinybms_health.listener import Listener
from tinybms_health.own_events import OwnEvents
from tinybms_health.restarts import packed, unpacked
from tinybms_health.status import status_document
from tinybms_health.supervision import Answer, Supervision
from tinybms_health.usage import UsageMeter
from tinybms_health.view import ProcessFacts, SupervisorFacts, View
from tinybms_health.watchdog import Action, Deed, Sight, Watchdog
from tinybms_health.web import Web
from tinybms_messages.topics import GATEWAY_EVENT
from tinybms_runtime.logs import fields
from tinybms_runtime.outage import Outage
from tinybms_runtime.processes import NAMES
from tinybms_runtime.runner import ServiceContext
from tinybms_runtime.statefile import read_bytes, write_atomic

_STEP_S: Final = 1.0
_USAGE_S: Final = 2.0
_HEARD_S: Final = 2.0
"""The bus works when our own heartbeat came back no longer ago than this."""
_RESTART_SAID_EACH_S: Final = 60.0
_RESTARTS_FILE: Final = "restarts.json"


class HealthService:
    """Supervises; never in the data path."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._version = metadata.version("tinybms-gateway")
        self._parameters = charge_parameters(context.config)
        self._own_events = OwnEvents()
        self._listener = Listener(
            context.bus,
            kernel_boot_id=context.clock.kernel_boot_id,
            own_name=context.name,
            on_own=self._own_events.came_back,
        )
        self._watchdog = Watchdog(own_name=context.name)
        self._meter = UsageMeter()
        self._answer = Answer(programs=None, error="supervisord was not asked yet")
        self._asked = False
        self._outage = Outage()
        self._restarts_file = context.paths.run_file(_RESTARTS_FILE)
        self._restarts = unpacked(read_bytes(self._restarts_file))
        self._restart_said_s: dict[str, float] = {}
        self._http_text = "not listening yet"
        self._supervision = Supervision(
            context.paths.supervisor_socket,
            context.loop,
            on_answer=self._take_answer,
            on_failed=self._say_failed,
        )
        self._web = Web(
            context,
            self._listener,
            version=self._version,
            document=self._document,
            on_listening=self._say_listening,
            on_refused=self._say_refused,
            on_trouble=self._say_trouble,
        )
        self._listener.tell(on_live=self._web.on_live, on_event=self._web.on_event)

    def start(self) -> None:
        """Start both helper threads and the watchdog."""
        self._supervision.start()
        self._web.start()
        self._context.loop.every(_STEP_S, self._step, first_s=_STEP_S, early_s=_STEP_S / 4)
        self._context.loop.every(_USAGE_S, self._measure, early_s=_USAGE_S / 4)

    def stop(self) -> None:
        """End both threads."""
        self._web.stop()
        self._supervision.stop()

    def state(self) -> tuple[str, str]:
        """See tinybms_runtime.runner.Service."""
        return "watching", self._http_text

    def _now_s(self) -> float:
        return self._context.clock.boottime_ns() / 1e9

    def _say(self, code: str, text: str, severity: str = "info") -> None:
        event = self._context.event(code, text, severity)
        self._listener.add_event(event)
        self._own_events.sent(self._now_s(), event)

    def _say_again(self) -> None:
        """Publish anew what the bus has lost, once it works again."""
        own = self._listener.heartbeat(self._context.name)
        now_s = self._now_s()
        if own is None or now_s - own[0].boottime_ns / 1e9 > _HEARD_S:
            return
        for event in self._own_events.overdue(now_s):
            self._context.bus.publish(GATEWAY_EVENT, event)

    def _take_answer(self, answer: Answer) -> None:
        self._asked = True
        self._answer = answer
        if answer.programs is None:
            if self._outage.begin(self._now_s(), answer.error):
                code = "supervisord_hung" if answer.hung else "supervisord_unreachable"
                self._say(code, answer.error, "warning")
            return
        summary = self._outage.end(self._now_s())
        if summary is not None:
            text = f"supervisord answers again after {summary.duration_s:.0f} s"
            self._say("supervisord_back", text)
        self._note_restarts(answer)

    def _note_restarts(self, answer: Answer) -> None:
        before = packed(self._restarts)
        pids = {name: program.pid for name, program in (answer.programs or {}).items()}
        for name in self._restarts.note(answer.pid, pids):
            self._say_restarted(name, pids[name])
        after = packed(self._restarts)
        if after == before:
            return
        try:
            write_atomic(self._restarts_file, after, durable=False)
        except OSError as error:
            text = f"{self._restarts_file}: {error.strerror}"
            self._context.log.warning("counts of restarts not stored", extra=fields(error=text))

    def _say_restarted(self, name: str, pid: int) -> None:
        """At most once a minute for each program: one that fails at once would fill every log."""
        now_s = self._now_s()
        if now_s - self._restart_said_s.get(name, -math.inf) < _RESTART_SAID_EACH_S:
            return
        self._restart_said_s[name] = now_s
        count = self._restarts.counts[name]
        text = f"{name} was started again (number {count}), its pid is now {pid}"
        self._say("process_restarted", text, "warning")

    def _step(self) -> None:
        self._say_again()
        programs = self._answer.programs
        sights = None if programs is None else list(self._sights())
        for action in self._watchdog.step(self._now_s(), sights):
            self._say(f"watchdog_{action.deed}", action.text, "warning")
            if action.deed is not Deed.REPORT:
                self._supervision.order(action)

    def _sights(self) -> Iterator[Sight]:
        now_ns = self._context.clock.boottime_ns()
        for name, program in (self._answer.programs or {}).items():
            beat = self._listener.heartbeat(name)
            mine = beat is not None and beat[1].pid == program.pid
            yield Sight(
                name=name,
                running=program.state == "RUNNING",
                fatal=program.state == "FATAL",
                pid=program.pid,
                heartbeat_age_s=(
                    (now_ns - beat[0].boottime_ns) / 1e9 if beat is not None and mine else None
                ),
            )

    def _say_failed(self, action: Action, error: str) -> None:
        text = f"{action.deed} of {action.name} failed: {error}"
        self._say("watchdog_failed", text, "warning")

    def _say_listening(self, url: str) -> None:
        self._http_text = url
        self._context.log.info("listening", extra=fields(url=url))

    def _say_refused(self, text: str) -> None:
        self._http_text = text
        self._say("http_refused", text, "warning")

    def _say_trouble(self, code: str, text: str) -> None:
        self._say(code, text, "info" if code == "history_stored" else "warning")

    def _measure(self) -> None:
        pids = [facts.pid for facts in self._processes().values() if facts.pid]
        if self._answer.pid:
            pids.append(self._answer.pid)
        self._meter.measure(pids)

    def _processes(self) -> dict[str, ProcessFacts]:
        programs = self._answer.programs
        if programs is None:
            return {name: self._by_heartbeat(name) for name in NAMES}
        return {
            name: ProcessFacts(
                pid=program.pid,
                supervisor_state=program.state,
                uptime_s=program.uptime_s if program.pid else None,
                frozen=self._meter.frozen(program.pid),
                error=program.error,
                usage=self._meter.usage(program.pid),
                restarts=self._restarts.counts.get(name),
            )
            for name, program in programs.items()
        }

    def _by_heartbeat(self, name: str) -> ProcessFacts:
        """What is known of a process when supervisord does not tell."""
        beat = self._listener.heartbeat(name)
        pid = beat[1].pid if beat else 0
        return ProcessFacts(
            pid=pid,
            frozen=self._meter.frozen(pid),
            usage=self._meter.usage(pid),
            restarts=self._restarts.counts.get(name),
        )

    def _supervisor(self) -> SupervisorFacts:
        answer = self._answer
        if answer.programs is not None:
            usage = self._meter.usage(answer.pid)
            return SupervisorFacts(state="running", pid=answer.pid, usage=usage)
        if not self._asked:
            return SupervisorFacts(state="unknown", detail=answer.error)
        return SupervisorFacts(state="hung" if answer.hung else "down", detail=answer.error)

    def _document(self) -> StatusDocument:
        context = self._context
        return status_document(
            View(
                observer=context.name,
                version=self._version,
                config=context.config,
                parameters=self._parameters,
                boottime_ns=context.clock.boottime_ns(),
                wall_ns=context.clock.wall_ns(),
                time_ok=context.clock.time_ok(),
                supervisor=self._supervisor(),
                processes=self._processes(),
                heard=self._listener.heard(),
            )
        )
