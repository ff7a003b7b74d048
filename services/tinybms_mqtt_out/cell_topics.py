"""Topics of the cells: their summary, and one topic for each fitted cell."""

from __future__ import annotations

from functools import partial
from typing import Final

from tinybms_mqtt_out import derive
from tinybms_mqtt_out.model import Band, Group, ValueTopic
from tinybms_mqtt_out.register_topics import register_facts
from tinybms_victron.gx import gx_rows

CHANNELS: Final = 16
"""Measuring channels of the BMS; a pack of fewer cells sits on the top ones."""

_cells = partial(ValueTopic, group=Group.CELLS)

CELL_SUMMARY_TOPICS: Final[tuple[ValueTopic, ...]] = (
    # Taken from the cells themselves, so that the 0.1 mV are kept.
    _cells(
        suffix="min_cell_voltage",
        **register_facts("min_cell_voltage", decimals=4),
        derive=lambda at: at.sample.min_cell_voltage_v,
        gx=gx_rows(1290),
        band=Band(absolute=0.002),
    ),
    _cells(
        suffix="max_cell_voltage",
        **register_facts("max_cell_voltage", decimals=4),
        derive=lambda at: at.sample.max_cell_voltage_v,
        gx=gx_rows(1291),
        band=Band(absolute=0.002),
    ),
    _cells(
        suffix="min_cell_id",
        label="Number of the Lowest Cell",
        derive=lambda at: at.sample.min_cell_id,
        gx=gx_rows(1306),
    ),
    _cells(
        suffix="max_cell_id",
        label="Number of the Highest Cell",
        derive=lambda at: at.sample.max_cell_id,
        gx=gx_rows(1310),
    ),
    _cells(
        suffix="cell_difference",
        label="Cell Voltage Difference",
        unit="V",
        derive=derive.cell_difference_v,
        band=Band(absolute=0.002),
        decimals=4,
    ),
    _cells(
        suffix="balancing",
        label="Balancing (0 inactive, 1 active)",
        derive=derive.balancing,
        gx=gx_rows(1285),
    ),
    _cells(
        suffix="balancing_cells",
        **register_facts("balancing_active_bits"),
        derive=derive.balancing_cells,
    ),
)


def cell_topics(cell_count: int) -> tuple[ValueTopic, ...]:
    """The topics of a pack's fitted cells, 01 at the most negative one.

    A pack of fewer than 16 cells sits on the top channels: with 14 cells, cell 01 is register 2.
    """
    return tuple(_cell_topic(number, cell_count) for number in range(1, cell_count + 1))


def _cell_topic(number: int, cell_count: int) -> ValueTopic:
    channel = CHANNELS - cell_count + number
    return _cells(
        suffix=f"cell_voltage_{number:02d}",
        **register_facts(f"cell_voltage_{channel:02d}", label=f"Cell {number} Voltage"),
        derive=lambda at: at.sample.cell_voltages_v[number - 1],
        band=Band(absolute=0.002),
    )
