"""The one table of what can be wrong: check, level, how it shows, and what to do.

A fault stops data, CAN or MQTT now; everything else is a warning.
"""

from __future__ import annotations

from typing import Final

from tinybms_ctl.doctor.rows_devices import CAN, SERIAL
from tinybms_ctl.doctor.rows_gateway import MQTT, PROCESSES, REST
from tinybms_ctl.doctor.rows_setup import SETUP

GROUPS: Final = {
    "Processes": PROCESSES,
    "Serial line and BMS": SERIAL,
    "CAN": CAN,
    "MQTT": MQTT,
    "Data and machine": REST,
    "Set-up of the machine": SETUP,
}
"""The rows by the heading under which the page shows them."""
TROUBLES: Final = {row.name: row for rows in GROUPS.values() for row in rows}
"""By name."""
