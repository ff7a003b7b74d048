"""A healthy sixteen-cell pack as LIVE_DATA, to be changed in the one place a test is about."""

from __future__ import annotations

from msgspec.structs import replace

from tinybms_messages.live import (
    Alarm,
    AlarmName,
    Counters,
    Identity,
    Limits,
    Link,
    LiveData,
    Sample,
)


def fake_sample(**changes: object) -> Sample:
    sample = Sample(
        seq=1,
        boottime_ns=1_000_000_000,
        wall_ns=1_790_000_000_000_000_000,
        time_ok=True,
        cell_voltages_v=tuple(3.29 + 0.001 * cell for cell in range(16)),
        cells_balancing=(False,) * 16,
        pack_voltage_v=52.70,
        pack_current_a=-12.3,
        soc_pct=63.26,
        soh_pct=98.0,
        battery_temperature_c=23.5,
        external_temperature_1_c=23.5,
        external_temperature_2_c=24.6,
        internal_temperature_c=31.0,
        online_status_raw=0x93,
        online_status="discharging",
        time_to_go_s=None,
        lifetime_s=1_000_000,
    )
    return replace(sample, **changes)


def fake_limits(**changes: object) -> Limits:
    limits = Limits(
        charge_voltage_v=55.2,
        charge_current_a=60.0,
        discharge_current_a=100.0,
        discharge_voltage_v=44.0,
        system_state="bulk",
    )
    return replace(limits, **changes)


def fake_alarms(**levels: int) -> tuple[Alarm, ...]:
    """Every alarm at level 0, but those named."""
    return tuple(Alarm(name=name, level=levels.get(name.value, 0)) for name in AlarmName)


def fake_live(**changes: object) -> LiveData:
    live = LiveData(
        sample=fake_sample(),
        limits=fake_limits(),
        alarms=fake_alarms(),
        counters=Counters(charged_energy_kwh=123.4, discharged_energy_kwh=96.8),
        identity=Identity(
            serial_number="0123456789abcdef01234567",
            firmware=243,
            hardware="2.1",
            capacity_ah=280.0,
            single_port=False,
        ),
        link=Link(state="online"),
    )
    return replace(live, **changes)
