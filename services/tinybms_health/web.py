"""What the work loop keeps for the HTTP interface: live report, stream, events, alarms' times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from tinybms_charge.parameters import charge_parameters
from tinybms_health.alarm_book import packed_book, unpacked_book
from tinybms_health.document import StatusDocument
from tinybms_health.event_log import EventLog
from tinybms_health.history import History
from tinybms_health.history_points import Points
from tinybms_health.http_api import HttpApi
from tinybms_health.http_routes import HealthReport, Routes, Sources
from tinybms_health.listener import Listener
from tinybms_health.live_report import LiveReport, LiveView, live_report
from tinybms_health.manifest import manifest
from tinybms_health.metrics import metrics_page
from tinybms_health.stream import StreamHub
from tinybms_messages.status import GatewayEvent
from tinybms_runtime.logs import fields
from tinybms_runtime.runner import ServiceContext
from tinybms_runtime.statefile import read_bytes, write_atomic

LOOK_S: Final = 0.5
"""How often the bus is looked at while nobody watches, and before each answer besides: twice in a
second, so that no second of the history stays empty."""
_TICK_S: Final = 1.0
_STATUS_S: Final = 2.0
_REPEAT_S: Final = 0.9
_ALARMS_FILE: Final = "alarms.json"
_HISTORY_FILE: Final = "history.sqlite"


class Web:
    """Serves what `listener` holds and what `document` says; all but the stream is made on request.

    `on_listening` and `on_refused`: see HttpApi. `on_trouble`: see History.
    """

    def __init__(
        self,
        context: ServiceContext,
        listener: Listener,
        *,
        version: str,
        document: Callable[[], StatusDocument],
        on_listening: Callable[[str], None],
        on_refused: Callable[[str], None],
        on_trouble: Callable[[str, str], None],
    ) -> None:
        self._on_trouble = on_trouble
        self._context = context
        self._listener = listener
        self._parameters = charge_parameters(context.config)
        self._document = document
        self._version = version
        self._events = EventLog(first_id=context.clock.wall_ns() // 1_000_000)
        self._alarms_file = context.paths.run_file(_ALARMS_FILE)
        self._alarms = unpacked_book(read_bytes(self._alarms_file))
        self._hub = StreamHub(self._on_watched)
        self._published_s = 0.0
        self._points = Points()
        self._history = self._new_history() if context.config.health.history else None
        routes = Routes(self._sources(), context.loop, self._hub, version)
        self._http = HttpApi(
            routes.application(),
            context.config.health.listen,
            context.loop,
            token_file=context.config.health.token_file,
            on_listening=on_listening,
            on_refused=on_refused,
        )

    def start(self) -> None:
        """Begin to listen."""
        self._context.bus.look_each(LOOK_S)
        if self._history is not None:
            self._history.start()
        self._http.start()
        self._context.loop.every(_TICK_S, self._tick, first_s=_TICK_S, early_s=_TICK_S / 4)
        self._context.loop.every(_STATUS_S, self._stream_status, first_s=_STATUS_S)

    def stop(self) -> None:
        """Close all connections and keep what was not yet written."""
        self._http.stop()
        if self._history is not None:
            self._history.add(self._points.close())
            self._history.stop()

    def on_live(self) -> None:
        """A new LIVE_DATA is held."""
        if self._history is None and not self._hub.watched:
            return
        live = self._live()
        if self._history is not None:
            wall_s = self._context.clock.wall_ns() / 1e9
            self._history.add(self._points.add(live, wall_s))
        if self._hub.watched:
            self._stream_live(live)

    def on_event(self, source: str, event: GatewayEvent) -> None:
        """Something happened in the gateway."""
        numbered = self._events.add(source, event)
        if self._history is not None:
            self._history.add_event(numbered)
        if self._hub.watched:
            self._hub.publish_event(msgspec.json.encode(numbered))

    def _sources(self) -> Sources:
        encode = msgspec.json.encode
        return Sources(
            status=lambda: encode(self._newest_document()),
            health=lambda: encode(
                HealthReport(status=self._newest_document().status, version=self._version)
            ),
            live=lambda: encode(self._newest_live()),
            manifest=lambda: encode(manifest(self._version, self._context.config.gateway.device)),
            metrics=lambda: metrics_page(self._newest_document(), self._live()),
            history=self._history.ask if self._history is not None else None,
            events=lambda after, limit: encode(self._events.report(after=after, limit=limit)),
        )

    def _new_history(self) -> History:
        return History(
            self._context.paths.state_file(_HISTORY_FILE),
            self._context.loop,
            self._context.clock,
            on_trouble=self._on_trouble,
            on_events=self._events.restore,
        )

    def _newest_document(self) -> StatusDocument:
        self._context.bus.look()
        return self._document()

    def _newest_live(self) -> LiveReport:
        self._context.bus.look()
        return self._live()

    def _live(self) -> LiveReport:
        clock = self._context.clock
        return live_report(
            LiveView(
                device=self._context.config.gateway.device,
                parameters=self._parameters,
                latest=self._listener.live,
                boottime_ns=clock.boottime_ns(),
                wall_ns=clock.wall_ns(),
                time_ok=clock.time_ok(),
                alarms_since=self._alarms.since_ns,
            )
        )

    def _on_watched(self) -> None:
        """Called by the server's thread."""
        self._context.loop.from_thread(self._watch)

    def _watch(self) -> None:
        watched = self._hub.watched
        self._context.bus.look_each(None if watched else LOOK_S)
        if watched:
            self._stream_live(self._live())
            self._stream_status()

    def _tick(self) -> None:
        live = self._live()
        if self._alarms.note({alarm.name for alarm in live.alarms}, self._context.clock.wall_ns()):
            self._keep_alarms()
        if self._hub.watched and self._now_s() - self._published_s > _REPEAT_S:
            self._stream_live(live)

    def _keep_alarms(self) -> None:
        try:
            write_atomic(self._alarms_file, packed_book(self._alarms), durable=False)
        except OSError as error:
            text = f"{self._alarms_file}: {error.strerror}"
            self._context.log.warning("times of alarms not stored", extra=fields(error=text))

    def _stream_live(self, live: LiveReport) -> None:
        self._published_s = self._now_s()
        self._hub.publish("live", msgspec.json.encode(live))

    def _stream_status(self) -> None:
        if self._hub.watched:
            document = msgspec.structs.replace(self._document(), events=())
            self._hub.publish("status", msgspec.json.encode(document))

    def _now_s(self) -> float:
        return self._context.clock.boottime_ns() / 1e9
