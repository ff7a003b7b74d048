"""Typed views of the settings (300-343) and of the version block (500-509)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tinybms_protocol.decode import Reading, Value, decode_block
from tinybms_protocol.wire import pack_le

SETTINGS_ADDRESS: Final = 300
SETTINGS_WORDS: Final = 44
VERSION_ADDRESS: Final = 500
VERSION_WORDS: Final = 10

FIRMWARE_MINIMUM: Final = 236
"""Older firmware has another register map."""
FIRMWARE_SAFE_WRITES: Final = 230
"""Older firmware could restart on a write."""
FIRMWARE_RECOMMENDED: Final = 243


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsBlock:
    """Settings of the BMS, as read: a value outside the table's range is not corrected.

    Cell voltages are per cell. None: this firmware does not have the setting, or it is not set.
    Source: TinyBMS protocol Rev D, register map, settings.
    """

    fully_charged_voltage_v: float
    """In single port mode the only switch opens when a cell reaches it."""
    fully_discharged_voltage_v: float
    early_balancing_threshold_v: float
    charge_finished_current_a: float
    peak_discharge_current_cutoff_a: float | None
    battery_capacity_ah: float
    series_cells: int
    allowed_disbalance_v: float
    over_voltage_cutoff_v: float
    under_voltage_cutoff_v: float
    discharge_over_current_cutoff_a: float
    """Trips regeneration too."""
    charge_over_current_cutoff_a: float
    over_heat_cutoff_c: float
    low_temp_charge_cutoff_c: float
    charge_restart_level_pct: float | None
    enable_charge_restart_level: bool
    discharge_over_current_timeout_s: float | None
    automatic_recovery_s: float
    """0: a protection never ends by itself."""
    max_cycles: int | None
    temp_sensor_type: str
    single_port: bool
    broadcast_time: str
    """"disabled" or the period of the text that the BMS sends by itself."""
    broadcast_protocol: str

    @classmethod
    def from_words(cls, words: Sequence[int], *, firmware: int | None = None) -> SettingsBlock:
        """Decode registers 300-343; `firmware` is register 502. ValueError for another length."""
        if len(words) != SETTINGS_WORDS:
            raise ValueError(f"the settings have {SETTINGS_WORDS} words, {len(words)} given")
        readings = decode_block(SETTINGS_ADDRESS, words, firmware=firmware)
        number = _Numbers(readings)
        return cls(
            fully_charged_voltage_v=number("fully_charged_voltage"),
            fully_discharged_voltage_v=number("fully_discharged_voltage"),
            early_balancing_threshold_v=number("early_balancing_threshold"),
            charge_finished_current_a=number("charge_finished_current"),
            peak_discharge_current_cutoff_a=number.unless_zero("peak_discharge_current_cutoff"),
            battery_capacity_ah=number("battery_capacity"),
            series_cells=int(number("series_cells")),
            allowed_disbalance_v=number("allowed_disbalance"),
            over_voltage_cutoff_v=number("over_voltage_cutoff"),
            under_voltage_cutoff_v=number("under_voltage_cutoff"),
            discharge_over_current_cutoff_a=number("discharge_over_current_cutoff"),
            charge_over_current_cutoff_a=number("charge_over_current_cutoff"),
            over_heat_cutoff_c=number("over_heat_cutoff"),
            low_temp_charge_cutoff_c=number("low_temp_charge_cutoff"),
            charge_restart_level_pct=number.unless_zero("charge_restart_level"),
            enable_charge_restart_level=readings["enable_charge_restart_level"].value == 1,
            discharge_over_current_timeout_s=number.if_known("discharge_over_current_timeout"),
            automatic_recovery_s=number("automatic_recovery"),
            max_cycles=_int_or_none(number.unless_zero("max_cycles")),
            temp_sensor_type=str(readings["temp_sensor_type"].value),
            single_port=readings["operation_mode"].value == "single_port",
            broadcast_time=str(readings["broadcast_time"].value),
            broadcast_protocol=str(readings["broadcast_protocol"].value),
        )

    @property
    def broadcasts(self) -> bool:
        """Whether the BMS sends by itself, between and in front of its answers."""
        return self.broadcast_time != "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionBlock:
    """What the BMS is. Source: TinyBMS protocol Rev D, register map, version."""

    hardware: int
    hardware_changes: int
    firmware_public: int
    firmware: int
    """Register 502; release names are 2.3.<firmware>. The only number to gate features on."""
    bootloader: int
    register_map: int
    high_power: bool
    current_sensor: str
    """internal_resistor, internal_hall, external or unknown_3."""
    serial_number: str
    """24 hexadecimal digits, in the order of the bytes in memory."""

    @classmethod
    def from_words(cls, words: Sequence[int]) -> VersionBlock:
        """Decode registers 500-509. ValueError for another length."""
        if len(words) != VERSION_WORDS:
            raise ValueError(f"the version has {VERSION_WORDS} words, {len(words)} given")
        readings = decode_block(VERSION_ADDRESS, words)
        number = _Numbers(readings)
        return cls(
            hardware=int(number("hardware_version")),
            hardware_changes=int(number("hardware_changes_version")),
            firmware_public=int(number("firmware_public_version")),
            firmware=int(number("firmware_internal_version")),
            bootloader=int(number("bootloader_version")),
            register_map=int(number("profile_version")),
            high_power=readings["power_type"].value == "high_power",
            current_sensor=str(readings["current_sensor_used"].value),
            serial_number=pack_le(words[4:10]).hex(),
        )

    @property
    def hardware_name(self) -> str:
        """Board version as people write it, such as 2.1."""
        return f"{self.hardware}.{self.hardware_changes}"


class _Numbers:
    """Numbers out of decoded readings, by key."""

    def __init__(self, readings: Mapping[str, Reading]) -> None:
        self._readings = readings

    def __call__(self, key: str) -> float:
        value = self.if_known(key)
        if value is None:
            raise TypeError(f"{key} is not a number")
        return value

    def if_known(self, key: str) -> float | None:
        value: Value = self._readings[key].value
        return None if value is None or isinstance(value, str) else value

    def unless_zero(self, key: str) -> float | None:
        return self.if_known(key) or None


def _int_or_none(value: float | None) -> int | None:
    return None if value is None else int(value)
