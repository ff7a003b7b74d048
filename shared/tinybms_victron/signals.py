"""The one table of CAN frames and their signals (Victron CAN-bus BMS protocol 2021).

Each row says where a signal lies, how it is scaled, how "not supported" looks and which values it
may hold. Encoder, decoder, gate, schedule and simulator all read this table. Little-endian, except
the firmware version in 0x35F.
"""

from __future__ import annotations

from typing import Final

from tinybms_victron.signal_types import Frame, Number, Pair, Text

KELVIN: Final = 273.15

# Order within a byte, from the lowest bits up: shift 0, 2, 4, 6.
_PAIR_NAMES: Final = (
    ("general", "high_voltage", "low_voltage", "high_temperature"),
    ("low_temperature", "high_temperature_charge", "low_temperature_charge", "high_current"),
    ("high_charge_current", "contactor", "short_circuit", "bms_internal"),
)
_LAST_PAIRS: Final = (
    ("alarm.cell_imbalance", "alarm.reserved_1", "alarm.reserved_2", "alarm.reserved_3"),
    ("warning.cell_imbalance", "status.system", "warning.reserved_2", "warning.reserved_3"),
)


def _pairs() -> tuple[Pair, ...]:
    rows: list[tuple[str, ...]] = []
    for kind, last in zip(("alarm", "warning"), _LAST_PAIRS, strict=True):
        rows.extend(tuple(f"{kind}.{name}" for name in names) for names in _PAIR_NAMES)
        rows.append(last)
    return tuple(
        Pair(key=key, offset=offset, shift=2 * position)
        for offset, row in enumerate(rows)
        for position, key in enumerate(row)
    )


_ABSENT: Final = (0xFFFF,)
_ZERO_OR_ABSENT: Final = (0xFFFF, 0x0000)


def _modules(key: str, offset: int) -> Number:
    return Number(key=key, offset=offset, unsupported=_ABSENT, low=0, high=0xFFFE)


def _cell_voltage(key: str, offset: int) -> Number:
    # 0 would read as "not supported": a dead cell is shown as 1 mV.
    return Number(
        key=key,
        offset=offset,
        per_unit=1000,
        unit="V",
        unsupported=_ZERO_OR_ABSENT,
        low=0.001,
        high=6.0,
    )


def _cell_kelvin(key: str, offset: int) -> Number:
    return Number(
        key=key,
        offset=offset,
        shift=KELVIN,
        unit="degC",
        unsupported=_ZERO_OR_ABSENT,
        low=-60,
        high=150,
    )


def _text_frame(can_id: int, key: str) -> Frame:
    return Frame(id=can_id, key=key, fields=(Text(key="text"),))


