"""Values to the bytes of a CAN frame: rounded to nearest, clamped to the table, never wrapped."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tinybms_victron.signal_types import Frame, Number, Pair, PairState, Text, nearest

Value = float | int | str | None


def encode(frame: Frame, values: Mapping[str, Value], *, length: int | None = None) -> bytes:
    """The data of `frame`; `length` is one of `frame.lengths`, `frame.length` when not given.

    A signal missing in `values`, or None there, is sent as "not supported". ValueError when the
    protocol has no such code for it, for NaN or infinity, for a length or a key that the table does
    not have: each is a defect of the caller, and no frame may be made from it.
    """
    size = frame.length if length is None else length
    if size not in frame.lengths:
        raise ValueError(f"0x{frame.id:03X}: length {size}, allowed {frame.lengths}")
    unknown = values.keys() - {field.key for field in frame.fields}
    if unknown:
        raise ValueError(f"0x{frame.id:03X} has no signal {sorted(unknown)}")
    data = bytearray(size)
    for field in frame.fields:
        if field.end > size:
            continue
        value = values.get(field.key)
        try:
            if isinstance(field, Number):
                data[field.offset : field.end] = _number(field, value)
            elif isinstance(field, Text):
                data[field.offset : field.end] = _text(field, value)
            else:
                data[field.offset] |= _pair(field, value)
        except ValueError as error:
            raise ValueError(f"0x{frame.id:03X} {field.key}: {error}") from error
    return bytes(data)


def clamped(number: Number, value: float) -> bool:
    """Whether `value` lies outside the table's range, so that another one goes out."""
    return not number.low <= value <= number.high


def _number(number: Number, value: Value) -> bytes:
    if value is None:
        if not number.unsupported:
            raise ValueError("unknown, and the protocol has no code for that")
        raw = number.unsupported[0]
    elif isinstance(value, str):
        raise ValueError(f"{value!r} is no number")
    elif not math.isfinite(value):
        raise ValueError(f"{value} is no value")
    else:
        within = min(max(value, number.low), number.high)
        raw = nearest((within + number.shift) * number.per_unit)
        raw = min(max(raw, number.raw_low), number.raw_high)
    return raw.to_bytes(number.width, number.byte_order, signed=number.signed)


def _text(text: Text, value: Value) -> bytes:
    plain = "" if value is None else str(value)
    printable = "".join(letter for letter in plain if " " <= letter <= "~")
    return printable.encode("ascii")[: text.width].ljust(text.width, b"\0")


def _pair(pair: Pair, value: Value) -> int:
    state = PairState.UNSUPPORTED if value is None else PairState(int(value))
    return state << pair.shift
