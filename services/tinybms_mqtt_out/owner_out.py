"""Hands commands by MQTT on to the processes they are for, and their answers back."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Final

from tinybms_messages.requests import Reply, ReplyBody
from tinybms_mqtt_out.commands import Asked, Commands
from tinybms_mqtt_out.events import Received
from tinybms_mqtt_out.publication import Publication
from tinybms_mqtt_out.uplink import Uplink
from tinybms_runtime.requests import RequestClient
from tinybms_runtime.runner import ServiceContext

ASK_TIMEOUT_S: Final = 3.0
MOST_WAITING: Final = 8
PROCESSES: Final = ("acquisition", "can_out")


class OwnerOut:
    """Owns the questions to acquisition and can_out; one at a time for each."""

    def __init__(self, context: ServiceContext, uplink: Uplink, root: str) -> None:
        self._context = context
        self._uplink = uplink
        self._commands = Commands(root)
        self._waiting: dict[str, deque[Asked]] = {name: deque() for name in PROCESSES}
        self._clients = {
            name: RequestClient(
                context=context.bus.context,
                endpoint=context.paths.requests(name),
                clock=context.clock,
                loop=context.loop,
            )
            for name in PROCESSES
        }

    @property
    def filter(self) -> str:
        """What to subscribe to."""
        return self._commands.filter

    def stop(self) -> None:
        """Ask no more."""
        for client in self._clients.values():
            client.close()

    def received(self, message: Received) -> None:
        """A message came; it may be a command."""
        clock = self._context.clock
        wall_ms = clock.wall_ns() // 1_000_000 if clock.time_ok() else None
        found = self._commands.received(message, wall_ms)
        if isinstance(found, Publication):
            self._uplink.offer(found)
        elif found is not None:
            waiting = self._waiting[found.process]
            if len(waiting) >= MOST_WAITING:
                self._answer(found, "refused", "too many commands at once; try again later", None)
                return
            waiting.append(found)
            self._ask_next(found.process)

    def _ask_next(self, process: str) -> None:
        client, waiting = self._clients[process], self._waiting[process]
        if client.busy or not waiting:
            return
        asked = waiting.popleft()
        client.ask(
            asked.body,
            timeout_s=ASK_TIMEOUT_S,
            on_reply=partial(self._on_reply, asked),
            on_silence=partial(self._on_silence, asked),
        )

    def _on_reply(self, asked: Asked, reply: Reply) -> None:
        self._answer(asked, reply.result.value, reply.text, reply.body)
        self._ask_next(asked.process)

    def _on_silence(self, asked: Asked) -> None:
        self._answer(asked, "no_answer", f"{asked.process} did not answer; nothing is known", None)
        self._ask_next(asked.process)

    def _answer(self, asked: Asked, result: str, text: str, body: ReplyBody | None) -> None:
        words = f"command by MQTT: {asked.name}, id {asked.id}: {result}"
        severity = "info" if result == "ok" else "warning"
        self._context.event("mqtt_command", f"{words}: {text}" if text else words, severity)
        now_ns = self._context.clock.boottime_ns()
        self._uplink.offer(self._commands.answer(asked, result, text, body, now_ns))
