"""Settings of the simulated BMS, voltages per cell (TinyBMS protocol Rev D, registers 300-340)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BmsRegisters:
    """The settings that act in the closed loop; defaults suit a 16-cell LFP pack of 280 Ah."""

    series_cells: int = 16
    """Register 307."""
    capacity_ah: float = 280.0
    """Register 306."""
    fully_charged_v: float = 3.60
    """Register 300."""
    fully_discharged_v: float = 2.80
    """Register 301."""
    early_balancing_v: float = 3.40
    """Register 303."""
    charge_finished_a: float = 3.0
    """Register 304."""
    peak_discharge_a: float = 750.0
    """Register 305."""
    allowed_imbalance_v: float = 0.015
    """Register 308."""
    over_voltage_v: float = 3.65
    """Register 315."""
    under_voltage_v: float = 2.50
    """Register 316."""
    discharge_over_current_a: float = 300.0
    """Register 317."""
    charge_over_current_a: float = 300.0
    """Register 318."""
    over_heat_c: float = 60.0
    """Register 319."""
    low_temperature_charge_c: float = 0.0
    """Register 320."""
    charge_restart_pct: float = 90.0
    """Register 321."""
    charge_restart_enabled: bool = True
    """Register 329 bit 2."""
    discharge_over_current_timeout_s: float = 5.0
    """Register 330, high byte."""
    recovery_s: float = 5.0
    """Register 332."""
    single_port: bool = True
    """Register 340."""
    high_power: bool = True
    """Register 501 bit 8."""
