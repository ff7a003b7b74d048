"""Register table, settings 300-399: the only registers that can be written."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import Final

from tinybms_protocol.register_model import (
    FIRMWARE_REV_D,
    Access,
    Register,
    RegisterGroup,
    RegisterType,
)

FIRMWARE_OPTION_BITS: Final = 243
"""First firmware with the bit field 329."""

_NOTHING_PENDING_RAW: Final = 0xFFFF

_row = partial(
    Register,
    group=RegisterGroup.SETTINGS,
    access=Access.READ_WRITE,
    source="TinyBMS protocol Rev D, register map, settings",
)
_millivolts = partial(_row, scale=0.001, unit="V")
_reserved = partial(_row, type=RegisterType.RESERVED)
_choice = partial(_row, type=RegisterType.ENUM8, low_bit=0, bits=8)
_option = partial(_row, address=329, type=RegisterType.BITS, minimum=0.0, maximum=1.0, bits=1)

_OUTPUT_PINS = ("aido1", "aido2", "dido1", "dido2", "aiho1_low", "aiho1_high", "aiho2_low")
_SWITCH_TYPES = MappingProxyType(dict(enumerate(("fet", *_OUTPUT_PINS, "aiho2_high"))))
_INPUT_PINS = ("aido1", "aido2", "dido1", "dido2", "aiho1", "aiho2")

_VOLTAGES_AND_CAPACITY: tuple[Register, ...] = (
    _millivolts(
        key="fully_charged_voltage",
        label="Fully Charged Voltage",
        address=300,
        minimum=1.2,
        maximum=4.5,
    ),
    _millivolts(
        key="fully_discharged_voltage",
        label="Fully Discharged Voltage",
        address=301,
        minimum=1.0,
        maximum=3.5,
    ),
    _reserved(key="reserved_302", label="Reserved 302", address=302),
    _millivolts(
        key="early_balancing_threshold",
        label="Early Balancing Threshold",
        address=303,
        minimum=1.0,
        maximum=4.5,
    ),
    _row(
        key="charge_finished_current",
        label="Charge Finished Current",
        address=304,
        scale=0.001,
        unit="A",
        minimum=0.1,
        maximum=5.0,
    ),
    # The vendor lists no range: ask the device with command 0x1D.
    _row(
        key="peak_discharge_current_cutoff",
        label="Peak Discharge Current Cutoff",
        address=305,
        unit="A",
        since_firmware=FIRMWARE_REV_D,
    ),
    _row(
        key="battery_capacity",
        label="Battery Capacity",
        address=306,
        scale=0.01,
        unit="Ah",
        minimum=0.1,
        maximum=655.0,
    ),
    _row(
        key="series_cells",
        label="Number of Series Cells",
        address=307,
        unit="cells",
        minimum=4.0,
        maximum=16.0,
    ),
    _millivolts(
        key="allowed_disbalance",
        label="Allowed Cell Disbalance",
        address=308,
        minimum=0.015,
        maximum=0.1,
    ),
    _reserved(key="reserved_309", label="Reserved 309", address=309),
)

_CHARGER_AND_DISTANCE: tuple[Register, ...] = (
    _row(
        key="charger_startup_delay",
        label="Charger Startup Delay",
        address=310,
        unit="s",
        minimum=5.0,
        maximum=60.0,
        since_firmware=FIRMWARE_REV_D,
    ),
    _row(
        key="charger_disable_delay",
        label="Charger Disable Delay",
        address=311,
        unit="s",
        minimum=0.0,
        maximum=60.0,
        since_firmware=FIRMWARE_REV_D,
    ),
    _row(
        key="pulses_per_unit",
        label="Pulses per Distance Unit",
        address=312,
        words=2,
        type=RegisterType.UINT32,
        unit="pulses",
        minimum=1.0,
        maximum=100000.0,
    ),
    _row(
        key="distance_unit",
        label="Distance Unit",
        address=314,
        type=RegisterType.ENUM16,
        names=MappingProxyType({1: "meter", 2: "kilometer", 3: "foot", 4: "mile", 5: "yard"}),
    ),
)

_PROTECTION: tuple[Register, ...] = (
    _millivolts(
        key="over_voltage_cutoff",
        label="Over-Voltage Cutoff",
        address=315,
        minimum=1.2,
        maximum=4.5,
    ),
    _millivolts(
        key="under_voltage_cutoff",
        label="Under-Voltage Cutoff",
        address=316,
        minimum=0.8,
        maximum=3.5,
    ),
    _row(
        key="discharge_over_current_cutoff",
        label="Discharge Over-Current Cutoff",
        address=317,
        unit="A",
        minimum=1.0,
        maximum=750.0,
    ),
    _row(
        key="charge_over_current_cutoff",
        label="Charge Over-Current Cutoff",
        address=318,
        unit="A",
        minimum=1.0,
        maximum=750.0,
    ),
    _row(
        key="over_heat_cutoff",
        label="Over-Heat Cutoff",
        address=319,
        type=RegisterType.INT16,
        unit="°C",
        minimum=20.0,
        maximum=90.0,
    ),
    _row(
        key="low_temp_charge_cutoff",
        label="Low Temperature Charge Cutoff",
        address=320,
        type=RegisterType.INT16,
        unit="°C",
        minimum=-40.0,
        maximum=10.0,
    ),
    _row(
        key="charge_restart_level",
        label="Charge Restart Level",
        address=321,
        unit="%",
        minimum=60.0,
        maximum=95.0,
        since_firmware=FIRMWARE_REV_D,
    ),
    _row(
        key="max_cycles",
        label="Battery Maximum Cycles",
        address=322,
        unit="cycles",
        minimum=10.0,
        maximum=65000.0,
        since_firmware=FIRMWARE_REV_D,
    ),
    # 323 and 328 take a new value and forget it: what was set is seen in 45 and 46.
    _row(
        key="soh_set",
        label="Set State of Health",
        address=323,
        scale=0.002,
        unit="%",
        minimum=0.0,
        maximum=100.0,
        unknown_raw=_NOTHING_PENDING_RAW,
        since_firmware=FIRMWARE_REV_D,
    ),
    _reserved(key="reserved_324_327", label="Reserved 324-327", address=324, words=4),
    _row(
        key="soc_set",
        label="Set State of Charge",
        address=328,
        scale=0.002,
        unit="%",
        minimum=0.0,
        maximum=100.0,
        unknown_raw=_NOTHING_PENDING_RAW,
    ),
)

_OPTIONS: tuple[Register, ...] = (
    _option(
        key="invert_external_current_sensor",
        label="Invert External Current Sensor",
        low_bit=0,
        since_firmware=FIRMWARE_OPTION_BITS,
    ),
    _option(
        key="disable_switch_diagnostics",
        label="Disable Switch Diagnostics",
        low_bit=1,
        since_firmware=FIRMWARE_OPTION_BITS,
    ),
    _option(
        key="enable_charge_restart_level",
        label="Enable Charge Restart Level",
        low_bit=2,
        since_firmware=FIRMWARE_REV_D,
    ),
    # The other two types are reserved by the vendor.
    _choice(
        key="charger_type",
        label="Charger Type",
        address=330,
        minimum=1.0,
        maximum=1.0,
        names=MappingProxyType({0: "variable", 1: "cc_cv", 2: "can"}),
    ),
    # Rev D prints "LSB" for both halves; the timeout is in the high byte.
    _row(
        key="discharge_over_current_timeout",
        label="Discharge Over-Current Timeout",
        address=330,
        type=RegisterType.UINT8,
        unit="s",
        minimum=0.0,
        maximum=30.0,
        low_bit=8,
        bits=8,
        since_firmware=FIRMWARE_REV_D,
    ),
)

_PINS: tuple[Register, ...] = (
    _choice(key="load_switch_type", label="Load Switch Type", address=331, names=_SWITCH_TYPES),
    # Rev D begins at 1; the user manual and firmware 239 allow 0, "no automatic recovery".
    _row(
        key="automatic_recovery",
        label="Automatic Recovery Time",
        address=332,
        type=RegisterType.UINT8,
        unit="s",
        minimum=0.0,
        maximum=30.0,
        low_bit=0,
        bits=8,
    ),
    _choice(
        key="charger_switch_type",
        label="Charger Switch Type",
        address=333,
        names=MappingProxyType(
            dict(enumerate(("charge_fet", *_OUTPUT_PINS, "aiho2_high"), start=1))
        ),
    ),
    _choice(
        key="ignition_input",
        label="Ignition Input",
        address=334,
        names=MappingProxyType(dict(enumerate(("disabled", *_INPUT_PINS)))),
    ),
    _choice(
        key="charger_detection",
        label="Charger Detection",
        address=335,
        names=MappingProxyType(dict(enumerate(("internal", *_INPUT_PINS), start=1))),
    ),
    _choice(
        key="speed_sensor_input",
        label="Speed Sensor Input",
        address=336,
        names=MappingProxyType({0: "disabled", 1: "dido1", 2: "dido2"}),
    ),
    # The number for aiho2_high is doubtful (printed 0x10, probably 0x0A), so it is not offered.
    _choice(
        key="precharge_pin",
        label="Precharge Output",
        address=337,
        names=MappingProxyType(
            {0: "disabled"} | dict(enumerate(("discharge_fet", *_OUTPUT_PINS), start=2))
        ),
    ),
    _choice(
        key="precharge_duration",
        label="Precharge Duration",
        address=338,
        names=MappingProxyType(
            dict(enumerate(("0.1s", "0.2s", "0.5s", "1s", "2s", "3s", "4s", "5s")))
        ),
    ),
)

_MODES: tuple[Register, ...] = (
    _choice(
        key="temp_sensor_type",
        label="Temperature Sensor Type",
        address=339,
        names=MappingProxyType({0: "dual_10k_ntc", 1: "multipoint_active"}),
    ),
    _choice(
        key="operation_mode",
        label="BMS Operation Mode",
        address=340,
        names=MappingProxyType({0: "dual_port", 1: "single_port"}),
    ),
    _choice(
        key="single_port_switch_type",
        label="Single Port Switch Type",
        address=341,
        names=_SWITCH_TYPES,
    ),
    _choice(
        key="broadcast_time",
        label="Broadcast Period",
        address=342,
        names=MappingProxyType(
            dict(enumerate(("disabled", "0.1s", "0.2s", "0.5s", "1s", "2s", "5s", "10s")))
        ),
    ),
    # Only the format of the broadcast: requests and answers are the same whatever it says.
    _choice(
        key="broadcast_protocol",
        label="Broadcast Protocol",
        address=343,
        names=MappingProxyType({0: "ca_v3", 1: "ascii", 2: "soc_bar"}),
    ),
    _reserved(key="reserved_344_399", label="Reserved 344-399", address=344, words=56),
)

SETTINGS_REGISTERS: Final[tuple[Register, ...]] = (
    *_VOLTAGES_AND_CAPACITY,
    *_CHARGER_AND_DISTANCE,
    *_PROTECTION,
    *_OPTIONS,
    *_PINS,
    *_MODES,
)
