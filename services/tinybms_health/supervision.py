"""A thread that asks supervisord, so that the loop never waits for it.

Each call also wakes supervisord's own loop, which looks at its children only once a second. So it
is called as soon as one of them ends, and some times more until the new one is known: that is what
brings a killed program back in a third of the time.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tinybms_health.exits import ExitWatch
from tinybms_health.watchdog import Action, Deed
from tinybms_runtime.loop import Loop
from tinybms_runtime.supervisor import (
    Program,
    SupervisorClient,
    SupervisorError,
    SupervisorUnreachableError,
)

PERIOD_S: Final = 1.0
HURRY_PERIOD_S: Final = 0.1
HURRY_S: Final = 2.0
"""So long after the end of a process supervisord is asked more often."""
_STOP_S: Final = 2.5
_DEEDS_AT_MOST: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What supervisord said; `programs` is None when it did not, with the reason in `error`."""

    programs: dict[str, Program] | None
    pid: int = 0
    hung: bool = False
    error: str = ""


class Supervision:
    """Polls supervisord and does to programs what the watchdog wants.

    `on_answer` and `on_failed` are run by the loop, never by the thread.
    """

    def __init__(
        self,
        socket_path: Path,
        loop: Loop,
        *,
        on_answer: Callable[[Answer], None],
        on_failed: Callable[[Action, str], None],
    ) -> None:
        self._client = SupervisorClient(socket_path)
        self._loop = loop
        self._on_answer = on_answer
        self._on_failed = on_failed
        self._deeds: queue.Queue[Action] = queue.Queue(_DEEDS_AT_MOST)
        self._stopping = threading.Event()
        self._exits = ExitWatch()
        self._hurry_until_s = 0.0
        self._taken = threading.Event()
        self._taken.set()
        self._pid = 0
        self._pid_of_connection = 0
        self._thread = threading.Thread(target=self._run, name="supervision", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; waits until its present call is over."""
        self._stopping.set()
        self._exits.ring()
        self._thread.join(_STOP_S)
        if not self._thread.is_alive():
            self._exits.close()

    def order(self, action: Action) -> None:
        """Have a deed done soon; forgotten when too many wait (the watchdog asks again)."""
        if not (self._stopping.is_set() or self._deeds.full()):
            self._deeds.put_nowait(action)
            self._exits.ring()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._do_deeds()
            answer = self._ask()
            if self._taken.is_set():
                self._taken.clear()
                self._loop.from_thread(partial(self._hand_over, answer))
            self._wait(answer)
        self._client.close()

    def _wait(self, answer: Answer) -> None:
        """Until it is time to ask again."""
        if answer.programs is not None:
            self._exits.watch(program.pid for program in answer.programs.values() if program.pid)
        hurried = time.monotonic() < self._hurry_until_s
        if self._exits.wait(HURRY_PERIOD_S if hurried else PERIOD_S):
            self._hurry_until_s = time.monotonic() + HURRY_S

    def _ask(self) -> Answer:
        try:
            programs = self._client.programs()
            if self._client.connections != self._pid_of_connection:
                self._pid = self._client.pid()
                self._pid_of_connection = self._client.connections
            return Answer(programs=programs, pid=self._pid)
        except SupervisorUnreachableError as error:
            return Answer(programs=None, hung=error.hung, error=str(error))
        except SupervisorError as error:
            return Answer(programs=None, error=str(error))

    def _hand_over(self, answer: Answer) -> None:
        self._taken.set()
        self._on_answer(answer)

    def _do_deeds(self) -> None:
        while not self._deeds.empty():
            action = self._deeds.get_nowait()
            try:
                if action.deed is Deed.KILL:
                    self._client.kill(action.name)
                elif action.deed is Deed.START:
                    self._client.start(action.name)
            except SupervisorError as error:
                self._loop.from_thread(partial(self._on_failed, action, str(error)))
