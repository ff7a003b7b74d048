"""What the CAN frames need to know about a pack, taken from one snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tinybms_messages.live import Alarm, Limits, LiveData, Sample
from tinybms_victron.alarms import levels


@dataclass(frozen=True, slots=True, kw_only=True)
class PackView:
    """One pack as a GX shall see it. Current is positive when charging; None is unknown.

    `alarm_levels`: level 0, 1 or 2 of each pair of 0x35A that is supported.
    """

    device: str
    cell_count: int
    charge_voltage_v: float
    charge_current_a: float
    discharge_current_a: float
    discharge_voltage_v: float
    pack_voltage_v: float
    pack_current_a: float
    soc_pct: float
    soh_pct: float | None
    battery_temperature_c: float | None
    alarm_levels: dict[str, int]
    min_cell_voltage_v: float
    max_cell_voltage_v: float
    min_cell_id: int
    max_cell_id: int
    min_temperature: tuple[int, float] | None
    """(probe number, degC) of the coldest fitted probe; number 0 is the board's own sensor."""
    max_temperature: tuple[int, float] | None
    charged_energy_kwh: float | None
    discharged_energy_kwh: float | None
    firmware: int | None
    capacity_ah: float | None
    serial_number: str | None


def pack_view(
    live: LiveData, limits: Limits, alarms: Iterable[Alarm], *, device: str
) -> PackView | None:
    """The pack in `live`, with limits and alarms as they are at its age; None without a sample."""
    sample = live.sample
    if sample is None:
        return None
    identity = live.identity
    coldest, hottest = _extreme_temperatures(sample)
    return PackView(
        device=device,
        cell_count=sample.cell_count,
        charge_voltage_v=limits.charge_voltage_v,
        charge_current_a=limits.charge_current_a,
        discharge_current_a=limits.discharge_current_a,
        discharge_voltage_v=limits.discharge_voltage_v,
        pack_voltage_v=sample.pack_voltage_v,
        pack_current_a=sample.pack_current_a,
        soc_pct=sample.soc_pct,
        soh_pct=sample.soh_pct,
        battery_temperature_c=sample.battery_temperature_c,
        alarm_levels=levels(alarms),
        min_cell_voltage_v=sample.min_cell_voltage_v,
        max_cell_voltage_v=sample.max_cell_voltage_v,
        min_cell_id=sample.min_cell_id,
        max_cell_id=sample.max_cell_id,
        min_temperature=coldest,
        max_temperature=hottest,
        charged_energy_kwh=live.counters.charged_energy_kwh,
        discharged_energy_kwh=live.counters.discharged_energy_kwh,
        firmware=None if identity is None else identity.firmware,
        capacity_ah=None if identity is None else identity.capacity_ah,
        serial_number=None if identity is None else identity.serial_number,
    )


def _extreme_temperatures(
    sample: Sample,
) -> tuple[tuple[int, float] | None, tuple[int, float] | None]:
    probes = sample.cell_temperatures_c
    if not probes:
        return None, None
    return min(probes, key=lambda probe: probe[1]), max(probes, key=lambda probe: probe[1])
