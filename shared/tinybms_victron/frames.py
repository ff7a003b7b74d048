"""All frames of a pack: which value goes into which signal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tinybms_victron import signals
from tinybms_victron.alarms import pair_values
from tinybms_victron.encode import Value, clamped, encode
from tinybms_victron.pack_view import PackView
from tinybms_victron.signal_types import TEXT_LENGTH, Frame, Number

BRAND: Final = "TinyBMS "
"""Manufacturer and first half of the name. Eight characters, so that 0x371 begins a new word; not a
name to which the GX applies rules of its own."""

FAMILY_NAME: Final = "TinyBMS"

SOH_WHEN_UNKNOWN_PCT: Final = 100.0
"""0x355 has no code for an unknown SOH and no length without it. Firmware before 2.3.251 does not
know it; 100 % is what batteries without an SOH send, and no control on the GX reads it."""

_NO_FRAME: Final[None] = None
_Values = Mapping[str, Value]


def encode_all(view: PackView) -> dict[int, bytes]:
    """The data of every frame that can be made from `view`, by CAN id, in the table's order.

    A frame is left out when a value without a "not supported" code is unknown: 0x356 without a
    temperature, 0x35F, 0x379, 0x380 and 0x381 before the identity is read, 0x378 while a counter is
    unknown.
    """
    frames = ((frame, encode_frame(frame, view)) for frame in signals.FRAMES)
    return {frame.id: data for frame, data in frames if data is not None}


def encode_frame(frame: Frame, view: PackView) -> bytes | None:
    """The data of one frame, None when what it must hold is unknown."""
    values = frame_values(frame, view)
    if values is None:
        return None
    return encode(frame, values, length=_length(frame, values))


def frame_values(frame: Frame, view: PackView) -> _Values | None:
    """The values of one frame by signal key, before rounding and clamping."""
    return _VALUES[frame.id](view)


def clamped_signals(view: PackView) -> tuple[str, ...]:
    """Signals whose value is outside the table's range, so that a nearer one goes out."""
    found = []
    for frame in signals.FRAMES:
        values = frame_values(frame, view)
        for field in frame.fields if values is not None else ():
            value = None if values is None else values.get(field.key)
            if (
                isinstance(field, Number)
                and isinstance(value, int | float)
                and clamped(field, value)
            ):
                found.append(field.key)
    return tuple(found)


def firmware_digits(firmware: int) -> int:
    """Register 502 as four decimal digits, one in each half byte: 243 is 0x0243, shown as v2.43.

    A GX shows byte 2 before the point and byte 3 after it, each in hexadecimal digits.
    """
    return int(str(min(max(firmware, 0), 9999)), 16)


def _length(frame: Frame, values: _Values) -> int:
    if frame is signals.CELLS and values["min_temperature_c"] is None:
        return 4
    return frame.length


def _limits(view: PackView) -> _Values:
    return {
        "charge_voltage_v": view.charge_voltage_v,
        "charge_current_a": view.charge_current_a,
        "discharge_current_a": view.discharge_current_a,
        "discharge_voltage_v": view.discharge_voltage_v,
    }


def _charge(view: PackView) -> _Values:
    return {
        "soc_pct": view.soc_pct,
        "soh_pct": SOH_WHEN_UNKNOWN_PCT if view.soh_pct is None else view.soh_pct,
        "soc_fine_pct": view.soc_pct,
    }


def _measurement(view: PackView) -> _Values | None:
    if view.battery_temperature_c is None:
        return _NO_FRAME
    return {
        "pack_voltage_v": view.pack_voltage_v,
        "pack_current_a": view.pack_current_a,
        "battery_temperature_c": view.battery_temperature_c,
    }


def _version(view: PackView) -> _Values | None:
    if view.firmware is None or view.capacity_ah is None:
        return _NO_FRAME
    return {
        "battery_type": 0,
        "firmware_digits": firmware_digits(view.firmware),
        # One module that answers is wholly online.
        "online_capacity_ah": view.capacity_ah,
    }


def _modules(view: PackView) -> _Values:
    return {
        "online": 1,
        "blocking_charge": int(view.charge_current_a <= 0),
        "blocking_discharge": int(view.discharge_current_a <= 0),
        "offline": 0,
    }


def _cells(view: PackView) -> _Values:
    coldest, hottest = view.min_temperature, view.max_temperature
    return {
        "min_cell_voltage_v": view.min_cell_voltage_v,
        "max_cell_voltage_v": view.max_cell_voltage_v,
        "min_temperature_c": None if coldest is None else coldest[1],
        "max_temperature_c": None if hottest is None else hottest[1],
    }


def _probe(probe: tuple[int, float] | None) -> _Values:
    # An empty text clears what an earlier frame made the GX show.
    return {"text": "" if probe is None else str(probe[0])}


def _energy(view: PackView) -> _Values | None:
    if view.charged_energy_kwh is None or view.discharged_energy_kwh is None:
        return _NO_FRAME
    return {
        "charged_energy_kwh": view.charged_energy_kwh,
        "discharged_energy_kwh": view.discharged_energy_kwh,
    }


def _capacity(view: PackView) -> _Values | None:
    return _NO_FRAME if view.capacity_ah is None else {"installed_capacity_ah": view.capacity_ah}


def _serial(view: PackView, half: int) -> _Values | None:
    if view.serial_number is None:
        return _NO_FRAME
    # 24 hexadecimal digits do not fit into 16 characters; the last ones differ most between units.
    shown = view.serial_number[-2 * TEXT_LENGTH :]
    return {"text": shown[half * TEXT_LENGTH : (half + 1) * TEXT_LENGTH]}


_VALUES: Final[dict[int, Callable[[PackView], _Values | None]]] = {
    signals.LIMITS.id: _limits,
    signals.CHARGE.id: _charge,
    signals.MEASUREMENT.id: _measurement,
    signals.ALARMS.id: lambda view: pair_values(view.alarm_levels),
    signals.MANUFACTURER.id: lambda _view: {"text": BRAND},
    signals.VERSION.id: _version,
    signals.NAME_1.id: lambda _view: {"text": BRAND},
    signals.NAME_2.id: lambda view: {"text": view.device},
    signals.MODULES.id: _modules,
    signals.CELLS.id: _cells,
    signals.MIN_CELL.id: lambda view: {"text": str(view.min_cell_id)},
    signals.MAX_CELL.id: lambda view: {"text": str(view.max_cell_id)},
    signals.MIN_PROBE.id: lambda view: _probe(view.min_temperature),
    signals.MAX_PROBE.id: lambda view: _probe(view.max_temperature),
    signals.ENERGY.id: _energy,
    signals.CAPACITY.id: _capacity,
    signals.SERIAL_1.id: lambda view: _serial(view, 0),
    signals.SERIAL_2.id: lambda view: _serial(view, 1),
    signals.FAMILY.id: lambda _view: {"text": FAMILY_NAME},
}
