"""One thread, one wait, timers: the work loop of every process.

Sockets of ZeroMQ, file descriptors and timers share one `select`, the only wait of the standard
library that is finer than a millisecond. A ZeroMQ socket has a descriptor that tells of news once
and not of messages left over, so the loop asks the socket itself after each call that may have
taken the news away. That is half the work of `zmq.Poller`, which asks each socket twice a wait.

The loop that works is the loop that beats: the heartbeat is one of its timers, so a process whose
loop hangs falls silent.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import zmq

from tinybms_runtime.clock import Clock

Action = Callable[[], None]

LONGEST_WAIT_S: Final = 1.0
"""The loop looks at its clock at least this often, whatever its timers say, and at every socket: a
message that nothing told of waits no longer."""


class Timer:
    """A planned action; `cancel` it to take it back."""

    __slots__ = ("action", "due_ns", "early_ns", "period_ns")

    def __init__(
        self, due_ns: int, period_ns: int | None, action: Action, *, early_ns: int = 0
    ) -> None:
        self.due_ns = due_ns
        self.period_ns = period_ns
        self.early_ns = early_ns
        self.action: Action | None = action

    def cancel(self) -> None:
        """Never run again; may be called at any time and more than once."""
        self.action = None


@dataclass(frozen=True, slots=True)
class _Watched:
    on_ready: Action
    socket: zmq.Socket[bytes] | None
    """The socket of ZeroMQ behind the descriptor, if there is one."""


class Loop:
    """Runs callbacks until stopped. Only `from_thread` may be called by another thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watched: dict[int, _Watched] = {}
        self._descriptors: dict[zmq.Socket[bytes] | int, int] = {}
        self._for_writing: list[int] = []
        self._doubtful: set[int] = set()
        """Descriptors of sockets that may hold messages without telling of them."""
        self._all_seen_ns = clock.boottime_ns()
        self._timers: list[tuple[int, int, Timer]] = []
        self._early: list[Timer] = []
        """Those that may run before their time when the loop is awake anyway."""
        self._order = itertools.count()
        self._stopping = False
        self._worst_lag_ns = 0
        self._handed_over: deque[Action] = deque()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.watch(self._wake_fd, self._run_handed_over)

    def watch(
        self, source: zmq.Socket[bytes] | int, on_ready: Action, *, write: bool = False
    ) -> None:
        """Call `on_ready` whenever `source` can be read (or, with `write`, read or written).

        Level triggered: what was not read is announced again; `write` is for descriptors only. A
        descriptor must be unwatched before it is closed, or the next wait ends with an OSError.
        """
        self.unwatch(source)
        socket = None if isinstance(source, int) else source
        descriptor = source if isinstance(source, int) else int(source.getsockopt(zmq.FD))
        self._descriptors[source] = descriptor
        self._watched[descriptor] = _Watched(on_ready, socket)
        if write:
            self._for_writing.append(descriptor)
        if socket is not None:
            self._doubtful.add(descriptor)

    def unwatch(self, source: zmq.Socket[bytes] | int) -> None:
        """Forget `source`; nothing happens when it is not watched."""
        descriptor = self._descriptors.pop(source, None)
        if descriptor is not None:
            del self._watched[descriptor]
            self._doubtful.discard(descriptor)
            if descriptor in self._for_writing:
                self._for_writing.remove(descriptor)

    def look_at(self, socket: zmq.Socket[bytes]) -> None:
        """Look by itself whether a watched socket has messages.

        To be called after any use of it outside its `on_ready`: sending may take away the news.
        """
        self._doubtful.add(self._descriptors[socket])

    def every(
        self, period_s: float, action: Action, *, first_s: float = 0.0, early_s: float = 0.0
    ) -> Timer:
        """Run `action` each `period_s`, for the first time in `first_s`.

        Due times lie on a fixed grid. Slots that passed while the process was stopped or busy are
        skipped: no burst makes up for them. What need not be on the dot may run up to `early_s`
        before its time when the loop is awake for something else, except for the first time: a
        wake-up of its own costs more than most actions.
        """
        due_ns = self._clock.boottime_ns() + round(first_s * 1e9)
        return self._plan(
            Timer(due_ns, round(period_s * 1e9), action, early_ns=round(early_s * 1e9))
        )

    def after(self, delay_s: float, action: Action) -> Timer:
        """Run `action` once, in `delay_s`."""
        return self._plan(Timer(self._clock.boottime_ns() + round(delay_s * 1e9), None, action))

    def from_thread(self, action: Action) -> None:
        """Have the loop run `action` soon. Safe from other threads and signal handlers."""
        self._handed_over.append(action)
        os.eventfd_write(self._wake_fd, 1)

    def run(self) -> None:
        """Work until `stop`."""
        while not self._stopping:
            self._turn(LONGEST_WAIT_S)

    def run_until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Work until `done()` or for `timeout_s`, also after `stop`; the last value of `done()`."""
        end_ns = self._clock.boottime_ns() + round(timeout_s * 1e9)
        while not done():
            left_s = (end_ns - self._clock.boottime_ns()) / 1e9
            if left_s <= 0:
                return False
            self._turn(min(left_s, LONGEST_WAIT_S))
        return True

    def stop(self) -> None:
        """Let `run` return after the callback that is running now."""
        self._stopping = True

    def take_worst_lag_ms(self) -> float:
        """How late a timer ran at worst since the last call."""
        lag_ns, self._worst_lag_ns = self._worst_lag_ns, 0
        return lag_ns / 1e6

    def close(self) -> None:
        """Free the loop's own descriptor."""
        self.unwatch(self._wake_fd)
        os.close(self._wake_fd)

    def _plan(self, timer: Timer) -> Timer:
        heapq.heappush(self._timers, (timer.due_ns, next(self._order), timer))
        return timer

    def _turn(self, longest_s: float) -> None:
        """Wait for the next thing to do, at most `longest_s`, and do what is due."""
        full = self._full_sockets()
        for descriptor in full | self._select(0.0 if full else self._wait_s(longest_s)):
            watched = self._watched.get(descriptor)
            if watched is None:
                continue
            if watched.socket is not None:
                if descriptor not in full and not _has_messages(watched.socket):
                    continue
                self._doubtful.add(descriptor)
            watched.on_ready()
        self._run_timers()

    def _select(self, wait_s: float) -> set[int]:
        """Wait at most `wait_s` for the descriptors; those that tell of something."""
        readable, writable, _ = select.select(self._watched, self._for_writing, (), wait_s)
        return {*readable, *writable}

    def _full_sockets(self) -> set[int]:
        """The doubtful sockets that do hold messages; none is doubtful any more."""
        now_ns = self._clock.boottime_ns()
        if now_ns - self._all_seen_ns >= LONGEST_WAIT_S * 1e9:
            self._all_seen_ns = now_ns
            self._doubtful |= self._watched.keys()
        doubtful, self._doubtful = self._doubtful, set()
        return {
            descriptor
            for descriptor in doubtful
            if (socket := self._watched[descriptor].socket) is not None and _has_messages(socket)
        }

    def _wait_s(self, longest_s: float) -> float:
        while self._timers and not self._holds(self._timers[0]):
            heapq.heappop(self._timers)
        if not self._timers:
            return longest_s
        left_s = (self._timers[0][0] - self._clock.boottime_ns()) / 1e9
        return min(longest_s, max(0.0, left_s))

    def _run_timers(self) -> None:
        """Run each timer that is due now, once, and those that may run before their time."""
        now_ns = self._clock.boottime_ns()
        while self._timers and self._timers[0][0] <= now_ns:
            entry = heapq.heappop(self._timers)
            if self._holds(entry):
                self._run_timer(entry[2], now_ns)
        for timer in tuple(self._early):
            if timer.action is None:
                self._early.remove(timer)
            elif timer.due_ns - timer.early_ns <= now_ns:
                self._run_timer(timer, now_ns)

    @staticmethod
    def _holds(entry: tuple[int, int, Timer]) -> bool:
        """Whether a timer is still planned for this time: neither cancelled nor run early."""
        return entry[2].action is not None and entry[0] == entry[2].due_ns

    def _run_timer(self, timer: Timer, now_ns: int) -> None:
        action = timer.action
        if action is None:
            return
        self._worst_lag_ns = max(self._worst_lag_ns, now_ns - timer.due_ns)
        if timer.period_ns is not None:
            missed = max(0, (now_ns - timer.due_ns) // timer.period_ns)
            timer.due_ns += (missed + 1) * timer.period_ns
            self._plan(timer)
            if timer.early_ns and timer not in self._early:
                self._early.append(timer)
        action()

    def _run_handed_over(self) -> None:
        os.eventfd_read(self._wake_fd)
        while self._handed_over:
            self._handed_over.popleft()()


def _has_messages(socket: zmq.Socket[bytes]) -> bool:
    return bool(int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)
