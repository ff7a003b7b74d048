"""Topics of totals and records that outlive the day."""

from __future__ import annotations

from functools import partial
from typing import Final

from tinybms_mqtt_out.model import Band, Group, ValueTopic
from tinybms_mqtt_out.register_topics import register_facts
from tinybms_victron.gx import gx_rows

_total = partial(ValueTopic, group=Group.TOTALS)

TOTAL_TOPICS: Final[tuple[ValueTopic, ...]] = (
    _total(
        suffix="charged_energy_kwh",
        label="Charged Energy",
        unit="kWh",
        derive=lambda at: at.live.counters.charged_energy_kwh,
        gx=gx_rows(302),
        band=Band(absolute=0.01),
    ),
    _total(
        suffix="discharged_energy_kwh",
        label="Discharged Energy",
        unit="kWh",
        derive=lambda at: at.live.counters.discharged_energy_kwh,
        gx=gx_rows(301),
        band=Band(absolute=0.01),
    ),
    _total(
        suffix="charge_cycles",
        **register_facts("full_charge_count", label="Charge Cycles"),
        gx=gx_rows(284),
    ),
    _total(
        suffix="full_discharges",
        label="Full Discharges",
        derive=lambda _at: None,
        gx=gx_rows(285),
        note="not counted by the BMS nor by the gateway",
    ),
    _total(
        suffix="total_ah_drawn",
        label="Total Charge Drawn",
        unit="Ah",
        derive=lambda at: at.live.counters.discharged_ah,
        gx=gx_rows(286),
        band=Band(absolute=0.1),
        decimals=2,
    ),
    _total(
        suffix="min_voltage_seen",
        label="Lowest Pack Voltage Seen",
        unit="V",
        derive=lambda at: at.live.counters.min_voltage_seen_v,
        gx=gx_rows(287),
        band=Band(absolute=0.01),
    ),
    _total(
        suffix="max_voltage_seen",
        label="Highest Pack Voltage Seen",
        unit="V",
        derive=lambda at: at.live.counters.max_voltage_seen_v,
        gx=gx_rows(288),
        band=Band(absolute=0.01),
    ),
    _total(
        suffix="time_since_full_s",
        label="Time since the Last Full Charge",
        unit="s",
        derive=lambda at: at.live.counters.time_since_full_s,
        gx=gx_rows(289),
        band=Band(absolute=100.0),
    ),
    _total(
        suffix="low_voltage_alarms",
        **register_facts("under_voltage_count", label="Low Voltage Alarms"),
        gx=gx_rows(291),
    ),
    _total(
        suffix="high_voltage_alarms",
        **register_facts("over_voltage_count", label="High Voltage Alarms"),
        gx=gx_rows(292),
    ),
    _total(
        suffix="min_cell_voltage_seen",
        label="Lowest Cell Voltage Seen",
        unit="V",
        derive=lambda at: at.live.counters.min_cell_voltage_seen_v,
        gx=gx_rows(1300),
        band=Band(absolute=0.002),
        decimals=4,
    ),
    _total(
        suffix="max_cell_voltage_seen",
        label="Highest Cell Voltage Seen",
        unit="V",
        derive=lambda at: at.live.counters.max_cell_voltage_seen_v,
        gx=gx_rows(1301),
        band=Band(absolute=0.002),
        decimals=4,
    ),
)
