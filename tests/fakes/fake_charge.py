"""Measurements, settings and parameters of a plain 16-cell LFP pack, with what a test changes."""

from __future__ import annotations

from dataclasses import asdict

import msgspec

from tinybms_charge.bms import BmsLimits
from tinybms_charge.measurement import Measurement
from tinybms_charge.parameters import ChargeParameters, charge_parameters
from tinybms_charge.state import ChargeState
from tinybms_charge.step import Step, step
from tinybms_config.model import Config

BMS = BmsLimits(
    series_cells=16,
    fully_charged_v=3.6,
    fully_discharged_v=2.8,
    early_balancing_v=3.4,
    allowed_imbalance_v=0.015,
    over_voltage_v=3.65,
    under_voltage_v=2.5,
    discharge_over_current_a=150.0,
    charge_over_current_a=120.0,
    peak_discharge_a=200.0,
    over_heat_c=60.0,
    low_temperature_charge_c=0.0,
    capacity_ah=280.0,
    charge_restart_enabled=True,
    single_port=False,
    high_power=True,
)


def make_bms(**changes: float | None) -> BmsLimits:
    return msgspec.convert(asdict(BMS) | changes, BmsLimits, strict=False)


def make_parameters(*, stale_dcl: str = "hold", **charge: object) -> ChargeParameters:
    """`charge`: keys of the table [charge]."""
    tables = {"charge": charge, "can": {"stale_dcl": stale_dcl}}
    return charge_parameters(msgspec.convert(tables, Config))


PARAMETERS = make_parameters()


def make_measurement(
    *,
    cells: int = 16,
    cell_v: float = 3.3,
    cell_voltages_v: tuple[float | None, ...] | None = None,
    pack_current_a: float | None = 0.0,
    soc_pct: float | None = 60.0,
    temperature_c: float = 25.0,
    temperatures_c: tuple[tuple[int, float], ...] | None = None,
    status: str = "idle",
    event_ids: frozenset[int] = frozenset(),
    alternative: Measurement | None = None,
) -> Measurement:
    """Equal cells and one probe unless given; the pack voltage is the sum of the cells."""
    voltages = (cell_v,) * cells if cell_voltages_v is None else cell_voltages_v
    return Measurement(
        cell_voltages_v=voltages,
        pack_voltage_v=sum(v for v in voltages if v is not None),
        pack_current_a=pack_current_a,
        soc_pct=soc_pct,
        temperatures_c=((1, temperature_c),) if temperatures_c is None else temperatures_c,
        status=status,
        event_ids=event_ids,
        alternative=alternative,
    )


def one_cell(volts: float, *, others_v: float = 3.3, cells: int = 16) -> tuple[float, ...]:
    """All cells at `others_v` but cell 6."""
    return tuple(volts if index == 5 else others_v for index in range(cells))


def settled(
    measurement: Measurement,
    bms: BmsLimits = BMS,
    parameters: ChargeParameters = PARAMETERS,
    *,
    state: ChargeState | None = None,
    seconds: float = 400.0,
) -> Step:
    """The result once every ramp has ended."""
    result = step(state or ChargeState(), measurement, bms, parameters, 0.0)
    for _ in range(int(seconds / 2)):
        result = step(result.state, measurement, bms, parameters, 2.0)
    return result
