"""Register table, statistics 100-199. They are records of the past, never limits."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import Final

from tinybms_protocol.register_model import Register, RegisterGroup, RegisterType

_UINT32_MAX: Final = 0xFFFFFFFF

_row = partial(
    Register,
    group=RegisterGroup.STATISTICS,
    source="TinyBMS protocol Rev D, register map, statistics",
)
_count = partial(_row, unit="count", minimum=0.0, maximum=65535.0)

_RESET_CAUSES = MappingProxyType(
    {
        0: "unknown",
        1: "low_power",
        2: "window_watchdog",
        3: "independent_watchdog",
        4: "software",
        5: "por_pdr",
        6: "pin",
        7: "option_bytes_loading",
    }
)
_WAKE_UP_CAUSES = MappingProxyType(
    {0: "charger_connected", 1: "ignition", 2: "discharge_detected", 3: "uart_communication"}
)

STATISTICS_REGISTERS: Final[tuple[Register, ...]] = (
    _row(
        key="total_distance",
        label="Total Distance",
        address=100,
        words=2,
        type=RegisterType.UINT32,
        scale=0.01,
        unit="km",
        minimum=0.0,
        maximum=_UINT32_MAX * 0.01,
    ),
    _row(
        key="max_discharge_current_seen",
        label="Highest Discharge Current Seen",
        address=102,
        scale=0.1,
        unit="A",
        minimum=0.0,
        maximum=6553.5,
    ),
    _row(
        key="max_charge_current_seen",
        label="Highest Charge Current Seen",
        address=103,
        scale=0.1,
        unit="A",
        minimum=0.0,
        maximum=6553.5,
    ),
    # Firmware 242 holds the present spread of the cells here, not a record.
    _row(
        key="max_cell_difference",
        label="Cell Voltage Difference",
        address=104,
        scale=0.0001,
        unit="V",
        minimum=0.0,
        maximum=6.5535,
    ),
    _count(key="under_voltage_count", label="Under-Voltage Protections", address=105),
    _count(key="over_voltage_count", label="Over-Voltage Protections", address=106),
    _count(
        key="discharge_over_current_count",
        label="Discharge Over-Current Protections",
        address=107,
    ),
    _count(
        key="charge_over_current_count",
        label="Charge Over-Current Protections",
        address=108,
    ),
    _count(key="over_heat_count", label="Over-Heat Protections", address=109),
    _row(key="reserved_110", label="Reserved 110", address=110, type=RegisterType.RESERVED),
    _count(key="charging_count", label="Charging Sessions", address=111),
    _count(key="full_charge_count", label="Full Charges", address=112),
    _row(
        key="min_pack_temp_seen",
        label="Lowest Pack Temperature Seen",
        address=113,
        type=RegisterType.INT8,
        unit="°C",
        minimum=-128.0,
        maximum=127.0,
        low_bit=0,
        bits=8,
    ),
    _row(
        key="max_pack_temp_seen",
        label="Highest Pack Temperature Seen",
        address=113,
        type=RegisterType.INT8,
        unit="°C",
        minimum=-128.0,
        maximum=127.0,
        low_bit=8,
        bits=8,
    ),
    _row(
        key="last_reset_cause",
        label="Last Reset Cause",
        address=114,
        type=RegisterType.ENUM8,
        names=_RESET_CAUSES,
        low_bit=0,
        bits=8,
    ),
    _row(
        key="last_wakeup_cause",
        label="Last Wake-Up Cause",
        address=114,
        type=RegisterType.ENUM8,
        names=_WAKE_UP_CAUSES,
        low_bit=8,
        bits=8,
    ),
    _row(key="reserved_115", label="Reserved 115", address=115, type=RegisterType.RESERVED),
    _row(
        key="stats_cleared_at",
        label="Statistics Cleared At",
        address=116,
        words=2,
        type=RegisterType.UINT32,
        unit="s",
        minimum=0.0,
        maximum=_UINT32_MAX,
    ),
    _row(
        key="reserved_118_199",
        label="Reserved 118-199",
        address=118,
        words=82,
        type=RegisterType.RESERVED,
    ),
)
