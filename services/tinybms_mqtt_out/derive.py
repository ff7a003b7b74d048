"""Values that are computed from a snapshot instead of being read from a register."""

from __future__ import annotations

from typing import Final

from tinybms_messages.live import Limits, Reason
from tinybms_mqtt_out.model import Snapshot, Value

MOVING_POWER_W: Final = 30.0
"""From this power on a battery counts as charging or discharging, as on a GX."""

IDLE, CHARGING, DISCHARGING = 0, 1, 2


def battery_state(snapshot: Snapshot) -> int:
    """0 idle, 1 charging, 2 discharging."""
    power_w = snapshot.sample.power_w
    if power_w > MOVING_POWER_W:
        return CHARGING
    return DISCHARGING if power_w < -MOVING_POWER_W else IDLE


def capacity_ah(snapshot: Snapshot) -> float | None:
    """Capacity as the BMS is set, which is also what 0x35F and 0x379 tell a GX."""
    identity = snapshot.live.identity
    return None if identity is None else identity.capacity_ah


def consumed_ah(snapshot: Snapshot) -> float | None:
    """What is missing from a full battery, negative or 0, as a GX counts it."""
    full_ah = capacity_ah(snapshot)
    return None if full_ah is None else -full_ah * (100.0 - snapshot.sample.soc_pct) / 100.0


def cell_difference_v(snapshot: Snapshot) -> float:
    """Highest minus lowest cell voltage."""
    return snapshot.sample.max_cell_voltage_v - snapshot.sample.min_cell_voltage_v


def balancing(snapshot: Snapshot) -> int:
    """1 while any cell's balancing switch is on."""
    return int(any(snapshot.sample.cells_balancing))


def balancing_cells(snapshot: Snapshot) -> str:
    """Numbers of the cells whose balancing switch is on, as "3,7", or "none"."""
    active = [
        str(number) for number, on in enumerate(snapshot.sample.cells_balancing, start=1) if on
    ]
    return ",".join(active) or "none"


def charge_voltage_limit(snapshot: Snapshot) -> float | None:
    """CVL in V."""
    return None if snapshot.limits is None else snapshot.limits.charge_voltage_v


def discharge_voltage_limit(snapshot: Snapshot) -> float | None:
    """DVL in V."""
    return None if snapshot.limits is None else snapshot.limits.discharge_voltage_v


def charge_current_limit(snapshot: Snapshot) -> float | None:
    """CCL in A."""
    return None if snapshot.limits is None else snapshot.limits.charge_current_a


def discharge_current_limit(snapshot: Snapshot) -> float | None:
    """DCL in A."""
    return None if snapshot.limits is None else snapshot.limits.discharge_current_a


def system_state(snapshot: Snapshot) -> Value:
    """State of the charge control in lower case."""
    return None if snapshot.limits is None else snapshot.limits.system_state


def binding_voltage_reason(limits: Limits | None) -> Reason | None:
    """What binds CVL."""
    return limits.voltage_reasons[0] if limits and limits.voltage_reasons else None


def binding_charge_reason(limits: Limits | None) -> Reason | None:
    """What binds CCL."""
    return limits.charge_reasons[0] if limits and limits.charge_reasons else None


def binding_discharge_reason(limits: Limits | None) -> Reason | None:
    """What binds DCL."""
    return limits.discharge_reasons[0] if limits and limits.discharge_reasons else None
