"""Register table, version 500-599."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import Final

from tinybms_protocol.register_model import Register, RegisterGroup, RegisterType

_row = partial(
    Register,
    group=RegisterGroup.VERSION,
    source="TinyBMS protocol Rev D, register map, version",
)
_byte = partial(_row, type=RegisterType.UINT8, minimum=0.0, maximum=255.0, bits=8)

VERSION_REGISTERS: Final[tuple[Register, ...]] = (
    _byte(key="hardware_version", label="Hardware Version", address=500, low_bit=0),
    _byte(
        key="hardware_changes_version",
        label="Hardware Changes Version",
        address=500,
        low_bit=8,
    ),
    _byte(key="firmware_public_version", label="Public Firmware Version", address=501, low_bit=0),
    _row(
        key="power_type",
        label="BMS Power Type",
        address=501,
        type=RegisterType.BITS,
        minimum=0.0,
        maximum=1.0,
        names=MappingProxyType({0: "low_power", 1: "high_power"}),
        low_bit=8,
        bits=1,
    ),
    _row(
        key="current_sensor_used",
        label="Current Sensor Used",
        address=501,
        type=RegisterType.BITS,
        minimum=0.0,
        maximum=2.0,
        names=MappingProxyType({0: "internal_resistor", 1: "internal_hall", 2: "external"}),
        low_bit=9,
        bits=2,
    ),
    # The only number that features may be gated on.
    _row(
        key="firmware_internal_version",
        label="Internal Firmware Version",
        address=502,
        minimum=0.0,
        maximum=65535.0,
    ),
    _byte(key="bootloader_version", label="Bootloader Version", address=503, low_bit=0),
    _byte(key="profile_version", label="Register Map Version", address=503, low_bit=8),
    _row(
        key="serial_number",
        label="Serial Number",
        address=504,
        words=6,
        type=RegisterType.BYTES12,
    ),
    _row(
        key="reserved_510_599",
        label="Reserved 510-599",
        address=510,
        words=90,
        type=RegisterType.RESERVED,
    ),
)
