"""One step of the charge control: a pure, total function from measurement to limits and alarms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from tinybms_charge.ageing import stale_charge_voltage_v
from tinybms_charge.alarms import Facts, alarms_of
from tinybms_charge.bms import BmsLimits
from tinybms_charge.currents import ramped_current
from tinybms_charge.cvl import conditioned_voltage, lowest_voltage
from tinybms_charge.envelope import Envelope, envelope
from tinybms_charge.judged import Judged, judged
from tinybms_charge.latches import Latches
from tinybms_charge.machine import slept
from tinybms_charge.measurement import Measurement
from tinybms_charge.parameters import ChargeParameters
from tinybms_charge.reading import Reading
from tinybms_charge.reasons import ReasonCode, cap, ranked
from tinybms_charge.rounding import floor_tenth
from tinybms_charge.sentences import with_sentences
from tinybms_charge.state import ChargeState
from tinybms_messages.live import Alarm, Limits, Reason
from tinybms_protocol.status import OnlineStatus

__all__ = ["ChargeState", "Step", "step"]

LONGEST_STEP_S: Final = 5.0
"""No timer runs on by more in one step: one reading after a gap proves nothing about the gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Result of one step; `advisories` are sentences about doubtful settings."""

    state: ChargeState
    limits: Limits
    alarms: tuple[Alarm, ...]
    advisories: tuple[str, ...]


def step(
    state: ChargeState,
    measurement: Measurement,
    bms: BmsLimits,
    parameters: ChargeParameters,
    dt_s: float,
) -> Step:
    """Limits and alarms for `measurement`, taken `dt_s` after the one before.

    Never raises for any measurement, setting or time. After a gap of parameters.stale_after_s or
    more the limits go on from what ageing made of them: CCL ramps up from 0. With an alternative
    reading each limit is the lower of both; latches and alarms follow the main one.
    """
    bounds = envelope(bms, parameters)
    dt_s, state = _after_gap(state, parameters, bounds, dt_s)
    main = judged(state, measurement, bounds, parameters, dt_s)
    reading = main.reading
    certain_a = min(known.value for known in main.caps[1])
    if measurement.alternative is not None:
        _add_doubts(main, judged(state, measurement.alternative, bounds, parameters, dt_s))
    last_v = state.charge_voltage_v if reading.cells == state.cell_count else None
    limits, sent = _limits(main, state, last_v, certain_a, bounds, parameters, dt_s)
    alarms, memory = alarms_of(
        state.alarms, _facts(reading, main.latches, bounds), main.faults, dt_s
    )
    latches = main.latches
    after = ChargeState(
        cell_count=reading.cells,
        pack_voltage_v=reading.pack_voltage_v or state.pack_voltage_v,
        charge_voltage_v=limits.charge_voltage_v,
        charge_voltage_wait_s=sent.voltage_wait_s,
        charge_current_a=sent.charge_current_a,
        charge_hold_s=sent.charge_hold_s,
        filters=main.filters,
        trim=main.trim,
        cycle=main.cycle,
        high_cell=latches.high_cell,
        charge_cold=latches.charge_cold,
        charge_hot=latches.charge_hot,
        discharge_cold=latches.discharge_cold,
        discharge_hot=latches.discharge_hot,
        low_cell=latches.low_cell,
        low_cell_s=latches.low_cell_s,
        low_cell_recovered_s=latches.low_cell_recovered_s,
        low_cell_charged_ah=latches.low_cell_charged_ah,
        probes=reading.probes,
        alarms=memory,
    )
    return Step(state=after, limits=limits, alarms=alarms, advisories=bounds.advisories)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    voltage_wait_s: float
    charge_current_a: float
    charge_hold_s: float


def _after_gap(
    state: ChargeState, parameters: ChargeParameters, bounds: Envelope, dt_s: float
) -> tuple[float, ChargeState]:
    """(time for the timers, the state that a gap of `dt_s` leaves)."""
    if 0 <= dt_s < parameters.stale_after_s:
        return min(dt_s, LONGEST_STEP_S), state
    last_v = state.charge_voltage_v
    if dt_s > 0 and last_v is not None and state.pack_voltage_v is not None:
        stale_v = stale_charge_voltage_v(
            last_v, state.pack_voltage_v, state.cell_count, bounds.float_v
        )
        last_v = floor_tenth(stale_v)
    fresh = ChargeState()
    # The gap itself moves no timer, or the first reading after it would begin the ramp in its
    # middle; nor does a time that runs backwards or is no number.
    return 0.0, msgspec.structs.replace(
        state,
        charge_voltage_v=last_v,
        charge_voltage_wait_s=fresh.charge_voltage_wait_s,
        charge_current_a=fresh.charge_current_a,
        charge_hold_s=fresh.charge_hold_s,
        filters=fresh.filters,
        cycle=slept(state.cycle, dt_s),
    )


def _add_doubts(main: Judged, other: Judged) -> None:
    """The caps of the alternative reading beside those of the main one."""
    for known, more in zip(main.caps, other.caps, strict=True):
        known.extend(_doubtful(more, known))


def _doubtful(caps: list[Reason], known: list[Reason]) -> list[Reason]:
    """Those of `caps` that are not `known` already, marked as doubtful."""
    return [
        msgspec.structs.replace(other, text=f"{other.text}, not yet confirmed")
        for other in caps
        if other not in known
    ]


def _limits(
    main: Judged,
    state: ChargeState,
    last_v: float | None,
    certain_a: float,
    bounds: Envelope,
    parameters: ChargeParameters,
    dt_s: float,
) -> tuple[Limits, _Sent]:
    """The caps as limits: lowest first, slow upwards, in steps that are rounded down.

    CCL's ramp goes by `certain_a`, what the main reading allows: a doubt that is not confirmed
    costs its own sample and no minutes.
    """
    voltage, charge, discharge = (ranked(known) for known in main.caps)
    cells = main.reading.cells
    voltage_v, wait_s = conditioned_voltage(
        voltage[0].value,
        last_v,
        state.charge_voltage_wait_s,
        dt_s,
        lowest_voltage(cells, parameters.cell.low_v, bounds.target_v),
    )
    if voltage_v < floor_tenth(voltage[0].value):
        text = "rises by 0.1 V each 20 s"
        voltage = (cap(ReasonCode.SLOW_RISE, voltage_v, text), *voltage)
    ramp_a, hold_s = ramped_current(
        certain_a,
        state.charge_current_a,
        state.charge_hold_s,
        dt_s,
        bounds.current.charge_max_a,
    )
    charge_a = min(ramp_a, charge[0].value)
    if charge_a < charge[0].value:
        charge = (cap(ReasonCode.RECOVERY_RAMP, charge_a, "rises slowly"), *charge)
    limits = Limits(
        charge_voltage_v=voltage_v,
        charge_current_a=floor_tenth(charge_a),
        discharge_current_a=floor_tenth(discharge[0].value),
        discharge_voltage_v=max(0.1, floor_tenth(cells * bounds.discharge_voltage_v)),
        system_state=_system_state(main),
        voltage_reasons=voltage,
        charge_reasons=charge,
        discharge_reasons=discharge,
    )
    sent = _Sent(voltage_wait_s=wait_s, charge_current_a=ramp_a, charge_hold_s=hold_s)
    return with_sentences(limits), sent


def _system_state(main: Judged) -> str:
    reading = main.reading
    if main.faults.freeze or reading.bad or reading.status == OnlineStatus.FAULT:
        return "fault"
    return main.cycle.mode.value


def _facts(reading: Reading, latches: Latches, bounds: Envelope) -> Facts:
    temperatures = [probe.temperature_c for probe in reading.probes]
    return Facts(
        reading=reading,
        latches=latches,
        bounds=bounds,
        coldest_c=min(temperatures, default=None),
        hottest_c=max(temperatures, default=None),
    )
