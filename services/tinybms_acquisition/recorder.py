"""Critical records on their way out: into the ring file, then on the bus; and again on request.

Events of this process are taken when they are said, those of others from the bus, so that one
sequence covers all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, cast

import msgspec

from tinybms_acquisition.critical import CriticalRecords, Seen
from tinybms_acquisition.ringfile import CriticalRing
from tinybms_acquisition.sample import Moment
from tinybms_charge.ageing import aged
from tinybms_charge.parameters import ChargeParameters
from tinybms_messages.codec import Message
from tinybms_messages.critical import Critical
from tinybms_messages.live import LiveData
from tinybms_messages.requests import CatchUp, CaughtUp
from tinybms_messages.status import GatewayEvent, MqttStatus
from tinybms_messages.topics import CRITICAL, GATEWAY_EVENT, MQTT_STATUS
from tinybms_runtime.outage import Outage
from tinybms_runtime.requests import RequestRefused
from tinybms_runtime.runner import ServiceContext

RING_NAME: Final = "critical-ring"
RETRY_S: Final = 5.0
MAX_EVENT_CHARACTERS: Final = 2000
"""Of an event's text; a record must fit into every store on its way."""

AnyMessage = Message[msgspec.Struct]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingContext(ServiceContext):
    """A context whose events are also given to `record`."""

    record: Callable[[GatewayEvent], None]

    @classmethod
    def of(
        cls, context: ServiceContext, record: Callable[[GatewayEvent], None]
    ) -> RecordingContext:
        """`context` with `record`."""
        known = {field.name: getattr(context, field.name) for field in dataclasses.fields(context)}
        return cls(**known, record=record)

    def event(self, code: str, text: str, severity: str = "info") -> GatewayEvent:
        """See ServiceContext.event."""
        said = ServiceContext.event(self, code, text, severity)
        self.record(said)
        return said


class Recorder:
    """Makes the records, keeps them and publishes them."""

    def __init__(self, context: ServiceContext, parameters: ChargeParameters) -> None:
        self._context = context
        self._parameters = parameters
        self._records = CriticalRecords(
            boot=context.boot, kernel_boot_id=context.clock.kernel_boot_id
        )
        self._path = context.paths.run_file(RING_NAME)
        self._outage = Outage()
        self._ring: CriticalRing | None = None
        self._open_at_s = 0.0
        self._mqtt_connected: bool | None = None
        self._open()

    def start(self) -> None:
        """Subscribe to what others say."""
        context = self._context
        context.bus.subscribe(GATEWAY_EVENT, self._on_event)
        context.bus.subscribe(MQTT_STATUS, self._on_mqtt_status)

    def close(self) -> None:
        """The ring stays."""
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def caught_up(self, asked: CatchUp) -> CaughtUp:
        """The records that were asked for; raises RequestRefused."""
        if self._ring is None:
            raise RequestRefused(f"{self._path} can't be used; see the log of acquisition")
        try:
            return self._ring.caught_up(asked.boot, asked.ranges)
        except (OSError, ValueError) as error:
            raise RequestRefused(f"{self._path}: {error}") from error

    def live(self, live: LiveData, seq: int) -> None:
        """The LIVE_DATA `seq` was published."""
        sample = live.sample
        if sample is None:
            return
        moment = self._now()
        age_s = (moment.boottime_ns - sample.boottime_ns) / 1e9
        shown = aged(live, age_s, self._parameters)
        seen = Seen(live_seq=seq, moment=moment, sample=sample, shown=shown)
        self._publish(self._records.take(seen))

    def said(self, event: GatewayEvent) -> None:
        """This process said that something happened."""
        self._take_event(event, self._now())

    def _on_event(self, message: AnyMessage) -> None:
        header = message.header
        if header.source == self._context.name:
            return
        event = cast("GatewayEvent", message.body)
        moment = Moment(
            boottime_ns=header.boottime_ns, wall_ns=event.wall_ns, time_ok=header.time_ok
        )
        self._take_event(event, moment)

    def _take_event(self, event: GatewayEvent, moment: Moment) -> None:
        text = event.text[:MAX_EVENT_CHARACTERS]
        self._publish([self._records.event(event.code, text, event.severity, moment)])

    def _on_mqtt_status(self, message: AnyMessage) -> None:
        connected = cast("MqttStatus", message.body).connected
        if self._mqtt_connected is not None and connected != self._mqtt_connected:
            self._records.want_keyframe()
        self._mqtt_connected = connected

    def _publish(self, records: Iterable[Critical]) -> None:
        for record in records:
            self._keep(record)
            self._context.bus.publish(CRITICAL, record)

    def _keep(self, record: Critical) -> None:
        """Without the ring the record still goes out, but nobody can ask for it again."""
        if self._ring is None:
            self._open()
        if self._ring is None:
            return
        try:
            self._ring.append(record)
        except (OSError, ValueError) as error:
            self._note_failure(str(error))
            return
        if self._outage.end(self._now_s()) is not None:
            self._context.log.info("critical records are kept in the run folder again")

    def _open(self) -> None:
        now_s = self._now_s()
        if now_s < self._open_at_s:
            return
        self._open_at_s = now_s + RETRY_S
        try:
            self._ring = CriticalRing(self._path)
        except OSError as error:
            self._note_failure(str(error))

    def _note_failure(self, why: str) -> None:
        # A log line alone: an event would be a record itself.
        if self._outage.begin(self._now_s(), why):
            self._context.log.warning(
                "critical records can't be kept in %s: %s; make room in the run folder",
                self._path,
                why,
            )

    def _now(self) -> Moment:
        clock = self._context.clock
        return Moment(
            boottime_ns=clock.boottime_ns(), wall_ns=clock.wall_ns(), time_ok=clock.time_ok()
        )

    def _now_s(self) -> float:
        return self._context.clock.boottime_ns() / 1e9
