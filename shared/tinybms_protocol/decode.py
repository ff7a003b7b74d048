"""Register words to typed readings, and values back to words for a write.

32-bit numbers and floats are stored low word first.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from tinybms_protocol.errors import BadRequest
from tinybms_protocol.register_model import Register, RegisterType
from tinybms_protocol.registers import BY_ADDRESS, registers_in
from tinybms_protocol.wire import pack_le

Value: TypeAlias = float | int | str | None

_FLOAT_RAW_SCALE: Final = 100
_DECIMALS: Final = 9
"""Digits kept after scaling, so that 38720 * 0.0001 is 3.872."""
_SIGNED: Final = frozenset({RegisterType.INT16, RegisterType.INT8})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One register, decoded.

    `raw`: the number as read, signed where the register is; floats times 100, rounded; None for
    text and for a float that is not a number. `value`: in the register's unit; the name of an
    enumeration or `unknown_<number>`; None when the BMS says "not fitted" or "nothing there".
    """

    key: str
    raw: int | None
    value: Value


def decode_register(register: Register, words: Sequence[int]) -> Reading:
    """Decode the words of one register; ValueError when their number is wrong."""
    if len(words) != register.words:
        raise ValueError(f"{register.key} has {register.words} words, {len(words)} given")
    if register.type is RegisterType.FLOAT32:
        return _decode_float(register, words)
    if register.type is RegisterType.BYTES12:
        return Reading(key=register.key, raw=None, value=pack_le(words).hex())
    raw = _raw_number(register, words)
    return Reading(key=register.key, raw=raw, value=_value(register, raw))


def decode_block(
    start_address: int, words: Sequence[int], *, firmware: int | None = None
) -> dict[str, Reading]:
    """Decode all registers that lie wholly in a block; reserved ones are left out.

    Registers that came with a later firmware than `firmware` (register 502) keep their raw number
    but have no value; None means that the firmware is not known yet, so that none of them has.
    """
    readings: dict[str, Reading] = {}
    for register in registers_in(start_address, len(words)):
        offset = register.address - start_address
        reading = decode_register(register, words[offset : offset + register.words])
        if register.since_firmware > (firmware or 0):
            reading = Reading(key=reading.key, raw=reading.raw, value=None)
        readings[register.key] = reading
    return readings


def encode_value(
    register: Register, value: float | str, current_word: int | None = None
) -> tuple[int, ...]:
    """Words that set `register` to `value` (in its unit, or a name of its enumeration).

    A register that shares its word with another needs `current_word`, read just before. Raises
    BadRequest when the register cannot be written or the value is outside its range.
    """
    if not register.writable:
        raise BadRequest(f"{register.key} (register {register.address}) cannot be written")
    raw = _raw_from_value(register, value)
    if register.type is RegisterType.UINT32:
        return (raw & 0xFFFF, raw >> 16)
    if not register.is_field:
        return (raw & 0xFFFF,)
    mask = ((1 << register.bits) - 1) << register.low_bit
    shared = len(BY_ADDRESS[register.address]) > 1
    if shared and current_word is None:
        raise BadRequest(
            f"{register.key} is only a part of register {register.address}: read the word first"
        )
    rest = (current_word or 0) & ~mask if shared else 0
    return (rest | (raw << register.low_bit),)


def float_from_words(words: Sequence[int]) -> float:
    """IEEE-754 single of two words, low word first; may be NaN or infinite."""
    result: float = struct.unpack("<f", pack_le(words))[0]
    return result


def words_from_float(value: float) -> tuple[int, int]:
    """The two words of an IEEE-754 single, low word first."""
    low, high = struct.unpack("<HH", struct.pack("<f", value))
    return low, high


def uint32_from_words(words: Sequence[int]) -> int:
    """32-bit number of two words, low word first."""
    low, high = words
    return low | (high << 16)


def words_from_uint32(value: int) -> tuple[int, int]:
    """The two words of a 32-bit number, low word first."""
    return value & 0xFFFF, value >> 16


def int16_from_word(word: int) -> int:
    """A word read as a signed number."""
    return word - 0x10000 if word & 0x8000 else word


def scaled(raw: int, scale: float) -> float:
    """`raw * scale` without the noise of binary fractions."""
    return round(raw * scale, _DECIMALS)


def range_text(register: Register) -> str:
    """The register's range in words, such as "1.2 to 4.5 V"."""
    lowest, highest = (scaled(raw, register.scale) for raw in raw_bounds(register))
    return f"{lowest:g} to {highest:g} {register.unit or ''}".rstrip()


def _decode_float(register: Register, words: Sequence[int]) -> Reading:
    number = float_from_words(words)
    if not math.isfinite(number):
        return Reading(key=register.key, raw=None, value=None)
    # A single has about seven digits: more would show noise such as 55.779998779296875.
    value = float(f"{number:.7g}")
    return Reading(key=register.key, raw=round(number * _FLOAT_RAW_SCALE), value=value)


def _raw_number(register: Register, words: Sequence[int]) -> int:
    if register.words == 2:
        return uint32_from_words(words)
    width = register.bits
    number = (words[0] >> register.low_bit) & ((1 << width) - 1)
    if register.type in _SIGNED and number >> (width - 1):
        return number - (1 << width)
    return number


def _value(register: Register, raw: int) -> Value:
    if raw == register.unknown_raw:
        return None
    if register.type is RegisterType.EVENT:
        return (raw >> 24) or None
    if register.names is not None:
        return register.names.get(raw, f"unknown_{raw}")
    if register.scale == 1.0:
        return raw
    return scaled(raw, register.scale)


def _raw_from_value(register: Register, value: float | str) -> int:
    if register.names is not None:
        return _raw_from_name(register, value)
    if isinstance(value, str) or math.isnan(value):
        raise BadRequest(f"{register.key}: {value!r} is not a number")
    lowest, highest = raw_bounds(register)
    counts = value / register.scale
    # Huge values become infinite here, which cannot be rounded.
    raw = round(counts) if math.isfinite(counts) else None
    if raw is None or not lowest <= raw <= highest:
        raise BadRequest(f"{register.key}: {value} is outside {range_text(register)}")
    return raw


def _raw_from_name(register: Register, value: float | str) -> int:
    names = register.names or {}
    lowest, highest = raw_bounds(register)
    usable = {name: raw for raw, name in names.items() if lowest <= raw <= highest}
    if isinstance(value, str) and value in usable:
        return usable[value]
    if not isinstance(value, str) and value in usable.values():
        return int(value)
    raise BadRequest(f"{register.key}: {value!r} is none of {', '.join(usable)}")


def raw_bounds(register: Register) -> tuple[int, int]:
    """Lowest and highest number of the register's range, in counts."""
    bits = 32 if register.words == 2 else register.bits
    signed = register.type in _SIGNED
    lowest = -(1 << (bits - 1)) if signed else 0
    highest = (1 << (bits - signed)) - 1
    if register.minimum is not None:
        lowest = max(lowest, round(register.minimum / register.scale))
    if register.maximum is not None:
        highest = min(highest, round(register.maximum / register.scale))
    return lowest, highest
