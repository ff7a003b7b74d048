"""What one value topic is, and the snapshot that its value is taken from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tinybms_messages.live import Alarm, Limits, LiveData, Sample
from tinybms_victron.gx import GxRegister

Value = float | int | str | None
"""A number, a word, or None while it is not known. 0 is a number."""


class Group(StrEnum):
    """What a topic belongs to."""

    PACK = "pack"
    CELLS = "cells"
    LIMITS = "limits"
    TOTALS = "totals"
    STATISTICS = "statistics"
    SETTINGS = "settings"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One LIVE_DATA as the outputs show it: limits and alarms are those after ageing."""

    live: LiveData
    sample: Sample
    limits: Limits | None
    alarms: tuple[Alarm, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """How far a value must move to be news: the larger of `absolute` and `fraction` of the last."""

    absolute: float = 0.0
    fraction: float = 0.0

    def width(self, last: float) -> float:
        """The band around `last`."""
        return max(self.absolute, self.fraction * abs(last))


EVERY_CHANGE = Band()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueTopic:
    """One topic under the root.

    `register_key` and `address` name the TinyBMS register behind it (None: computed, or an alarm);
    `raw_scale` is value per count of that register. `derive` takes the value from a snapshot; a
    topic without it is fed by the register values alone. `words` says the value in words.
    `value_scale` turns the register's value into the topic's unit.
    """

    suffix: str
    label: str
    group: Group
    unit: str | None = None
    register_key: str | None = None
    address: int | None = None
    raw_scale: float | None = None
    derive: Callable[[Snapshot], Value] | None = None
    derive_raw: Callable[[Snapshot], int | None] | None = None
    words: Callable[[Snapshot], str] | None = None
    value_scale: float = 1.0
    gx: tuple[GxRegister, ...] = ()
    critical: bool = False
    band: Band = EVERY_CHANGE
    decimals: int = 3
    legacy_suffix: str | None = None
    note: str | None = None

    def raw_of(self, value: Value) -> int | None:
        """The number that the register held for `value`, None for computed values and text."""
        if self.raw_scale is None or value is None or isinstance(value, str):
            return None
        count = value / self.raw_scale
        return math.floor(count + 0.5) if math.isfinite(count) else None
