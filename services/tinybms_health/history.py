"""The history's thread: writes batches, answers questions, and never lets the loop wait for a disk.

A disk that fails costs the history alone: it is said once, and tried again each minute.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from tinybms_health.event_log import NumberedEvent
from tinybms_health.history_points import COLUMNS, Point, Question
from tinybms_health.history_store import HistoryStore, StoreError
from tinybms_health.status import iso_time
from tinybms_runtime.clock import Clock
from tinybms_runtime.loop import Loop

BATCH_S: Final = 60.0
"""How often a batch is written: what a power cut may cost."""
_FRESH_S: Final = 5.0
"""A question has what waits written first, but not more often than this."""
_POINTS_WAIT_AT_MOST: Final = 8000
_EVENTS_WAIT_AT_MOST: Final = 1000
_QUESTIONS_AT_MOST: Final = 16
_STOP_S: Final = 2.0
_MEASURED_FROM_S: Final = 600.0
_DAY_S: Final = 86_400.0


class HistoryReport(msgspec.Struct, frozen=True, kw_only=True):
    """Points as rows: Unix time in seconds, then the figures of `columns`; None where not known.

    Intervals without data have no row. `stored_bytes`: size of the file; `written_bytes_per_day`:
    what this process has written to disk, scaled to a day; None in its first ten minutes.
    """

    schema: int = 1
    from_: str = msgspec.field(name="from")
    to: str
    step_s: int
    columns: tuple[str, ...]
    rows: list[tuple[float | None, ...]]
    stored_bytes: int
    written_bytes_per_day: int | None


class HistoryOffError(Exception):
    """No answer now; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    question: Question
    answer: Future[bytes]


class History:
    """Owns the file at `path`. The callbacks are run by the loop.

    `on_trouble`: (code, text) of what went wrong or is well again. `on_events`: what was stored by
    the run before.
    """

    def __init__(
        self,
        path: Path,
        loop: Loop,
        clock: Clock,
        *,
        on_trouble: Callable[[str, str], None],
        on_events: Callable[[list[NumberedEvent]], None],
    ) -> None:
        self._path = path
        self._loop = loop
        self._clock = clock
        self._on_trouble = on_trouble
        self._on_events = on_events
        self._points: deque[Point] = deque(maxlen=_POINTS_WAIT_AT_MOST)
        self._events: deque[NumberedEvent] = deque(maxlen=_EVENTS_WAIT_AT_MOST)
        self._asked: queue.Queue[_Ask | None] = queue.Queue(_QUESTIONS_AT_MOST)
        self._store: HistoryStore | None = None
        self._restored = False
        self._trouble = "it is not open yet"
        self._stopping = threading.Event()
        self._began_s = self._written_s = self._now_s()
        self._first_bytes = written_bytes()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def start(self) -> None:
        """Open the file and begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits and close the file; waits two seconds at most."""
        self._stopping.set()
        if not self._asked.full():
            self._asked.put_nowait(None)
        self._thread.join(_STOP_S)

    def add(self, points: list[Point]) -> None:
        """Store these with the next batch; the oldest are given up when too many wait."""
        self._points.extend(points)

    def add_event(self, event: NumberedEvent) -> None:
        """Store this with the next batch."""
        self._events.append(event)

    def ask(self, asked: Question) -> Future[bytes]:
        """The report as JSON; HistoryOffError when it can't be had. Safe from other threads."""
        answer: Future[bytes] = Future()
        try:
            self._asked.put_nowait(_Ask(question=asked, answer=answer))
        except queue.Full:
            answer.set_exception(HistoryOffError("too many questions at once; try again later"))
        return answer

    def _run(self) -> None:
        self._open()
        while not self._stopping.is_set():
            left_s = self._written_s + BATCH_S - self._now_s()
            try:
                ask = self._asked.get(timeout=max(0.0, left_s))
            except queue.Empty:
                self._open()
                self._write()
                continue
            if ask is not None and ask.answer.set_running_or_notify_cancel():
                self._answer(ask)
        self._write()
        if self._store is not None:
            self._store.close()

    def _open(self) -> None:
        if self._store is not None:
            return
        try:
            store = HistoryStore(self._path)
            stored = store.events()
        except StoreError as error:
            self._fail(str(error))
            return
        self._store = store
        if store.set_aside:
            self._say("history_damaged", store.set_aside)
        if not self._restored:
            self._restored = True
            self._loop.from_thread(partial(self._on_events, stored))

    def _write(self) -> None:
        self._written_s = self._now_s()
        points, events = list(self._points), list(self._events)
        if self._store is None or not (points or events):
            return
        try:
            self._store.write(points, events)
        except StoreError as error:
            # Opened anew by the next batch: that is what finds a damaged file and moves it aside.
            self._store.close()
            self._store = None
            self._fail(str(error))
            return
        for waiting, done in ((self._points, points), (self._events, events)):
            for _ in range(min(len(waiting), len(done))):
                waiting.popleft()
        if self._trouble:
            if self._trouble != "it is not open yet":
                self._say("history_stored", "the history is stored again")
            self._trouble = ""

    def _answer(self, ask: _Ask) -> None:
        if self._now_s() - self._written_s > _FRESH_S:
            self._write()
        if self._store is None:
            ask.answer.set_exception(HistoryOffError(f"no history: {self._trouble}"))
            return
        try:
            rows = self._store.points(ask.question)
        except StoreError as error:
            ask.answer.set_exception(HistoryOffError(str(error)))
            self._store.close()
            self._store = None
            self._fail(str(error))
            return
        asked = ask.question
        report = HistoryReport(
            from_=iso_time(asked.from_s * 1_000_000_000),
            to=iso_time(asked.to_s * 1_000_000_000),
            step_s=asked.step_s,
            columns=("time", *(column.name for column in COLUMNS)),
            rows=[(time_s, *values) for time_s, values in rows],
            stored_bytes=self._store.size_bytes,
            written_bytes_per_day=self._bytes_per_day(),
        )
        ask.answer.set_result(msgspec.json.encode(report))

    def _bytes_per_day(self) -> int | None:
        now = written_bytes()
        passed_s = self._now_s() - self._began_s
        if now is None or self._first_bytes is None or passed_s < _MEASURED_FROM_S:
            return None
        return round((now - self._first_bytes) / passed_s * _DAY_S)

    def _fail(self, text: str) -> None:
        if text != self._trouble:
            self._trouble = text
            self._say("history_off", f"the history is not stored: {text}; tried again each minute")

    def _say(self, code: str, text: str) -> None:
        self._loop.from_thread(partial(self._on_trouble, code, text))

    def _now_s(self) -> float:
        return self._clock.boottime_ns() / 1e9


def written_bytes() -> int | None:
    """What this process has had written to disk, as the kernel counts it; None where it doesn't."""
    try:
        text = Path("/proc/self/io").read_text(encoding="ascii")
    except OSError:
        return None
    figures = dict(line.split(": ") for line in text.splitlines() if ": " in line)
    return int(figures["write_bytes"]) if "write_bytes" in figures else None
