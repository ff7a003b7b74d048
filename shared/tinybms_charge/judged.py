"""What one reading means: the memory that follows from it, and every cap on the limits."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tinybms_charge.currents import charge_caps, discharge_caps, owner_caps
from tinybms_charge.cvl import voltage_caps
from tinybms_charge.envelope import Envelope
from tinybms_charge.faults import FaultView, fault_view
from tinybms_charge.filters import Filtered, InForce, filtered
from tinybms_charge.latches import Latches, latched
from tinybms_charge.machine import FULL, advanced, counted
from tinybms_charge.measurement import Measurement
from tinybms_charge.parameters import ChargeParameters
from tinybms_charge.reading import Reading, read
from tinybms_charge.state import ChargeMode, ChargeState, Cycle, Filters, Trim
from tinybms_charge.trim import seeded, trimmed
from tinybms_messages.live import Reason

Caps = tuple[list[Reason], list[Reason], list[Reason]]
"""Those of CVL, CCL and DCL, unsorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one reading means, before the limits are conditioned."""

    reading: Reading
    faults: FaultView
    latches: Latches
    filters: Filters
    trim: Trim
    cycle: Cycle
    caps: Caps


def judged(
    state: ChargeState,
    measurement: Measurement,
    bounds: Envelope,
    parameters: ChargeParameters,
    dt_s: float,
) -> Judged:
    """Memory and caps that follow from one reading."""
    reading = read(measurement, state.probes, state.cell_count, dt_s)
    if reading.cells != state.cell_count:
        fresh = ChargeState()
        state = msgspec.structs.replace(
            state,
            charge_voltage_v=None,
            filters=fresh.filters,
            trim=fresh.trim,
            cycle=fresh.cycle,
        )
    faults = fault_view(measurement.status, measurement.event_ids)
    latches = latched(state, reading, bounds, dt_s)
    filters, trim, cycle = state.filters, state.trim, state.cycle
    predicted_v = reading.highest_v
    if not reading.bad:
        now, trim, cycle = _followed(state, reading, measurement, bounds, parameters, dt_s)
        filters, predicted_v = now.memory, now.predicted_v
    voltage = voltage_caps(reading, faults, bounds, trim, cycle, last_v=state.charge_voltage_v)
    charge = charge_caps(
        reading,
        latches,
        faults,
        bounds,
        parameters,
        predicted_v=predicted_v,
        target_v=_target_v(cycle, bounds),
        balancing=cycle.mode is ChargeMode.BALANCE,
    )
    discharge = discharge_caps(reading, latches, faults, bounds, parameters)
    charge += owner_caps(measurement.charge_caps)
    discharge += owner_caps(measurement.discharge_caps)
    return Judged(
        reading=reading,
        faults=faults,
        latches=latches,
        filters=filters,
        trim=trim,
        cycle=cycle,
        caps=(voltage, charge, discharge),
    )


def _followed(
    state: ChargeState,
    reading: Reading,
    measurement: Measurement,
    bounds: Envelope,
    parameters: ChargeParameters,
    dt_s: float,
) -> tuple[Filtered, Trim, Cycle]:
    """Filters, trim and cycle after a good reading."""
    force = InForce(
        target_v=_target_v(state.cycle, bounds),
        sent_v=state.charge_voltage_v,
        waited_s=state.charge_voltage_wait_s,
        allowed_a=state.charge_current_a,
        dt_s=dt_s,
    )
    now = filtered(state.filters, reading, bounds, force)
    cycle, trim = state.cycle, state.trim
    if not state.filters.ready:
        if cycle.mode is ChargeMode.INIT:
            target_v, taper_v = force.target_v, bounds.taper_v
            trim = seeded(now, reading.cells, target_v=target_v, taper_v=taper_v)
        cycle = counted(cycle, reading, bounds)
    trim = trimmed(trim, now, reading, bounds, force)
    offset_v, cell = trim.offset_v, parameters.cell
    after = advanced(cycle, now, reading, measurement, bounds, cell, force, offset_v=offset_v)
    if cycle.mode in FULL and after.mode not in FULL:
        trim = Trim(offset_v=trim.offset_v)
    return now, trim, after


def _target_v(cycle: Cycle, bounds: Envelope) -> float:
    return bounds.top_v if cycle.mode is ChargeMode.TOP_BALANCE else bounds.target_v
