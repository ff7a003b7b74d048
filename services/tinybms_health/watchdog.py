"""Which program hangs, and what may be done about it: a pure rule.

A program is hung when its heartbeat is 10 s old while others beat. When nobody's heartbeat arrives
any more, ours included, it is the broker: then the last beats of all are about as old, and the one
that happens to be 10 s old first is as innocent as the others. Silence is only held against a
program for the time in which we could have heard it: since it started, since the broker started,
since we ourselves went on after a stop. So a stopped or suspended health process blames nobody for
its own gap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tinybms_runtime.backoff import Backoff

SILENT_AFTER_S: Final = 10.0
HEARD_WITHIN_S: Final = 5.0
"""Who was heard this lately still beats; each does so once a second, give or take."""
YOUNG_FOR_S: Final = 15.0
"""A program this young is left alone: it may still be starting, or its log be full of reasons."""
OWN_GAP_S: Final = 3.0
"""When our own steps lie further apart than this, we were stopped."""
KILLS_AT_MOST: Final = 3
KILLS_WITHIN_S: Final = 3600.0
FIRST_RETRY_S: Final = 5.0
LONGEST_RETRY_S: Final = 300.0
WELL_AFTER_S: Final = 60.0
"""A program that ran this long starts with short pauses again."""

BROKER: Final = "broker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A program now. `pid` is 0 when it does not run; `heartbeat_age_s` None without any."""

    name: str
    running: bool
    fatal: bool
    pid: int
    heartbeat_age_s: float | None


class Deed(StrEnum):
    """What the watchdog wants."""

    KILL = "kill"
    START = "start"
    REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One deed on a program, with its reason in words."""

    deed: Deed
    name: str
    text: str


class _Record:
    """What is remembered of a program."""

    def __init__(self, retry: Backoff) -> None:
        self.pid = 0
        self.seen_s = 0.0
        self.kills: deque[float] = deque(maxlen=KILLS_AT_MOST)
        self.reported = False
        self.retry = retry
        self.retry_at_s: float | None = None


def _retry() -> Backoff:
    return Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)


class Watchdog:
    """Judges all programs once a second. `own_name` is never killed: we can't be hung and judge."""

    def __init__(self, *, own_name: str, new_retry: Callable[[], Backoff] = _retry) -> None:
        self._own_name = own_name
        self._new_retry = new_retry
        self._records: dict[str, _Record] = {}
        self._last_step_s: float | None = None
        self._going_since_s = 0.0

    def step(self, now_s: float, sights: Sequence[Sight] | None) -> list[Action]:
        """What to do now; `sights` is None while supervisord does not answer."""
        if self._last_step_s is None or now_s - self._last_step_s > OWN_GAP_S:
            self._going_since_s = now_s
        self._last_step_s = now_s
        if sights is None:
            return []
        for sight in sights:
            self._note(now_s, sight)
        actions = [
            action for sight in sights if (action := self._restart_of(now_s, sight)) is not None
        ]
        for sight in self._hung(now_s, {sight.name: sight for sight in sights}):
            action = self._kill_of(now_s, sight)
            if action is not None:
                actions.append(action)
        return actions

    def _note(self, now_s: float, sight: Sight) -> None:
        if sight.name not in self._records:
            self._records[sight.name] = _Record(self._new_retry())
        record = self._records[sight.name]
        if sight.pid != record.pid:
            record.pid = sight.pid
            record.seen_s = now_s
        if sight.running and now_s - record.seen_s >= WELL_AFTER_S:
            record.retry.reset()

    def _hung(self, now_s: float, sights: Mapping[str, Sight]) -> list[Sight]:
        grown = [
            sight
            for sight in sights.values()
            if sight.running and now_s - self._records[sight.name].seen_s >= YOUNG_FOR_S
        ]
        silent = [sight for sight in grown if self._silence_s(now_s, sight) >= SILENT_AFTER_S]
        for sight in grown:
            if sight not in silent:
                self._records[sight.name].reported = False
        others = [sight for sight in grown if sight.name != BROKER]
        broker = sights.get(BROKER)
        if others and all(sight in silent for sight in others):
            return [broker] if broker in grown and broker is not None else []
        return [
            sight
            for sight in silent
            if sight.name != self._own_name and self._others_beat(sight, sights)
        ]

    def _silence_s(self, now_s: float, sight: Sight) -> float:
        """For how long the program could have been heard and was not."""
        record = self._records[sight.name]
        broker = self._records.get(BROKER)
        heard_s = [record.seen_s, self._going_since_s, *list(record.kills)[-1:]]
        if broker is not None:
            heard_s += [broker.seen_s, *list(broker.kills)[-1:]]
        if sight.heartbeat_age_s is not None:
            heard_s.append(now_s - sight.heartbeat_age_s)
        return now_s - max(heard_s)

    @staticmethod
    def _others_beat(sight: Sight, sights: Mapping[str, Sight]) -> bool:
        return any(
            other.heartbeat_age_s is not None and other.heartbeat_age_s < HEARD_WITHIN_S
            for other in sights.values()
            if other.name != sight.name and other.running
        )

    def _kill_of(self, now_s: float, sight: Sight) -> Action | None:
        record = self._records[sight.name]
        silence = f"{sight.name} (pid {sight.pid}) has not beaten for 10 s while it runs"
        kills = record.kills
        if len(kills) == KILLS_AT_MOST and now_s - kills[0] < KILLS_WITHIN_S:
            if record.reported:
                return None
            record.reported = True
            text = f"{silence}; killed {KILLS_AT_MOST} times within an hour, now left alone"
            return Action(deed=Deed.REPORT, name=sight.name, text=text)
        kills.append(now_s)
        text = f"{silence}: killed, supervisord starts it again"
        return Action(deed=Deed.KILL, name=sight.name, text=text)

    def _restart_of(self, now_s: float, sight: Sight) -> Action | None:
        record = self._records[sight.name]
        if not sight.fatal:
            record.retry_at_s = None
            return None
        if record.retry_at_s is None:
            record.retry_at_s = now_s + record.retry.next_delay_s()
            return None
        if now_s < record.retry_at_s:
            return None
        record.retry_at_s = now_s + record.retry.next_delay_s()
        text = f"supervisord gave {sight.name} up (FATAL): asked to start it again"
        return Action(deed=Deed.START, name=sight.name, text=text)
