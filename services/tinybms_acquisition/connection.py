"""Keeps the port open and the poller busy: the shell around the pure line side.

Opens the port by its configured path, or finds it again; closes it at the first sign that it is
gone and tries again with back-off. Each outage is one log line at its begin and one at its end.
"""

from __future__ import annotations

from typing import Final, Protocol

from tinybms_acquisition.poller import Poller, Turn
from tinybms_acquisition.ports import PortError, SerialPort, candidates
from tinybms_runtime.backoff import Backoff
from tinybms_runtime.loop import Timer
from tinybms_runtime.outage import Outage
from tinybms_runtime.runner import ServiceContext

FIRST_RETRY_S: Final = 0.2
LONGEST_RETRY_S: Final = 5.0
LOOK_AFTER_S: Final = 0.02
"""An answer comes in many pieces of a few bytes. Waking for each of them costs more than the work
that it brings, so the port is left alone until the answer can be whole, and then heard of when it
is. What is not whole so long after that is damaged or a refusal; from then on each piece counts."""


class Listener(Protocol):
    """Who works with what comes from the line."""

    def on_turn(self, turn: Turn) -> None:
        """Blocks were read, or a poll failed."""

    def on_closed(self) -> None:
        """The port is gone."""


class Connection:
    """Owns the port. `listener` hears of every turn at once."""

    def __init__(self, context: ServiceContext, poller: Poller, listener: Listener) -> None:
        self.poller = poller
        self.reopened = 0
        self.detail = ""
        """Why there is no port, in words."""
        self._context = context
        self._listener = listener
        self._port: SerialPort | None = None
        self._backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        self._outage = Outage()
        self._timer: Timer | None = None
        self._look: Timer | None = None
        """Set while only a whole answer is heard of."""
        self._due_s = 0.0
        self._tries = 0
        self._opened_before = False

    @property
    def path(self) -> str:
        """The open port's path, else the configured one."""
        return self._port.path if self._port else self._context.config.acquisition.port

    @property
    def is_open(self) -> bool:
        """Whether there is a port."""
        return self._port is not None

    def open(self) -> None:
        """Try to open the port now; keeps trying by itself."""
        self._cancel()
        path = self._next_path()
        try:
            self._port = SerialPort(path)
            self._context.loop.watch(self._port.fileno(), self._on_readable)
        except PortError as error:
            self._failed(str(error))
            return
        if self._opened_before:
            self.reopened += 1
        self._opened_before = True
        self.poller.connect(self._now_s())
        self.work()

    def close(self, reason: str, *, retry: bool = True) -> None:
        """Close the port, and try again in a while unless told not to."""
        self._cancel()
        self._forget_look()
        if self._port is not None:
            self._context.loop.unwatch(self._port.fileno())
            self._port.close()
            self._port = None
            self._listener.on_closed()
        if retry:
            self._failed(reason)

    def work(self) -> None:
        """Let the poller do what is due and plan the next step."""
        if self._port is None:
            return
        if not self.poller.line.waiting:
            # What was not asked for is heard of only when it is long: it must not pass for the
            # beginning of the next answer.
            self._read()
        if self._port is not None:
            self._handle(self.poller.step(self._now_s()))

    def check_path(self) -> None:
        """The BMS is silent: open again when the path leads to another device by now."""
        if self._port is not None and self._port.moved:
            self._backoff.reset()
            self.close(f"{self._port.path}: leads to another device now")

    def search_on(self) -> None:
        """The battery is not behind this port: try the next, if this one was only a guess."""
        configured = self._context.config.acquisition.port
        if self._port is not None and self._port.path != configured:
            self.close(f"{configured} is gone and the battery not yet found behind another adapter")

    def steady(self) -> None:
        """The right battery answers: the next outage begins with short delays."""
        self._backoff.reset()

    def _on_readable(self) -> None:
        turn = self._read()
        if turn is not None:
            self._handle(turn)

    def _read(self) -> Turn | None:
        """What the poller makes of the bytes that have come; None without a port."""
        if self._port is None:
            return None
        try:
            data = self._port.read()
        except PortError as error:
            self.close(str(error))
            return None
        return self.poller.receive(data, self._now_s())

    def _handle(self, turn: Turn) -> None:
        if not self._go_on(turn.output):
            return
        if turn.blocks or turn.failed is not None:
            self._note_open()
            self._listener.on_turn(turn)
        self._plan()

    def _go_on(self, output: bytes) -> bool:
        """Write, and say when to hear of the port again; False when the port is gone."""
        if self._port is None:
            return False
        line = self.poller.line
        try:
            if output:
                self._port.announce_at(line.whole_bytes)
                self._port.write(output)
                self._look_later(line.whole_from_s - self._now_s())
            elif line.waiting:
                self._port.announce_at(1)
            else:
                self._forget_look()
        except PortError as error:
            self.close(str(error))
            return False
        return True

    def _look_later(self, delay_s: float) -> None:
        """Leave the port alone until the answer can be whole."""
        self._forget_look()
        if self._port is None:
            return
        self._context.loop.unwatch(self._port.fileno())
        self._look = self._context.loop.after(max(0.0, delay_s), self._listen)

    def _listen(self) -> None:
        """Hear of the port: of a whole answer at first, later of each piece."""
        if self._port is not None:
            self._context.loop.watch(self._port.fileno(), self._on_readable)
            self._look = self._context.loop.after(LOOK_AFTER_S, self._on_readable)

    def _forget_look(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _plan(self) -> None:
        """Set the timer to the next thing that the poller wants to do."""
        if self._port is None:
            return
        now_s = self._now_s()
        due_s = self.poller.due_s(now_s)
        if self._timer is not None and due_s == self._due_s:
            return  # a part of an answer moves no deadline
        self._cancel()
        self._due_s = due_s
        self._timer = self._context.loop.after(max(0.0, due_s - now_s), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self.work()

    def _failed(self, reason: str) -> None:
        self.detail = reason
        if self._outage.begin(self._now_s(), reason):
            self._context.event("port_lost", reason, "warning")
        self._timer = self._context.loop.after(self._backoff.next_delay_s(), self.open)

    def _note_open(self) -> None:
        """The port has lasted for a whole poll: its outage is over."""
        self.detail = ""
        summary = self._outage.end(self._now_s())
        if summary is not None:
            text = f"{self.path} is open after {summary.duration_s:.1f} s"
            self._context.event("port_opened", f"{text} and {summary.failures} failures")

    def _next_path(self) -> str:
        settings = self._context.config.acquisition
        paths = candidates(
            settings.port,
            settings.usb_serial,
            search_all=settings.bms_serial is not None,
            taken=(self._context.config.can.channel,),
        )
        self._tries += 1
        return paths[self._tries % len(paths)]

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _now_s(self) -> float:
        return self._context.clock.boottime_ns() / 1e9
