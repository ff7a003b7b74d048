"""How limits and alarms age when the battery falls silent: one ladder for every process.

All steps follow from the age of the last good sample alone, so that acquisition, CAN, MQTT and the
page show the same. An older age never gives a higher limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from tinybms_charge.parameters import ChargeParameters
from tinybms_charge.presets import flat_zone_c
from tinybms_charge.reasons import ReasonCode
from tinybms_charge.rounding import floor_tenth
from tinybms_charge.sentences import with_sentences
from tinybms_messages.live import Alarm, AlarmName, Limits, LiveData, Reason, Sample

DataState = Literal["unknown", "fresh", "stale", "lost", "asleep"]

STALE_STEP_DOWN_V: Final = 0.005
"""Per cell under the last pack voltage: enough that chargers stop to push."""

END_OF_CHARGE: Final = frozenset({0x38, 0x39})
"""Warnings about the charger's voltage: they say nothing about the cells."""

_CALM_STATUS: Final = frozenset(
    {"idle", "charging", "fully_charged", "discharging", "regeneration"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """Limits and alarms as they hold at an age.

    `send` False: nothing about this battery may be sent on CAN, and `limits` is None.
    `alarm_level`: level of the loss of data itself, 0, 1 (warning) or 2 (alarm).
    """

    data_state: DataState
    send: bool
    limits: Limits | None
    alarms: tuple[Alarm, ...]
    alarm_level: int


def aged(live: LiveData | None, age_s: float | None, parameters: ChargeParameters) -> Aged:
    """`live` as it is to be shown when its sample is `age_s` old.

    Every step begins at its age exactly (10.0 s is stale); only silence begins after lost_after_s.
    None, a negative or a not finite age can't be trusted: without a sample it is unknown, with one
    it is lost. Source: ladder of `ageing` in the configuration; Victron's own rule ends a battery
    that is silent for 3 s.
    """
    asleep = live is not None and live.asleep
    if live is None or live.sample is None or live.limits is None or age_s is None:
        alarms = _with_cable(live.alarms if live else (), 0, "")
        state: DataState = "asleep" if asleep else "unknown"
        return Aged(data_state=state, send=False, limits=None, alarms=alarms, alarm_level=0)
    level = _level(age_s, parameters)
    send = 0 <= age_s <= parameters.lost_after_s
    state = "asleep" if asleep else ("fresh", "stale", "stale")[level] if send else "lost"
    limits = _limits(live, live.sample, live.limits, level, parameters) if send else None
    return Aged(
        data_state=state,
        send=send,
        limits=limits,
        alarms=_with_cable(live.alarms, 0 if asleep else level, _text(level, parameters)),
        alarm_level=0 if asleep else level,
    )


def in_service(live: LiveData | None, age_s: float | None, parameters: ChargeParameters) -> Aged:
    """As `aged`, while the owner works on a battery that was well: neither alarm nor silence.

    CCL is 0 and CVL low as in stale data; DCL goes by can.stale_dcl; the loss of data is a warning.
    """
    shown = aged(live, age_s, parameters)
    if live is None or live.sample is None or live.limits is None or age_s is None:
        return shown
    # In this order a NaN is no age.
    if not parameters.alarm_after_s <= age_s < math.inf:
        return shown
    return Aged(
        data_state=shown.data_state,
        send=True,
        limits=_limits(live, live.sample, live.limits, 2, parameters),
        alarms=_with_cable(live.alarms, 1, "no data from the BMS, which is in service"),
        alarm_level=1,
    )


def service_refusal(
    live: LiveData | None, age_s: float | None, parameters: ChargeParameters
) -> str:
    """Why a service must not begin now; empty when the battery is known to be well."""
    if aged(live, age_s, parameters).data_state != "fresh" or live is None:
        return "there is no fresh sample of the battery"
    raised = [alarm.name.value for alarm in live.alarms if alarm.level > 0]
    if raised:
        return f"the battery has an alarm: {', '.join(raised)}"
    if not _mid_range(live, parameters):
        return "cells, temperature or status of the battery are not in mid-range"
    return ""


def stale_charge_voltage_v(
    last_v: float, pack_voltage_v: float, cells: int, float_v: float
) -> float:
    """CVL while the data are stale: a little under the last pack voltage, never under float."""
    under_pack_v = pack_voltage_v - STALE_STEP_DOWN_V * cells
    lowest_v = cells * float_v
    # In this order a NaN of the pack voltage compares false and leaves the float voltage.
    return min(last_v, max(lowest_v, under_pack_v))


def _level(age_s: float, parameters: ChargeParameters) -> int:
    if 0 <= age_s < parameters.stale_after_s:
        return 0
    return 1 if 0 <= age_s < parameters.alarm_after_s else 2


def _text(level: int, parameters: ChargeParameters) -> str:
    if level == 0:
        return ""
    limit_s = parameters.stale_after_s if level == 1 else parameters.alarm_after_s
    return f"no data from the BMS for {limit_s:g} s or more"


def _with_cable(alarms: tuple[Alarm, ...], level: int, text: str) -> tuple[Alarm, ...]:
    """Every alarm once, in the order of AlarmName, with bms_cable at `level` or higher."""
    known = {alarm.name: alarm for alarm in alarms}
    cable = known.get(AlarmName.BMS_CABLE)
    if cable is None or level > cable.level:
        known[AlarmName.BMS_CABLE] = Alarm(name=AlarmName.BMS_CABLE, level=level, text=text)
    return tuple(known.get(name) or Alarm(name=name, level=0) for name in AlarmName)


def _limits(
    live: LiveData, sample: Sample, limits: Limits, level: int, parameters: ChargeParameters
) -> Limits:
    if level == 0:
        return limits
    stale_v = stale_charge_voltage_v(
        limits.charge_voltage_v, sample.pack_voltage_v, sample.cell_count, parameters.cell.float_v
    )
    charge_voltage_v = min(limits.charge_voltage_v, floor_tenth(stale_v))
    hold = level == 1 or (not parameters.stale_discharge_zero and _mid_range(live, parameters))
    discharge_current_a = limits.discharge_current_a if hold else 0.0
    text = _text(level, parameters)

    def reasons(known: tuple[Reason, ...], before: float, value: float) -> tuple[Reason, ...]:
        if value == before and value > 0:
            return known
        return (Reason(code=ReasonCode.STALE, text=text, value=value), *known)

    after = msgspec.structs.replace(
        limits,
        charge_voltage_v=charge_voltage_v,
        charge_current_a=0.0,
        discharge_current_a=discharge_current_a,
        system_state="stale",
        voltage_reasons=reasons(limits.voltage_reasons, limits.charge_voltage_v, charge_voltage_v),
        charge_reasons=reasons(limits.charge_reasons, limits.charge_current_a, 0.0),
        discharge_reasons=reasons(
            limits.discharge_reasons, limits.discharge_current_a, discharge_current_a
        ),
    )
    return with_sentences(after)


def _mid_range(live: LiveData, parameters: ChargeParameters) -> bool:
    """Whether the last sample was far from every end, so that loads may go on for some seconds."""
    sample = live.sample
    if sample is None or not sample.cell_voltages_v:
        return False
    cell = parameters.cell
    low_c, high_c = flat_zone_c(parameters.discharge_curve)
    temperatures = sample.cell_temperatures_c
    return (
        all(cell.discharge_taper_v <= v <= cell.absorb_v for v in sample.cell_voltages_v)
        and bool(temperatures)
        and all(low_c <= celsius <= high_c for _, celsius in temperatures)
        and sample.online_status in _CALM_STATUS
        and not any(
            fault.kind in {"fault", "warning"} and fault.number not in END_OF_CHARGE
            for fault in live.faults
        )
    )
