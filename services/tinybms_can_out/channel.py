"""Keeps the CAN channel open: back-off, one log line per outage, bus-off, counters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tinybms_can_out.adapter import (
    BUS_OFF,
    RESTARTED,
    Adapter,
    AdapterGone,
    FrameNotSent,
)
from tinybms_can_out.core import CanFrame
from tinybms_runtime.backoff import Backoff
from tinybms_runtime.outage import Outage
from tinybms_runtime.runner import ServiceContext

REOPEN_AFTER_S: Final = 10.0
"""A channel that took no frame for so long is closed and opened again."""

_FIRST_RETRY_S: Final = 0.25
_LONGEST_RETRY_S: Final = 5.0
_REFUSED: Final = "the adapter could not send frames (no other node on the bus, or bus off?)"


class Channel:
    """Sends and receives while it can; `on_frame` gets what comes, `on_open` each new start."""

    def __init__(
        self,
        *,
        context: ServiceContext,
        adapter: Adapter,
        on_frame: Callable[[CanFrame], None],
        on_open: Callable[[], None],
    ) -> None:
        self._context = context
        self._adapter = adapter
        self._on_frame = on_frame
        self._on_open = on_open
        self._backoff = Backoff(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        self._outage = Outage()
        self._watched: int | None = None
        self._opens = 0
        self._failing_since_s: float | None = None
        self.is_open = False
        self.bus_off = False
        self.refusing = False
        self.send_errors = 0
        self.last_error = ""

    @property
    def reopened(self) -> int:
        """How often the channel was opened again."""
        return max(0, self._opens - 1)

    @property
    def failing(self) -> bool:
        """Whether the channel is open but did not take the last frame, or takes them in vain."""
        return self._failing_since_s is not None or self.refusing

    def open(self) -> None:
        """Open the channel, now or as soon as it can be."""
        try:
            self._adapter.open()
        except AdapterGone as error:
            self._begin_outage("can_adapter_lost", str(error))
            self._retry()
            return
        self.is_open = True
        self._opens += 1
        self._failing_since_s = None
        self.bus_off = False
        self.refusing = False
        self._listen()
        if not self._outage.active:
            can = self._context.config.can
            self._context.log.info("CAN channel opened: %s %s", can.interface, can.channel)
        self._on_open()

    def close(self) -> None:
        """Free the device and plan nothing more."""
        self._stop_listening()
        self._adapter.close()
        self.is_open = False

    def send(self, frame: CanFrame) -> bool:
        """Whether the frame left. Never waits for longer than the adapter's write limit."""
        if not self.is_open:
            return False
        try:
            self._adapter.send(frame)
        except FrameNotSent as error:
            self._not_sent(str(error))
            return False
        except AdapterGone as error:
            self._gone(str(error))
            return False
        self._works()
        return True

    def look(self) -> None:
        """Take what has come, where no descriptor tells of it; to be called each now and then."""
        if self.is_open and self._watched is None:
            self._receive()

    def _receive(self) -> None:
        try:
            received = self._adapter.receive()
        except AdapterGone as error:
            self._gone(str(error))
            return
        self._count_refused()
        for item in received:
            if item.is_error:
                self._error_frame(item.frame.id)
            else:
                self.bus_off = False
                self._on_frame(item.frame)

    def _count_refused(self) -> None:
        refused = self._adapter.take_refused()
        if refused:
            self.send_errors += refused
            self.last_error = _REFUSED
        refusing = self._adapter.refusing()
        if refusing != self.refusing:
            self.refusing = refusing
            if refusing:
                self._context.event("can_send_failed", f"CAN: {_REFUSED}; trying on", "warning")
            else:
                self._context.event("can_restored", "CAN: the adapter sends frames again")
                self._on_open()

    def _error_frame(self, bits: int) -> None:
        if bits & RESTARTED:
            self.bus_off = False
        if bits & BUS_OFF and not self.bus_off:
            self.bus_off = True
            self.last_error = "bus off"
            self._context.event(
                "can_bus_off",
                "CAN bus off: check wiring, termination, bit rate, and restart-ms of the interface",
                "warning",
            )

    def _not_sent(self, reason: str) -> None:
        self.send_errors += 1
        self.last_error = reason
        now_s = self._now_s()
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        self._begin_outage("can_send_failed", reason)
        if now_s - self._failing_since_s >= REOPEN_AFTER_S:
            self._shut_and_retry()

    def _gone(self, reason: str) -> None:
        self.send_errors += 1
        self._begin_outage("can_adapter_lost", reason)
        self._shut_and_retry()

    def _works(self) -> None:
        self._failing_since_s = None
        summary = self._outage.end(self._now_s())
        if summary is None:
            return
        self._backoff.reset()
        text = f"CAN works again after {summary.duration_s:.1f} s ({summary.failures} failures)"
        self._context.event("can_restored", text)
        self._on_open()

    def _begin_outage(self, code: str, reason: str) -> None:
        self.last_error = reason
        first = not self._outage.active
        self._outage.begin(self._now_s(), reason)
        if first:
            self._context.event(code, f"CAN: {reason}; retrying", "warning")

    def _shut_and_retry(self) -> None:
        self.close()
        self._retry()

    def _retry(self) -> None:
        self._context.loop.after(self._backoff.next_delay_s(), self.open)

    def _listen(self) -> None:
        self._watched = self._adapter.fileno()
        if self._watched is not None:
            self._context.loop.watch(self._watched, self._receive)

    def _stop_listening(self) -> None:
        if self._watched is not None:
            self._context.loop.unwatch(self._watched)
            self._watched = None

    def _now_s(self) -> float:
        return self._context.clock.boottime_ns() / 1e9