LIMITS: Final = Frame(
    id=0x351,
    key="limits",
    required=True,
    fields=(
        # 102.3 V: above what 16 cells can need, below what a slip of the scale would give.
        Number(key="charge_voltage_v", offset=0, per_unit=10, unit="V", low=0, high=102.3),
        Number(
            key="charge_current_a",
            offset=2,
            signed=True,
            per_unit=10,
            unit="A",
            low=0,
            high=3276.7,
        ),
        Number(
            key="discharge_current_a",
            offset=4,
            signed=True,
            per_unit=10,
            unit="A",
            low=0,
            high=3276.7,
        ),
        Number(
            key="discharge_voltage_v",
            offset=6,
            per_unit=10,
            unit="V",
            unsupported=(0,),
            low=0.1,
            high=102.3,
        ),
    ),
)
CHARGE: Final = Frame(
    id=0x355,
    key="charge",
    required=True,
    lengths=(4, 6, 8),
    fields=(
        Number(key="soc_pct", offset=0, unit="%", low=0, high=100),
        Number(key="soh_pct", offset=2, unit="%", low=0, high=100),
        Number(
            key="soc_fine_pct",
            offset=4,
            per_unit=100,
            unit="%",
            unsupported=_ABSENT,
            low=0,
            high=100,
        ),
    ),
)
MEASUREMENT: Final = Frame(
    id=0x356,
    key="measurement",
    required=True,
    lengths=(6, 8),
    fields=(
        Number(
            key="pack_voltage_v",
            offset=0,
            signed=True,
            per_unit=100,
            unit="V",
            low=0,
            high=327.67,
        ),
        Number(
            key="pack_current_a",
            offset=2,
            signed=True,
            per_unit=10,
            unit="A",
            low=-3276.8,
            high=3276.7,
        ),
        Number(
            key="battery_temperature_c",
            offset=4,
            signed=True,
            per_unit=10,
            unit="degC",
            low=-60,
            high=150,
        ),
    ),
)
ALARMS: Final = Frame(id=0x35A, key="alarms", required=True, fields=_pairs())
MANUFACTURER: Final = _text_frame(0x35E, "manufacturer")
VERSION: Final = Frame(
    id=0x35F,
    key="version",
    length=6,
    lengths=(6, 8),
    fields=(
        Number(key="battery_type", offset=0, low=0, high=0xFFFF),
        Number(key="firmware_digits", offset=2, big_endian=True, low=0, high=0x9999),
        Number(key="online_capacity_ah", offset=4, unit="Ah", unsupported=(0,), low=1, high=0xFFFF),
    ),
)
NAME_1: Final = _text_frame(0x370, "name_1")
NAME_2: Final = _text_frame(0x371, "name_2")
MODULES: Final = Frame(
    id=0x372,
    key="modules",
    fields=(
        _modules("online", 0),
        _modules("blocking_charge", 2),
        _modules("blocking_discharge", 4),
        _modules("offline", 6),
    ),
)
CELLS: Final = Frame(
    id=0x373,
    key="cells",
    lengths=(4, 8),
    fields=(
        _cell_voltage("min_cell_voltage_v", 0),
        _cell_voltage("max_cell_voltage_v", 2),
        _cell_kelvin("min_temperature_c", 4),
        _cell_kelvin("max_temperature_c", 6),
    ),
)
MIN_CELL: Final = _text_frame(0x374, "min_cell")
MAX_CELL: Final = _text_frame(0x375, "max_cell")
MIN_PROBE: Final = _text_frame(0x376, "min_probe")
MAX_PROBE: Final = _text_frame(0x377, "max_probe")
ENERGY: Final = Frame(
    id=0x378,
    key="energy",
    fields=(
        Number(
            key="charged_energy_kwh",
            offset=0,
            width=4,
            per_unit=10,
            unit="kWh",
            low=0,
            high=0xFFFFFFFF / 10,
        ),
        Number(
            key="discharged_energy_kwh",
            offset=4,
            width=4,
            per_unit=10,
            unit="kWh",
            low=0,
            high=0xFFFFFFFF / 10,
        ),
    ),
)
CAPACITY: Final = Frame(
    id=0x379,
    key="capacity",
    length=2,
    lengths=(2, 8),
    fields=(Number(key="installed_capacity_ah", offset=0, unit="Ah", low=1, high=0xFFFF),),
)
SERIAL_1: Final = _text_frame(0x380, "serial_1")
SERIAL_2: Final = _text_frame(0x381, "serial_2")
FAMILY: Final = _text_frame(0x382, "family")

FRAMES: Final[tuple[Frame, ...]] = (
    LIMITS,
    CHARGE,
    MEASUREMENT,
    ALARMS,
    MANUFACTURER,
    VERSION,
    NAME_1,
    NAME_2,
    MODULES,
    CELLS,
    MIN_CELL,
    MAX_CELL,
    MIN_PROBE,
    MAX_PROBE,
    ENERGY,
    CAPACITY,
    SERIAL_1,
    SERIAL_2,
    FAMILY,
)
"""What the gateway sends."""

KEEPALIVE: Final = Frame(id=0x305, key="keepalive", fields=())
INVERTER: Final = Frame(
    id=0x307,
    key="inverter",
    fields=(
        Number(key="raw_low", offset=0, width=4, low=0, high=0xFFFFFFFF),
        Text(key="text", offset=4, width=4),
    ),
)

GX_FRAMES: Final[tuple[Frame, ...]] = (KEEPALIVE, INVERTER)
"""What a GX sends; the gateway listens to these and never sends them."""

BY_ID: Final[dict[int, Frame]] = {frame.id: frame for frame in FRAMES}
ANY_BY_ID: Final[dict[int, Frame]] = {frame.id: frame for frame in (*FRAMES, *GX_FRAMES)}
