"""Register table, live data 0-99."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import Final

from tinybms_protocol.register_model import (
    FIRMWARE_REV_D,
    Register,
    RegisterGroup,
    RegisterType,
)

CHANNELS: Final = 16
NOT_FITTED_RAW: Final = -32768
UINT32_MAX: Final = 0xFFFFFFFF

ONLINE_STATUS_NAMES: Final = MappingProxyType(
    {
        0x91: "charging",
        0x92: "fully_charged",
        0x93: "discharging",
        0x96: "regeneration",
        0x97: "idle",
        0x9B: "fault",
    }
)

_row = partial(
    Register, group=RegisterGroup.LIVE, source="TinyBMS protocol Rev D, register map, live data"
)
_temperature = partial(
    _row,
    type=RegisterType.INT16,
    scale=0.1,
    unit="°C",
    minimum=-40.0,
    maximum=125.0,
    unknown_raw=NOT_FITTED_RAW,
)

LIVE_REGISTERS: Final[tuple[Register, ...]] = (
    # The number is that of the measuring channel. Packs with fewer than 16 cells sit on the top
    # channels: see LiveBlock.pack_cells.
    *(
        _row(
            key=f"cell_voltage_{channel:02d}",
            label=f"Cell Channel {channel} Voltage",
            address=channel - 1,
            scale=0.0001,
            unit="V",
            minimum=0.0,
            maximum=6.5535,
        )
        for channel in range(1, CHANNELS + 1)
    ),
    _row(
        key="reserved_16_31",
        label="Reserved 16-31",
        address=16,
        words=16,
        type=RegisterType.RESERVED,
    ),
    _row(
        key="lifetime_counter",
        label="BMS Lifetime",
        address=32,
        words=2,
        type=RegisterType.UINT32,
        unit="s",
        minimum=0.0,
        maximum=UINT32_MAX,
    ),
    _row(
        key="estimated_time_left",
        label="Estimated Time Left",
        address=34,
        words=2,
        type=RegisterType.UINT32,
        unit="s",
        minimum=0.0,
        maximum=UINT32_MAX,
    ),
    _row(
        key="pack_voltage",
        label="Battery Pack Voltage",
        address=36,
        words=2,
        type=RegisterType.FLOAT32,
        unit="V",
        minimum=0.0,
        maximum=80.0,
    ),
    _row(
        key="pack_current",
        label="Battery Pack Current",
        address=38,
        words=2,
        type=RegisterType.FLOAT32,
        unit="A",
        minimum=-750.0,
        maximum=750.0,
    ),
    # These two count 1 mV, the cells themselves 0.1 mV.
    _row(
        key="min_cell_voltage",
        label="Lowest Cell Voltage",
        address=40,
        scale=0.001,
        unit="V",
        minimum=0.0,
        maximum=65.535,
    ),
    _row(
        key="max_cell_voltage",
        label="Highest Cell Voltage",
        address=41,
        scale=0.001,
        unit="V",
        minimum=0.0,
        maximum=65.535,
    ),
    _temperature(key="external_temp_1", label="External Temperature 1", address=42),
    _temperature(key="external_temp_2", label="External Temperature 2", address=43),
    _row(
        key="distance_left",
        label="Distance Left",
        address=44,
        unit="km",
        minimum=0.0,
        maximum=65535.0,
    ),
    _row(
        key="state_of_health",
        label="State of Health",
        address=45,
        scale=0.002,
        unit="%",
        minimum=0.0,
        maximum=100.0,
        since_firmware=FIRMWARE_REV_D,
    ),
    _row(
        key="state_of_charge",
        label="State of Charge",
        address=46,
        words=2,
        type=RegisterType.UINT32,
        scale=1e-6,
        unit="%",
        minimum=0.0,
        maximum=100.0,
    ),
    _temperature(key="internal_temp", label="Internal Temperature", address=48),
    _row(key="reserved_49", label="Reserved 49", address=49, type=RegisterType.RESERVED),
    _row(
        key="online_status",
        label="Online Status",
        address=50,
        type=RegisterType.ENUM16,
        names=ONLINE_STATUS_NAMES,
    ),
    # Bit i belongs to register i, so it is a channel, not a pack cell.
    _row(
        key="balancing_decision_bits",
        label="Cells That Need Balancing",
        address=51,
        type=RegisterType.BITMASK16,
    ),
    _row(
        key="balancing_active_bits",
        label="Cells Being Balanced",
        address=52,
        type=RegisterType.BITMASK16,
    ),
    _row(
        key="detected_cells",
        label="Detected Cells",
        address=53,
        unit="cells",
        minimum=0.0,
        maximum=16.0,
    ),
    _row(
        key="speed",
        label="Vehicle Speed",
        address=54,
        words=2,
        type=RegisterType.FLOAT32,
        unit="km/h",
        minimum=0.0,
    ),
    _row(
        key="reserved_56_99",
        label="Reserved 56-99",
        address=56,
        words=44,
        type=RegisterType.RESERVED,
    ),
)
