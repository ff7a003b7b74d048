"""Caps on a limit: stable codes, and words with the numbers that made them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from tinybms_messages.live import Reason


class ReasonCode(StrEnum):
    """Codes of every cap; they are published and do not change."""

    ABSORB_TARGET = "absorb_target"
    BMS_FULL_VOLTAGE_MARGIN = "bms_full_voltage_margin"
    BMS_OVER_VOLTAGE_MARGIN = "bms_over_voltage_margin"
    CHARGER_OFFSET = "charger_offset"
    FLOAT = "float"
    FLOAT_DESCENT = "float_descent"
    BALANCE_HOLD = "balance_hold"
    START = "start"
    SLOW_RISE = "slow_rise"
    USER = "user"
    OWNER_MODE = "owner_mode"
    BMS_OVERCURRENT = "bms_overcurrent"
    CELL_RATE = "cell_rate"
    LOW_TEMPERATURE = "low_temperature"
    HIGH_TEMPERATURE = "high_temperature"
    HIGH_CELL = "high_cell"
    BALANCE_CURRENT = "balance_current"
    LOW_CELL = "low_cell"
    LOW_CELL_LATCHED = "low_cell_latched"
    SENSOR_MISSING = "sensor_missing"
    RECOVERY_RAMP = "recovery_ramp"
    FAULT = "fault"
    BAD_READING = "bad_reading"
    BMS_SETTINGS = "bms_settings"
    STALE = "stale"


def cap(code: ReasonCode, value: float, text: str, next_step: str = "") -> Reason:
    """One cap; `value` in V or A; `next_step`: where it changes, for example "5 °C"."""
    return Reason(code=code, text=text, value=value, next_step=next_step)


def ranked(caps: Iterable[Reason]) -> tuple[Reason, ...]:
    """`caps` with the binding one first; equal ones keep their order."""
    return tuple(sorted(caps, key=_value))


def _value(reason: Reason) -> float:
    return reason.value
