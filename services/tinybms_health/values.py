"""The one table of the battery's figures that the API, the metrics and the history share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tinybms_messages.live import Sample
from tinybms_victron.gx import GxRegister, gx_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class PackValue:
    """One figure of the pack.

    `key`: its name in `/api/live` and `/api/history`, with the unit. `register_key`: the TinyBMS
    register it comes from, None when it is computed. `metric`: name in `/metrics`; the value times
    `metric_scale` is in its unit.
    """

    key: str
    label: str
    unit: str
    of: Callable[[Sample], float | None]
    metric: str
    metric_scale: float = 1.0
    register_key: str | None = None
    gx: tuple[GxRegister, ...] = ()
    decimals: int = 3
    in_history: bool = True


PACK_VALUES: Final[tuple[PackValue, ...]] = (
    PackValue(
        key="pack_voltage_v",
        label="Voltage of the pack",
        unit="V",
        of=lambda sample: sample.pack_voltage_v,
        metric="tinybms_pack_voltage_volts",
        register_key="pack_voltage",
        gx=gx_rows(840, 259),
    ),
    PackValue(
        key="pack_current_a",
        label="Current of the pack, positive while it is charged",
        unit="A",
        of=lambda sample: sample.pack_current_a,
        metric="tinybms_pack_current_amperes",
        register_key="pack_current",
        gx=gx_rows(841, 261),
    ),
    PackValue(
        key="power_w",
        label="Power of the pack, positive while it is charged",
        unit="W",
        of=lambda sample: sample.power_w,
        metric="tinybms_pack_power_watts",
        gx=gx_rows(842, 256, 258),
        decimals=1,
        in_history=False,
    ),
    PackValue(
        key="soc_pct",
        label="State of charge",
        unit="%",
        of=lambda sample: sample.soc_pct,
        metric="tinybms_state_of_charge_ratio",
        metric_scale=0.01,
        register_key="state_of_charge",
        gx=gx_rows(843, 266),
    ),
    PackValue(
        key="soh_pct",
        label="State of health",
        unit="%",
        of=lambda sample: sample.soh_pct,
        metric="tinybms_state_of_health_ratio",
        metric_scale=0.01,
        register_key="state_of_health",
        gx=gx_rows(304),
        in_history=False,
    ),
    PackValue(
        key="battery_temperature_c",
        label="Temperature of the battery",
        unit="°C",
        of=lambda sample: sample.battery_temperature_c,
        metric="tinybms_battery_temperature_celsius",
        gx=gx_rows(262),
        decimals=1,
    ),
    PackValue(
        key="internal_temperature_c",
        label="Temperature of the BMS board",
        unit="°C",
        of=lambda sample: sample.internal_temperature_c,
        metric="tinybms_board_temperature_celsius",
        register_key="internal_temp",
        decimals=1,
        in_history=False,
    ),
    PackValue(
        key="min_cell_voltage_v",
        label="Lowest cell voltage",
        unit="V",
        of=lambda sample: sample.min_cell_voltage_v,
        metric="tinybms_cell_voltage_lowest_volts",
        decimals=4,
    ),
    PackValue(
        key="max_cell_voltage_v",
        label="Highest cell voltage",
        unit="V",
        of=lambda sample: sample.max_cell_voltage_v,
        metric="tinybms_cell_voltage_highest_volts",
        decimals=4,
    ),
)

HISTORY_VALUES: Final = tuple(value for value in PACK_VALUES if value.in_history)
