"""Critical records to the MQTT broker: live when they are made, stored ones as replays.

What the broker acknowledged is said each second, so that buffer stores the rest.
"""

from __future__ import annotations

from typing import Final, cast

import msgspec

from tinybms_messages.codec import Message
from tinybms_messages.critical import Critical, MqttDelivered
from tinybms_messages.requests import Reply, Result
from tinybms_messages.status import BufferStatus
from tinybms_messages.topics import CRITICAL, MQTT_DELIVERED
from tinybms_mqtt_out.delivered import Delivered
from tinybms_mqtt_out.publication import RecordId
from tinybms_mqtt_out.replay import Replay
from tinybms_mqtt_out.uplink import Uplink
from tinybms_mqtt_out.values import Values
from tinybms_runtime.loop import Timer
from tinybms_runtime.requests import RequestClient
from tinybms_runtime.runner import ServiceContext
from tinybms_runtime.statefile import read_bytes, write_atomic

FILE_NAME: Final = "mqtt-delivered"
PERIOD_S: Final = 1.0
STEP_S: Final = 0.05
ASK_TIMEOUT_S: Final = 2.0
LIVE_WITHIN_S: Final = 2.0
"""An older record is no news: this process was held up, and buffer has stored it by now."""
LAST_WORD_S: Final = 0.1

AnyMessage = Message[msgspec.Struct]


class CriticalOut:
    """Owns what is known of deliveries, and the questions to buffer."""

    def __init__(self, context: ServiceContext, values: Values, uplink: Uplink) -> None:
        self._context = context
        self._values = values
        self._uplink = uplink
        self._path = context.paths.run_file(FILE_NAME)
        self._saved = self._load()
        self._delivered = Delivered(self._saved)
        self._replay = Replay(
            claimer=context.boot,
            rate=context.config.buffer.replay_rate,
            delivered=self._delivered,
            make=values.replayed,
        )
        self._refusal_told = False
        self._client: RequestClient | None = None
        self._rows = 0
        self._timer: Timer | None = None

    def start(self) -> None:
        """Subscribe, and begin to say what has arrived."""
        context = self._context
        context.bus.subscribe(CRITICAL, self._on_critical)
        context.loop.every(PERIOD_S, self._tell, early_s=PERIOD_S / 5)
        if context.config.buffer.enabled:
            self._client = RequestClient(
                context=context.bus.context,
                endpoint=context.paths.requests("buffer"),
                clock=context.clock,
                loop=context.loop,
            )

    def stop(self) -> None:
        """Say once more what has arrived, in time for buffer to hear it."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self._tell()
        self._context.loop.run_until(lambda: False, LAST_WORD_S)

    def buffer_says(self, status: BufferStatus) -> None:
        """The state of buffer."""
        self._rows = status.rows
        if self._rows > 0 and self._timer is None and self._client is not None:
            self._timer = self._context.loop.every(STEP_S, self._step)

    def answered(self, record: RecordId, *, taken: bool) -> None:
        """The broker took or refused a record."""
        if taken:
            self._delivered.add(record.boot, record.seq)
        if record.stored is None:
            return
        if taken:
            self._replay.arrived(record)
            return
        self._replay.refused(record, self._now_s())
        if not self._refusal_told:
            self._refusal_told = True
            text = "the MQTT broker refuses stored records: allow the topics replay/#"
            self._context.event("replay_refused", text, "warning")

    def disconnected(self) -> None:
        """The connection is gone."""
        self._replay.disconnected()

    def _on_critical(self, message: AnyMessage) -> None:
        record = cast("Critical", message.body)
        if not self._uplink.online or self._delivered.has(record.boot, record.seq):
            return
        if self._now_s() - message.header.boottime_ns / 1e9 > LIVE_WITHIN_S:
            return
        publication = self._values.record(record, self._now_s())
        self._uplink.offer(publication)
        if publication.qos == 0:
            # Whoever sets QoS 0 for it waives the promise: nobody will acknowledge it.
            self._delivered.add(record.boot, record.seq)

    def _step(self) -> None:
        if self._rows == 0 and self._replay.idle and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        client, now_s = self._client, self._now_s()
        room = self._uplink.room(now_s)
        if client is None or room == 0:
            return
        for publication in self._replay.step(now_s, room):
            # At the same moment: one that found no way would come after those behind it.
            self._uplink.offer(publication, now_s)
        question = None if client.busy else self._replay.question(now_s, self._rows)
        if question is not None:
            client.ask(
                question,
                timeout_s=ASK_TIMEOUT_S,
                on_reply=self._on_reply,
                on_silence=self._on_silence,
            )

    def _on_reply(self, reply: Reply) -> None:
        if reply.result is Result.OK and reply.body is not None:
            self._replay.answered(reply.body, self._now_s())
            self._step()
        else:
            self._on_silence()

    def _on_silence(self) -> None:
        self._replay.silence(self._now_s())

    def _tell(self) -> None:
        message = self._delivered.message()
        if message != self._saved:
            # Kept before it is said: the next start must not know less than buffer has heard.
            self._save(message)
        self._context.bus.publish(MQTT_DELIVERED, message)

    def _save(self, message: MqttDelivered) -> None:
        try:
            write_atomic(self._path, msgspec.json.encode(message), durable=False)
        except OSError:
            # After a restart some records will be repeated, marked.
            return
        self._saved = message

    def _load(self) -> MqttDelivered | None:
        try:
            data = read_bytes(self._path)
            return None if data is None else msgspec.json.decode(data, type=MqttDelivered)
        except (OSError, msgspec.MsgspecError):
            return None

    def _now_s(self) -> float:
        return self._context.clock.boottime_ns() / 1e9
