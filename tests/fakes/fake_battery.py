"""LIVE_DATA of a battery as tests of the outputs need it."""

from __future__ import annotations

from tinybms_messages.live import (
    Alarm,
    AlarmName,
    Counters,
    Identity,
    Limits,
    Link,
    LiveData,
    Reason,
    Sample,
)

WALL_NS = 1_795_600_000_123_000_000
CELLS_V = tuple(3.2900 + 0.0001 * number for number in range(16))


def sample(**changes: object) -> Sample:
    """A 16-cell pack at 52.71 V that discharges with 12.3 A."""
    values: dict[str, object] = {
        "seq": 81_234,
        "boottime_ns": 1_000_000_000_000,
        "wall_ns": WALL_NS,
        "time_ok": True,
        "cell_voltages_v": CELLS_V,
        "cells_balancing": tuple(number in {2, 6} for number in range(16)),
        "pack_voltage_v": 52.709999,
        "pack_current_a": -12.3,
        "soc_pct": 63.4,
        "soh_pct": 98.0,
        "battery_temperature_c": 21.5,
        "external_temperature_1_c": 21.5,
        "external_temperature_2_c": None,
        "internal_temperature_c": 30.1,
        "online_status_raw": 0x93,
        "online_status": "discharging",
        "time_to_go_s": 12_345,
        "lifetime_s": 4_000_000,
    }
    return Sample(**{**values, **changes})  # type: ignore[arg-type]  # each test names its fields


def limits(**changes: object) -> Limits:
    """Limits with one reason each."""
    values: dict[str, object] = {
        "charge_voltage_v": 56.8,
        "charge_current_a": 60.0,
        "discharge_current_a": 100.0,
        "discharge_voltage_v": 44.8,
        "system_state": "bulk",
        "voltage_reasons": (Reason(code="preset", text="absorption voltage", value=56.8),),
        "charge_reasons": (Reason(code="user", text="the owner's maximum", value=60.0),),
        "discharge_reasons": (Reason(code="user", text="the owner's maximum", value=100.0),),
    }
    return Limits(**{**values, **changes})  # type: ignore[arg-type]  # each test names its fields


def live(**changes: object) -> LiveData:
    """A healthy battery with one warning."""
    values: dict[str, object] = {
        "sample": sample(),
        "limits": limits(),
        "alarms": (Alarm(name=AlarmName.CELL_IMBALANCE, level=1, text="cells differ by 62 mV"),),
        "counters": Counters(charged_energy_kwh=1234.5678, discharged_ah=4321.6),
        "identity": Identity(
            serial_number="0123456789abcdef01234567",
            firmware=251,
            hardware="2.1",
            capacity_ah=320.0,
            single_port=False,
        ),
        "link": Link(state="online", port="/dev/ttyUSB0", polls=10, replies=10),
    }
    return LiveData(**{**values, **changes})  # type: ignore[arg-type]  # each test names its fields
