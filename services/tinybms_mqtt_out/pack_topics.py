"""Topics of the pack as a whole."""

from __future__ import annotations

from functools import partial
from typing import Final

from tinybms_mqtt_out import derive
from tinybms_mqtt_out.model import Band, Group, ValueTopic
from tinybms_mqtt_out.register_topics import register_facts
from tinybms_victron.gx import gx_rows

_pack = partial(ValueTopic, group=Group.PACK)

PACK_TOPICS: Final[tuple[ValueTopic, ...]] = (
    _pack(
        suffix="battery_voltage",
        **register_facts("pack_voltage"),
        derive=lambda at: at.sample.pack_voltage_v,
        gx=gx_rows(840, 259),
        band=Band(absolute=0.02),
        legacy_suffix="battery_pack_voltage",
    ),
    _pack(
        suffix="battery_current",
        **register_facts("pack_current"),
        derive=lambda at: at.sample.pack_current_a,
        gx=gx_rows(841, 261),
        band=Band(absolute=0.1),
        legacy_suffix="battery_pack_current",
    ),
    _pack(
        suffix="battery_power",
        label="Battery Power",
        unit="W",
        derive=lambda at: at.sample.power_w,
        gx=gx_rows(842, 256, 258),
        band=Band(absolute=5.0),
        decimals=1,
        legacy_suffix="pack_power_w",
    ),
    _pack(
        suffix="soc_percent",
        **register_facts("state_of_charge"),
        derive=lambda at: at.sample.soc_pct,
        gx=gx_rows(843, 266),
        critical=True,
        band=Band(absolute=0.1),
        legacy_suffix="state_of_charge",
    ),
    _pack(
        suffix="battery_state",
        label="Battery State (0 idle, 1 charging, 2 discharging)",
        derive=derive.battery_state,
        gx=gx_rows(844),
    ),
    _pack(
        suffix="time_to_go",
        **register_facts("estimated_time_left", label="Time to Go"),
        derive=lambda at: at.sample.time_to_go_s,
        gx=gx_rows(846, 303),
        band=Band(absolute=100.0),
    ),
    _pack(
        suffix="battery_temperature",
        label="Battery Temperature",
        unit="°C",
        derive=lambda at: at.sample.battery_temperature_c,
        gx=gx_rows(262),
        band=Band(absolute=0.2),
        decimals=1,
    ),
    _pack(
        suffix="internal_temperature",
        **register_facts("internal_temp"),
        derive=lambda at: at.sample.internal_temperature_c,
        band=Band(absolute=0.2),
        legacy_suffix="internal_temperature",
    ),
    _pack(
        suffix="external_temperature_1",
        **register_facts("external_temp_1"),
        derive=lambda at: at.sample.external_temperature_1_c,
        band=Band(absolute=0.2),
    ),
    _pack(
        suffix="external_temperature_2",
        **register_facts("external_temp_2"),
        derive=lambda at: at.sample.external_temperature_2_c,
        band=Band(absolute=0.2),
    ),
    _pack(
        suffix="soh_percent",
        **register_facts("state_of_health"),
        derive=lambda at: at.sample.soh_pct,
        gx=gx_rows(304),
        band=Band(absolute=0.1),
        legacy_suffix="state_of_health",
    ),
    _pack(
        suffix="capacity_ah",
        **register_facts("battery_capacity"),
        derive=derive.capacity_ah,
        gx=gx_rows(309),
        band=Band(absolute=0.1),
    ),
    _pack(
        suffix="consumed_ah",
        label="Consumed Charge",
        unit="Ah",
        derive=derive.consumed_ah,
        gx=gx_rows(845, 265),
        band=Band(absolute=0.1),
        decimals=2,
    ),
    _pack(
        suffix="online_status",
        **register_facts("online_status"),
        derive=lambda at: at.sample.online_status,
        derive_raw=lambda at: at.sample.online_status_raw,
    ),
    _pack(
        suffix="lifetime_s",
        **register_facts("lifetime_counter"),
        derive=lambda at: at.sample.lifetime_s,
        band=Band(absolute=10.0),
    ),
)
