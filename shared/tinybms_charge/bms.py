"""Settings of the BMS that bind the limits; its statistics (registers 102, 103) do not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BmsLimits:
    """Settings 300-340 as the BMS holds them, per cell where a voltage (TinyBMS protocol Rev D)."""

    series_cells: int
    """Register 307."""
    fully_charged_v: float
    """Register 300: a cell here opens the charger switch, in single-port mode the only switch."""
    fully_discharged_v: float
    """Register 301: a cell here opens the load switch."""
    early_balancing_v: float
    """Register 303: cells above it are balanced."""
    allowed_imbalance_v: float
    """Register 308."""
    over_voltage_v: float
    """Register 315: a cell above it is a fault."""
    under_voltage_v: float
    """Register 316: a cell below it is a fault that does not end by itself."""
    discharge_over_current_a: float
    """Register 317."""
    charge_over_current_a: float
    """Register 318."""
    peak_discharge_a: float | None
    """Register 305; None on firmware that does not have it."""
    over_heat_c: float
    """Register 319."""
    low_temperature_charge_c: float
    """Register 320."""
    capacity_ah: float
    """Register 306."""
    charge_restart_enabled: bool
    """Register 329 bit 2: after full, charging starts again by SoC."""
    single_port: bool
    """Register 340."""
    high_power: bool
    """Register 501 bit 8."""
