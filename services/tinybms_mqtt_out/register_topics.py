"""Topics that carry a TinyBMS register; key, unit and scale come from the register table."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypedDict

from tinybms_mqtt_out.model import Group, ValueTopic
from tinybms_protocol.registers import (
    BY_KEY,
    REGISTERS,
    Register,
    RegisterGroup,
    RegisterType,
)

FLOAT_RAW_SCALE: Final = 0.01
"""Registers that hold a float (pack voltage and current) give their value times 100 as raw."""


class RegisterFacts(TypedDict):
    """The part of a topic that the register table knows."""

    label: str
    unit: str | None
    register_key: str
    address: int
    raw_scale: float | None
    decimals: int


def register_facts(
    key: str, *, label: str | None = None, decimals: int | None = None
) -> RegisterFacts:
    """What the table says of register `key`; enumerations and bit masks are shown as text."""
    register = BY_KEY[key]
    return RegisterFacts(
        label=label or register.label,
        unit=register.unit,
        register_key=key,
        address=register.address,
        raw_scale=_raw_scale(register),
        decimals=_decimals(register) if decimals is None else decimals,
    )


def _raw_scale(register: Register) -> float:
    return FLOAT_RAW_SCALE if register.type is RegisterType.FLOAT32 else register.scale


def _decimals(register: Register) -> int:
    """Decimals that show the register's resolution in full."""
    if register.type is RegisterType.FLOAT32:
        return 3
    return len(f"{register.scale:.9f}".rstrip("0").partition(".")[2])


def _topics(group: RegisterGroup, prefix: str, belongs_to: Group) -> tuple[ValueTopic, ...]:
    return tuple(
        ValueTopic(suffix=f"{prefix}{row.key}", group=belongs_to, **register_facts(row.key))
        for row in REGISTERS
        if row.group is group and row.type is not RegisterType.RESERVED
    )


STATISTIC_TOPICS: Final[tuple[ValueTopic, ...]] = _topics(
    RegisterGroup.STATISTICS, "stat_", Group.STATISTICS
)

SETTING_TOPICS: Final[tuple[ValueTopic, ...]] = _topics(
    RegisterGroup.SETTINGS, "setting_", Group.SETTINGS
)


def _old_setting(
    suffix: str, key: str, *, unit: str | None = None, scale: float = 1.0
) -> ValueTopic:
    topic = next(topic for topic in SETTING_TOPICS if topic.register_key == key)
    return replace(topic, suffix=suffix, unit=unit or topic.unit, value_scale=scale)


LEGACY_SETTING_TOPICS: Final[tuple[ValueTopic, ...]] = (
    _old_setting("overvoltage_cutoff_mv", "over_voltage_cutoff", unit="mV", scale=1000.0),
    _old_setting("undervoltage_cutoff_mv", "under_voltage_cutoff", unit="mV", scale=1000.0),
    _old_setting("discharge_overcurrent_a", "discharge_over_current_cutoff"),
    _old_setting("charge_overcurrent_a", "charge_over_current_cutoff"),
    _old_setting("overheat_cutoff_c", "over_heat_cutoff"),
)
"""Settings under the names of the firmware that the gateway replaces."""
