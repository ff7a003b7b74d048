"""The bytes of a CAN frame to values, by the signal table."""

from __future__ import annotations

from tinybms_victron.encode import Value
from tinybms_victron.signal_types import Number, PairState, Text
from tinybms_victron.signals import ANY_BY_ID


class BadFrame(ValueError):
    """A frame that the protocol does not have: unknown id or length."""


def decode(frame_id: int, data: bytes) -> dict[str, Value]:
    """Values of a frame by signal key; None where it says "not supported" or is too short.

    Pairs come as PairState (1 active, 2 OK, 0 not supported), texts without their zero bytes.
    Nothing is clamped. Raises BadFrame.
    """
    frame = ANY_BY_ID.get(frame_id)
    if frame is None:
        raise BadFrame(f"0x{frame_id:03X} is no frame of the protocol")
    if len(data) not in frame.lengths:
        raise BadFrame(f"0x{frame_id:03X}: {len(data)} bytes, allowed {frame.lengths}")
    values: dict[str, Value] = {}
    for field in frame.fields:
        chunk = data[field.offset : field.end]
        if field.end > len(data):
            values[field.key] = None
        elif isinstance(field, Number):
            values[field.key] = _number(field, chunk)
        elif isinstance(field, Text):
            values[field.key] = chunk.rstrip(b"\0").decode("latin-1")
        else:
            code = (chunk[0] >> field.shift) & 3
            values[field.key] = PairState(code) if code < 3 else PairState.UNSUPPORTED
    return values


def _number(number: Number, chunk: bytes) -> float | int | None:
    raw = int.from_bytes(chunk, number.byte_order, signed=number.signed)
    if raw in number.unsupported:
        return None
    if number.per_unit == 1 and number.shift == 0:
        return raw
    return round(raw / number.per_unit - number.shift, 4)
