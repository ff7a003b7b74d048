"""Alarms of the gateway as two-bit pairs of 0x35A.

Level 1 makes the warning pair active, level 2 the alarm pair; the warning pair of an alarm says OK,
for a GX shows one level per alarm and the alarm is the higher one. What a TinyBMS cannot know
(general, contactor, short circuit) stays "not supported", and so does an alarm that the snapshot
does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tinybms_messages.live import Alarm, AlarmName
from tinybms_victron.signal_types import PairState
from tinybms_victron.signals import ALARMS

PAIR_OF: Final[dict[AlarmName, str | None]] = {
    AlarmName.LOW_VOLTAGE: "low_voltage",
    AlarmName.LOW_CELL_VOLTAGE: "low_voltage",
    AlarmName.HIGH_VOLTAGE: "high_voltage",
    AlarmName.LOW_TEMPERATURE: "low_temperature",
    AlarmName.HIGH_TEMPERATURE: "high_temperature",
    AlarmName.LOW_CHARGE_TEMPERATURE: "low_temperature_charge",
    AlarmName.HIGH_CHARGE_TEMPERATURE: "high_temperature_charge",
    AlarmName.HIGH_DISCHARGE_CURRENT: "high_current",
    AlarmName.HIGH_CHARGE_CURRENT: "high_charge_current",
    AlarmName.CELL_IMBALANCE: "cell_imbalance",
    AlarmName.INTERNAL_FAILURE: "bms_internal",
    # The line to the BMS is silent: the GX has no pair for that, "BMS internal" comes nearest.
    AlarmName.BMS_CABLE: "bms_internal",
    AlarmName.LOW_SOC: None,
}
"""The pair of each alarm; None: the frame has none for it."""

NEVER_SUPPORTED: Final = frozenset({"general", "contactor", "short_circuit"})
"""Named pairs that we always send as "not supported"."""

SYSTEM_ONLINE: Final = PairState.OK
"""The system status pair while we send: 10b is what batteries in the field send when running."""


def levels(alarms: Iterable[Alarm]) -> dict[str, int]:
    """The highest level of each pair that the alarms speak for."""
    found: dict[str, int] = {}
    for alarm in alarms:
        pair = PAIR_OF[alarm.name]
        if pair is not None:
            found[pair] = max(found.get(pair, 0), alarm.level)
    return found


def pair_values(pair_levels: dict[str, int]) -> dict[str, PairState]:
    """Every pair of 0x35A by its key in the signal table."""
    states = dict.fromkeys((field.key for field in ALARMS.fields), PairState.UNSUPPORTED)
    for name, level in pair_levels.items():
        states[f"alarm.{name}"] = PairState.ACTIVE if level >= 2 else PairState.OK
        states[f"warning.{name}"] = PairState.ACTIVE if level == 1 else PairState.OK
    states["status.system"] = SYSTEM_ONLINE
    return states
