"""When a value is worth a message: dead bands, longest silence, highest rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tinybms_mqtt_out.model import Band, Value

_SLACK: Final = 1e-9
"""A step of exactly one band counts although floats fall a hair short of it."""

_EARLY: Final = 0.25
"""Part of the interval by which a message may come early. Cycles jitter; without this a value that
comes a millisecond too soon would wait for a whole further cycle. The mean rate stays bounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """Rules of one topic. A critical one is never held back by `min_interval_s`."""

    band: Band
    max_silence_s: float
    min_interval_s: float
    critical: bool = False


class TopicFilter:
    """Remembers what one topic said last, and decides whether to speak again."""

    __slots__ = ("_cadence", "_forced", "_last", "_next_s", "_sent_s")

    def __init__(self, cadence: Cadence) -> None:
        self._cadence = cadence
        self._last: Value = None
        self._sent_s: float | None = None
        self._next_s = 0.0
        self._forced = False

    def force(self) -> None:
        """Let the next value through whatever it is."""
        self._forced = True

    @property
    def forced(self) -> bool:
        """Whether the next value goes out whatever it is."""
        return self._forced

    def due(self, value: Value, now_s: float, *, news: bool = True) -> bool:
        """Whether `value` should go out now; `sent` must follow when it did.

        `news` False: somebody else tells what is new, here it is only repeated.
        """
        if self._sent_s is None or self._forced:
            return True
        silence_s = now_s - self._sent_s
        cadence = self._cadence
        if silence_s >= cadence.max_silence_s:
            return True
        early_s = _EARLY * cadence.min_interval_s
        if not cadence.critical and now_s < self._next_s - early_s:
            return False
        return news and self._is_news(value)

    def sent(self, value: Value, now_s: float) -> None:
        """Note that `value` went out."""
        self._last = value
        self._sent_s = now_s
        self._next_s = max(self._next_s, now_s) + self._cadence.min_interval_s
        self._forced = False

    def _is_news(self, value: Value) -> bool:
        last = self._last
        if value == last:
            return False
        if value is None or last is None or isinstance(value, str) or isinstance(last, str):
            return True
        if self._cadence.critical and (value == 0) != (last == 0):
            return True
        return abs(value - last) >= self._cadence.band.width(last) - _SLACK
