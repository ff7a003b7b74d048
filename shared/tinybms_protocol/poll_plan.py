"""Which block to read next: the live block at a steady pace, everything else in between.

An answer carries no address, so a late one is only told from the right one by its command and
length: no two blocks of one command have the same count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from tinybms_protocol.commands_read import ReadBlock, ReadSettings, SettingsOption
from tinybms_protocol.request import Request


class BlockName(StrEnum):
    """What is polled."""

    LIVE = "live"
    VERSION = "version"
    SETTINGS = "settings"
    LIMITS_MIN = "limits_min"
    LIMITS_MAX = "limits_max"
    EVENTS = "events"
    STATISTICS = "statistics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One polled block; `address` is the register of its first word."""

    name: BlockName
    address: int
    count: int
    request: Request
    period_s: float | None = None
    """How often it is read again; None: only at connect and when asked for."""


def _read(
    name: BlockName, address: int, count: int, period_s: float | None = None
) -> tuple[BlockName, Block]:
    request = ReadBlock(address, count)
    return name, Block(name=name, address=address, count=count, request=request, period_s=period_s)


def _limits(name: BlockName, option: SettingsOption, count: int) -> tuple[BlockName, Block]:
    request = ReadSettings(option, count)
    return name, Block(name=name, address=300, count=count, request=request)


EVENTS_PERIOD_S: Final = 60.0
STATISTICS_PERIOD_S: Final = 60.0
SETTINGS_PERIOD_S: Final = 600.0
FAULT_EVENTS_PERIOD_S: Final = 1.0
"""The log is read this often while the status says fault: several faults may follow one another."""
RETRY_S: Final = 1.0
"""Wait before a slow block that failed is tried again."""
LIVE_COUNT: Final = 56

BLOCKS: Final[Mapping[BlockName, Block]] = MappingProxyType(
    dict(
        (
            _read(BlockName.LIVE, 0, LIVE_COUNT),
            _read(BlockName.VERSION, 500, 10),
            _read(BlockName.SETTINGS, 300, 44, SETTINGS_PERIOD_S),
            _limits(BlockName.LIMITS_MIN, SettingsOption.MINIMUM, 44),
            # One less than the other: the last one, 343, has no limit worth asking for.
            _limits(BlockName.LIMITS_MAX, SettingsOption.MAXIMUM, 43),
            _read(BlockName.EVENTS, 200, 98, EVENTS_PERIOD_S),
            _read(BlockName.STATISTICS, 100, 18, STATISTICS_PERIOD_S),
        )
    )
)

_BEFORE_LIVE: Final = (BlockName.VERSION, BlockName.SETTINGS)
"""Without them live data cannot be read right (number of cells, state of health)."""
_SLOW: Final[tuple[BlockName, ...]] = (
    BlockName.EVENTS,
    BlockName.VERSION,
    BlockName.SETTINGS,
    BlockName.LIMITS_MIN,
    BlockName.LIMITS_MAX,
    BlockName.STATISTICS,
)
"""In order of urgency: a fault must be named before the limits of its cycle are made."""
_AFTER_WRITE: Final = (BlockName.SETTINGS, BlockName.LIMITS_MIN, BlockName.LIMITS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPoll:
    """What to read next, and not before `due_s` on the caller's clock."""

    block: Block
    due_s: float


class PollPlan:
    """Plan of one connection; the caller passes its monotonic clock and reports every attempt.

    Between two live polls goes one slow block at most, and none while live polls fail: a silent
    line is probed with the live block alone.
    """

    def __init__(self, poll_interval_s: float) -> None:
        """`poll_interval_s`: time from one live poll to the next."""
        self._interval_s = poll_interval_s
        self.restart()

    def restart(self) -> None:
        """A new connection: version and settings come first, then everything once."""
        self._live_due_s: float | None = None
        self._slow_turn = False
        self._in_fault = False
        self._wanted: set[BlockName] = set(_SLOW)
        self._tried: set[BlockName] = set()
        self._last_success_s: dict[BlockName, float] = {}
        self._retry_at_s: dict[BlockName, float] = {}

    def want(self, name: BlockName) -> None:
        """Read a block as soon as its turn comes, ahead of all that is only due by time."""
        self._wanted.add(name)
        self._retry_at_s.pop(name, None)

    def settings_written(self) -> None:
        """Settings were written: read them and the limits that depend on them again."""
        for name in _AFTER_WRITE:
            self.want(name)

    def status_seen(self, *, changed: bool, in_fault: bool) -> None:
        """Register 50 was read; the log is wanted at every change, and again and again in fault."""
        self._in_fault = in_fault
        if changed:
            self.want(BlockName.EVENTS)

    def next_poll(self, now_s: float) -> PlannedPoll:
        """What to read next."""
        if self._live_due_s is None:
            for name in _BEFORE_LIVE:
                if name not in self._tried:
                    return PlannedPoll(block=BLOCKS[name], due_s=now_s)
            return PlannedPoll(block=BLOCKS[BlockName.LIVE], due_s=now_s)
        slow = self._due_slow(now_s) if self._slow_turn else None
        if slow is not None:
            return PlannedPoll(block=BLOCKS[slow], due_s=now_s)
        return PlannedPoll(block=BLOCKS[BlockName.LIVE], due_s=self._live_due_s)

    def report(self, name: BlockName, started_s: float, *, success: bool) -> None:
        """A poll that was started at `started_s` is over."""
        self._tried.add(name)
        if name is BlockName.LIVE:
            self._report_live(started_s, success=success)
            return
        self._slow_turn = False
        if success:
            self._wanted.discard(name)
            self._last_success_s[name] = started_s
            self._retry_at_s.pop(name, None)
        else:
            self._retry_at_s[name] = started_s + RETRY_S

    def _report_live(self, started_s: float, *, success: bool) -> None:
        planned_s = started_s if self._live_due_s is None else self._live_due_s
        # A poll that came late does not lead to a burst: missed turns are dropped.
        late_s = started_s - planned_s
        base_s = planned_s if late_s < self._interval_s else started_s
        self._live_due_s = base_s + self._interval_s
        self._slow_turn = success

    def _due_slow(self, now_s: float) -> BlockName | None:
        ready = [name for name in _SLOW if self._retry_at_s.get(name, now_s) <= now_s]
        for name in ready:
            if name in self._wanted:
                return name
        for name in ready:
            if self._is_old(name, now_s):
                return name
        return None

    def _is_old(self, name: BlockName, now_s: float) -> bool:
        period_s = BLOCKS[name].period_s
        if name is BlockName.EVENTS and self._in_fault:
            period_s = FAULT_EVENTS_PERIOD_S
        last_s = self._last_success_s.get(name)
        return period_s is not None and (last_s is None or now_s - last_s >= period_s)
