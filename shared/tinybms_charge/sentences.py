"""Each limit in one sentence for people: its value, what binds it, where that changes next."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from tinybms_charge.reasons import ReasonCode
from tinybms_messages.live import Limits, Reason

JOINED_BY: Final[Mapping[str, str]] = MappingProxyType(
    {
        ReasonCode.ABSORB_TARGET: "by the ",
        ReasonCode.BMS_FULL_VOLTAGE_MARGIN: "by the margin of ",
        ReasonCode.BMS_OVER_VOLTAGE_MARGIN: "by the margin of ",
        ReasonCode.CHARGER_OFFSET: "because ",
        ReasonCode.FLOAT: "by ",
        ReasonCode.FLOAT_DESCENT: "on the way ",
        ReasonCode.BALANCE_HOLD: "by ",
        ReasonCode.START: "by a ",
        ReasonCode.SLOW_RISE: "because it ",
        ReasonCode.USER: "by ",
        ReasonCode.OWNER_MODE: "by ",
        ReasonCode.BMS_OVERCURRENT: "to stay ",
        ReasonCode.CELL_RATE: "by the rate of the cells, ",
        ReasonCode.LOW_TEMPERATURE: "by ",
        ReasonCode.HIGH_TEMPERATURE: "by ",
        ReasonCode.HIGH_CELL: "by ",
        ReasonCode.BALANCE_CURRENT: "by the ",
        ReasonCode.LOW_CELL: "by ",
        ReasonCode.LOW_CELL_LATCHED: "by ",
        ReasonCode.SENSOR_MISSING: "because ",
        ReasonCode.RECOVERY_RAMP: "because it ",
        ReasonCode.FAULT: "by ",
        ReasonCode.BAD_READING: "because ",
        ReasonCode.BMS_SETTINGS: "by an ",
        ReasonCode.STALE: "because there is ",
    }
)
"""How the words of each reason follow "limited to 37.0 A"."""


def with_sentences(limits: Limits) -> Limits:
    """`limits` with the sentences that follow from its values and reasons."""
    charge_a, discharge_a = limits.charge_current_a, limits.discharge_current_a
    voltage_v = limits.charge_voltage_v
    return msgspec.structs.replace(
        limits,
        voltage_sentence=_sentence(
            "Charge voltage", f"limited to {voltage_v:.1f} V", limits.voltage_reasons
        ),
        charge_sentence=_sentence("Charge", _current(charge_a), limits.charge_reasons),
        discharge_sentence=_sentence("Discharge", _current(discharge_a), limits.discharge_reasons),
    )


def _current(value_a: float) -> str:
    return f"limited to {value_a:.1f} A" if value_a > 0 else "stopped"


def _sentence(what: str, how: str, reasons: tuple[Reason, ...]) -> str:
    if not reasons:
        return ""
    binding = reasons[0]
    joint = JOINED_BY.get(binding.code, "by ")
    after = f"; next step at {binding.next_step}" if binding.next_step else ""
    return f"{what} {how} {joint}{binding.text}{after}"
