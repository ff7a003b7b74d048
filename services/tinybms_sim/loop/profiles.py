"""Sun, load and temperature over time: small pure functions `at(time_s)`."""

import math
import random
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, Protocol

DAY_S: Final = 86_400.0


class Profile(Protocol):
    """A quantity over time."""

    def at(self, time_s: float, /) -> float:
        """Its value at `time_s`."""


@dataclass(frozen=True, slots=True)
class Steady:
    """Always the same."""

    value: float

    def at(self, _time_s: float, /) -> float:
        """Its value at any time."""
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """High and low in turn, each for `half_s`, high first."""

    high: float
    low: float
    half_s: float

    def at(self, time_s: float, /) -> float:
        """Its value at `time_s`."""
        return self.low if int(time_s / self.half_s) % 2 else self.high


class Steps:
    """Constant between its points (time in s, value); the first value holds before the first."""

    def __init__(self, points: tuple[tuple[float, float], ...]) -> None:
        self._times = [time for time, _ in points]
        self._values = [value for _, value in points]

    def at(self, time_s: float, /) -> float:
        """Its value at `time_s`."""
        return self._values[max(bisect_right(self._times, time_s) - 1, 0)]


@dataclass(frozen=True, slots=True)
class Line:
    """Straight between its points (time in s, value), held at both ends."""

    points: tuple[tuple[float, float], ...]

    def at(self, time_s: float, /) -> float:
        """Its value at `time_s`."""
        left_s, left = self.points[0]
        if time_s <= left_s:
            return left
        for right_s, right in self.points[1:]:
            if time_s < right_s:
                return left + (right - left) * (time_s - left_s) / (right_s - left_s)
            left_s, left = right_s, right
        return left


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Sun from `rise_h` to `set_h` of each day, as a sine with `peak`; `weights` per day repeat."""

    peak: float
    rise_h: float = 7.0
    set_h: float = 19.0
    weights: tuple[float, ...] = (1.0,)

    def at(self, time_s: float, /) -> float:
        """Its value at `time_s`, which starts at midnight."""
        hour = time_s % DAY_S / 3600.0
        if not self.rise_h < hour < self.set_h:
            return 0.0
        weight = self.weights[int(time_s / DAY_S) % len(self.weights)]
        return (
            self.peak
            * weight
            * math.sin(math.pi * (hour - self.rise_h) / (self.set_h - self.rise_h))
        )


def gusts(rng: random.Random, duration_s: float, low: float, high: float, mean_s: float) -> Steps:
    """`high` and `low` in turn, each within a tenth, held for a random time of mean `mean_s`."""
    points: list[tuple[float, float]] = []
    time_s = 0.0
    while time_s < duration_s:
        level = high if len(points) % 2 else low
        points.append((time_s, level * rng.uniform(0.9, 1.1)))
        time_s += max(rng.expovariate(1.0 / mean_s), 5.0)
    return Steps(tuple(points))
