"""From snapshots to the points of the history, and which points answer a question: pure.

Three grids: 1 s kept for an hour, 10 s for a day, 1 min for 30 days. A point is the mean of what
was seen in its interval; of the cells' extremes it is the extreme. An interval without fresh data
has no point: a gap stays a gap.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from tinybms_health.live_report import LiveReport
from tinybms_health.values import HISTORY_VALUES

POINTS_AT_MOST: Final = 5000
_POINTS_WANTED: Final = 1500
_FIRST_TIME_S: Final = 1_735_689_600
"""2025-01-01: a clock before that was never set, and what it says is no time."""
_LAST_TIME_S: Final = 4_102_444_800


class Join(StrEnum):
    """How several figures become one; the name of the SQL function too."""

    MEAN = "avg"
    LEAST = "min"
    MOST = "max"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of the history."""

    name: str
    of: Callable[[LiveReport], float | None]
    join: Join = Join.MEAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Points of `step_s`, `slots` of which are kept."""

    step_s: int
    slots: int

    @property
    def kept_s(self) -> int:
        """How far back it reaches."""
        return self.step_s * self.slots


GRIDS: Final = (
    Grid(step_s=1, slots=3600),
    Grid(step_s=10, slots=8640),
    Grid(step_s=60, slots=43_200),
)

_JOINS: Final = {"min_cell_voltage_v": Join.LEAST, "max_cell_voltage_v": Join.MOST}


def _figure(key: str) -> Callable[[LiveReport], float | None]:
    return lambda live: getattr(live.sample, key)


def _limit(key: str) -> Callable[[LiveReport], float | None]:
    return lambda live: getattr(live.limits, key) if live.limits is not None else None


COLUMNS: Final = (
    *(
        Column(name=value.key, of=_figure(value.key), join=_JOINS.get(value.key, Join.MEAN))
        for value in HISTORY_VALUES
    ),
    Column(name="charge_voltage_limit_v", of=_limit("charge_voltage_v")),
    Column(name="charge_current_limit_a", of=_limit("charge_current_a")),
    Column(name="discharge_current_limit_a", of=_limit("discharge_current_a")),
    Column(
        name="alarm_level",
        of=lambda live: float(max((alarm.level for alarm in live.alarms), default=0)),
        join=Join.MOST,
    ),
)

Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point: `time_s` is the Unix time at which its interval begins."""

    grid: Grid
    time_s: int
    values: Values


class _Bucket:
    """What was seen in the interval that is open now."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._time_s = -1
        self._sums: list[float] = []
        self._counts: list[int] = []

    def add(self, wall_s: float, values: Values) -> Point | None:
        """Take values; the point of the interval before when they begin a new one."""
        time_s = int(wall_s // self.grid.step_s) * self.grid.step_s
        closed = self.close() if time_s != self._time_s else None
        self._time_s = time_s
        if not self._counts:
            self._sums, self._counts = [0.0] * len(COLUMNS), [0] * len(COLUMNS)
        for index, value in enumerate(values):
            if value is None:
                continue
            if self._counts[index] == 0:
                self._sums[index] = value
            else:
                self._sums[index] = _joined(COLUMNS[index].join, self._sums[index], value)
            self._counts[index] += 1
        return closed

    def close(self) -> Point | None:
        """The point of the open interval, None when nothing was seen in it."""
        if not any(self._counts):
            return None
        values = tuple(
            None if not count else round(total / count if column.join is Join.MEAN else total, 4)
            for column, total, count in zip(COLUMNS, self._sums, self._counts, strict=True)
        )
        point = Point(grid=self.grid, time_s=self._time_s, values=values)
        self._sums, self._counts = [], []
        return point


def _joined(join: Join, so_far: float, value: float) -> float:
    if join is Join.MEAN:
        return so_far + value
    return min(so_far, value) if join is Join.LEAST else max(so_far, value)


class Points:
    """Makes points from the reports of health, by the wall clock."""

    def __init__(self) -> None:
        self._buckets = tuple(_Bucket(grid) for grid in GRIDS)
        self._last_sample: tuple[str | None, int | None] | None = None

    def add(self, live: LiveReport, wall_s: float) -> list[Point]:
        """Take a report; the points that are complete now. Old samples and wrong clocks give none.

        A sample counts once, however often it is repeated.
        """
        sample = (live.data.boot, live.data.seq)
        fresh = live.sample is not None and live.data.state == "fresh"
        if not fresh or sample == self._last_sample or wall_s < _FIRST_TIME_S:
            return []
        self._last_sample = sample
        values = tuple(column.of(live) for column in COLUMNS)
        closed = (bucket.add(wall_s, values) for bucket in self._buckets)
        return [point for point in closed if point is not None]

    def close(self) -> list[Point]:
        """The points of the intervals that are still open."""
        return [point for bucket in self._buckets if (point := bucket.close()) is not None]


class BadSpanError(ValueError):
    """A question that can't be answered; the text says why and what can be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Points from `from_s` on and before `to_s`, joined to intervals of `step_s`, from `grid`."""

    from_s: int
    to_s: int
    step_s: int
    grid: Grid


def question(text: dict[str, str], now_s: float) -> Question:
    """The question in query parameters from, to and step; without any: the last hour.

    Times are ISO 8601 (UTC without a zone) or Unix seconds. BadSpanError says what is wrong.
    """
    to_s = _time(text, "to", math.ceil(now_s))
    from_s = _time(text, "from", max(0, to_s - 3600))
    if from_s >= to_s:
        raise BadSpanError("from must be earlier than to")
    span_s = to_s - from_s
    oldest_s = max(0.0, now_s - from_s)
    grid = next((grid for grid in GRIDS if oldest_s <= grid.kept_s + grid.step_s), GRIDS[-1])
    if "step" not in text:
        while grid is not GRIDS[-1] and span_s / grid.step_s > POINTS_AT_MOST:
            grid = GRIDS[GRIDS.index(grid) + 1]
        wanted = max(1, math.ceil(span_s / grid.step_s / _POINTS_WANTED))
        if span_s <= 3600:
            wanted = 1
        return Question(from_s=from_s, to_s=to_s, step_s=wanted * grid.step_s, grid=grid)
    step_s = _step(text["step"])
    if span_s / step_s > POINTS_AT_MOST:
        raise BadSpanError(
            f"step = {step_s}: at most {POINTS_AT_MOST} points are given; for this span a step of "
            f"at least {math.ceil(span_s / POINTS_AT_MOST)} s, or none"
        )
    coarser = [other for other in GRIDS if grid.step_s <= other.step_s <= step_s]
    grid = coarser[-1] if coarser else grid
    return Question(from_s=from_s, to_s=to_s, step_s=max(step_s, grid.step_s), grid=grid)


def _step(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise BadSpanError(f"step = {text[:40]!r}: must be a whole number of seconds above 0")
    return int(text)


def _time(text: dict[str, str], name: str, default: int) -> int:
    given = text.get(name)
    if given is None:
        return default
    try:
        if given.isascii() and given.isdigit() and len(given) < 12:
            time_s = int(given)
        else:
            moment = datetime.fromisoformat(given.strip())
            zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            time_s = math.floor(zoned.timestamp())
    except (ValueError, OverflowError):
        time_s = -1
    if not 0 <= time_s <= _LAST_TIME_S:
        raise BadSpanError(
            f"{name} = {given[:40]!r}: must be a time such as 2026-01-31T12:00:00Z, or Unix seconds"
        )
    return time_s
