"""Settings of the BMS that bind the limits; its statistics (registers 102, 103) do not."""

from __future__ import annotations

from dataclasses import dataclass

from tinybms_protocol.settings import SettingsBlock, VersionBlock


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


def bms_limits(settings: SettingsBlock, version: VersionBlock, cells: int) -> BmsLimits:
    """The binding settings out of the decoded settings and version blocks.

    `cells`: how many the pack has, which register 307 alone does not tell for sure.
    """
    return BmsLimits(
        series_cells=cells,
        fully_charged_v=settings.fully_charged_voltage_v,
        fully_discharged_v=settings.fully_discharged_voltage_v,
        early_balancing_v=settings.early_balancing_threshold_v,
        allowed_imbalance_v=settings.allowed_disbalance_v,
        over_voltage_v=settings.over_voltage_cutoff_v,
        under_voltage_v=settings.under_voltage_cutoff_v,
        discharge_over_current_a=settings.discharge_over_current_cutoff_a,
        charge_over_current_a=settings.charge_over_current_cutoff_a,
        peak_discharge_a=settings.peak_discharge_current_cutoff_a,
        over_heat_c=settings.over_heat_cutoff_c,
        low_temperature_charge_c=settings.low_temp_charge_cutoff_c,
        capacity_ah=settings.battery_capacity_ah,
        charge_restart_enabled=settings.enable_charge_restart_level,
        single_port=settings.single_port,
        high_power=version.high_power,
    )
