"""The buffer process: what the MQTT broker does not acknowledge is stored until it does.

Records come by the bus; what the bus lost is asked for at acquisition. mqtt_out claims what is
stored and acknowledges it by number.
"""

from __future__ import annotations

from typing import Final, cast

import msgspec

from tinybms_buffer.bounds import StoreLimits
from tinybms_buffer.firstwords import FirstWords
from tinybms_buffer.keeper import Keeper
from tinybms_buffer.memoryfile import MemoryFile
from tinybms_buffer.store import GapNumbers, Store
from tinybms_buffer.wear import Wear, written_bytes
from tinybms_messages.codec import Message
from tinybms_messages.critical import Critical, MqttDelivered
from tinybms_messages.requests import (
    Ack,
    CaughtUp,
    Claim,
    Drop,
    Reply,
    ReplyBody,
    RequestBody,
    Result,
)
from tinybms_messages.status import BufferStatus
from tinybms_messages.topics import BUFFER_STATUS, CRITICAL, MQTT_DELIVERED
from tinybms_runtime.requests import RequestClient, RequestRefused, RequestServer
from tinybms_runtime.runner import Service, ServiceContext

STORE_NAME: Final = "buffer.sqlite"
PERIOD_S: Final = 1.0
ASK_PERIOD_S: Final = 0.25
ASK_TIMEOUT_S: Final = 1.0
LAST_MESSAGES_S: Final = 0.2
"""At the end the others have stopped already; what they said last may still wait in our socket."""

AnyMessage = Message[msgspec.Struct]


def build(context: ServiceContext) -> Service:
    """The service that the configuration asks for: without MQTT nothing is owed to anybody."""
    config = context.config
    if not config.buffer.enabled:
        return Resting(context, "disabled")
    return BufferService(context) if config.mqtt.enabled else Resting(context, "idle")


class Resting:
    """Stores nothing and opens no file, but is there and says so."""

    def __init__(self, context: ServiceContext, state: str) -> None:
        self._context = context
        self._state = state

    def start(self) -> None:
        """Plan the reports."""
        self._context.loop.every(PERIOD_S, self._report, early_s=PERIOD_S / 5)

    def stop(self) -> None:
        """Nothing is held."""

    def state(self) -> tuple[str, str]:
        """See tinybms_runtime.runner.Service."""
        return self._state, ""

    def _report(self) -> None:
        self._context.bus.publish(BUFFER_STATUS, BufferStatus(state=self._state))


class BufferService:
    """The keeper with its sockets, its files and the clock."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        config = context.config.buffer
        self._path = None if config.ram_only else context.paths.state_file(STORE_NAME)
        self._limits = StoreLimits(
            max_bytes=config.max_bytes,
            max_rows=config.max_rows,
            max_age_s=config.max_age_days * 86_400.0,
        )
        self._gap_numbers = GapNumbers(context.boot)
        self._words = FirstWords(context.event, now_s=self._now_s())
        memory = MemoryFile(context.paths.run_file("buffer-memory"))
        self._keeper = Keeper(
            clock=context.clock,
            open_store=self._open_store,
            tell=self._words,
            memory=memory.load(),
            save=memory.save,
        )
        self._wear = Wear()
        self._status = BufferStatus(state="idle")
        self._server: RequestServer | None = None
        self._client: RequestClient | None = None

    def start(self) -> None:
        """Subscribe, answer claims, begin to ask what was missed."""
        context = self._context
        loop = context.loop
        context.bus.subscribe(CRITICAL, self._on_critical)
        context.bus.subscribe(MQTT_DELIVERED, self._on_delivered)
        self._server = context.serve(self._answer)
        self._client = RequestClient(
            context=context.bus.context,
            endpoint=context.paths.requests("acquisition"),
            clock=context.clock,
            loop=loop,
        )
        loop.every(ASK_PERIOD_S, self._ask, early_s=ASK_PERIOD_S / 2)
        loop.every(PERIOD_S, self._each_second, early_s=PERIOD_S / 5)

    def stop(self) -> None:
        """Store all that the MQTT broker has not acknowledged."""
        self._context.loop.run_until(lambda: False, LAST_MESSAGES_S)
        if self._client is not None:
            self._client.close()
        if self._server is not None:
            self._server.close()
        self._keeper.close()
        self._words.release()

    def state(self) -> tuple[str, str]:
        """See tinybms_runtime.runner.Service."""
        return self._status.state, self._status.detail

    def _open_store(self, distrust: str) -> Store:
        return Store(
            self._path,
            limits=self._limits,
            clock=self._context.clock,
            gap_numbers=self._gap_numbers,
            distrust=distrust,
        )

    def _on_critical(self, message: AnyMessage) -> None:
        self._words.heard(self._now_s())
        self._keeper.take(cast("Critical", message.body))

    def _on_delivered(self, message: AnyMessage) -> None:
        self._words.heard(self._now_s())
        self._keeper.delivered(cast("MqttDelivered", message.body))

    def _answer(self, body: RequestBody) -> ReplyBody:
        match body:
            case Claim():
                return self._keeper.claim(body)
            case Ack():
                return self._keeper.ack(body)
            case Drop():
                return self._keeper.drop(body)
            case _:
                raise RequestRefused("buffer answers claim, ack and drop; ask acquisition for more")

    def _ask(self) -> None:
        """Ask acquisition for what is missing, one request at a time."""
        client = self._client
        if client is None or client.busy:
            return
        wanted = self._keeper.tracker.wanted(self._now_s())
        if wanted is not None:
            client.ask(
                wanted,
                timeout_s=ASK_TIMEOUT_S,
                on_reply=self._on_reply,
                on_silence=self._on_silence,
            )

    def _on_reply(self, reply: Reply) -> None:
        if reply.result is Result.OK and isinstance(reply.body, CaughtUp):
            self._keeper.tracker.caught_up(reply.body, self._now_s())
            self._ask()
        else:
            self._on_silence()

    def _on_silence(self) -> None:
        self._keeper.tracker.silence(self._now_s())

    def _each_second(self) -> None:
        self._keeper.tick()
        now_s, written = self._now_s(), written_bytes()
        self._words.tick(now_s)
        per_day = None
        if written is not None:
            self._wear.note(now_s, written)
            per_day = self._wear.bytes_per_day(now_s, written)
        self._status = msgspec.structs.replace(
            self._keeper.status(),
            ram_only=self._path is None,
            max_bytes=self._limits.max_bytes,
            written_bytes_per_day=per_day,
        )
        self._context.bus.publish(BUFFER_STATUS, self._status)

    def _now_s(self) -> float:
        return self._context.clock.boottime_ns() / 1e9
