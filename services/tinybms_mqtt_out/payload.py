"""Payload of a value topic: one line of compact, strict JSON whose fixed parts are made once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import msgspec

from tinybms_mqtt_out.model import Value, ValueTopic
from tinybms_victron.gx import GxRegister, gx_raw

NULL: Final = b"null"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Which cycle a value belongs to.

    `seq` is that of its LIVE_DATA, `boot` that of the process which took the sample;
    `timestamp_ms` is the wall time of the sample's reception.
    """

    seq: int
    boot: str
    timestamp_ms: int
    time_ok: bool = True
    replayed: bool = False
    """Whether it was stored in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value as it is published: rounded to the topic's decimals, with its raw number."""

    value: Value
    raw: int | None = None
    text: str | None = None
    """The value in words, for alarms and reasons."""
    severity: str | None = None
    """Of an event: info, warning or alarm."""


def number(value: Value, decimals: int) -> Value:
    """`value` rounded for people; None when it is no finite number. Words pass unchanged."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return round(value, decimals) + 0.0  # turns -0.0 into 0.0


class PayloadTemplate:
    """Makes the payloads of one topic."""

    __slots__ = ("_after_raw", "_after_seq", "_after_stamp", "_before_value", "_gx", "_topic")

    def __init__(self, topic: ValueTopic) -> None:
        self._topic = topic
        key, address = _json(topic.suffix), _json(topic.address)
        self._before_value = b'{"key":%b,"address":%b,"value":' % (key, address)
        self._after_raw = b',"unit":%b,"timestamp_ms":' % _json(topic.unit)
        self._after_stamp = b',"label":%b,"seq":' % _json(topic.label)
        first = topic.gx[0] if topic.gx else None
        self._after_seq = b',"dbus_path":%b,"modbus_address":%b,"gx":[' % (
            _json(None if first is None else first.path),
            _json(None if first is None else first.register),
        )
        self._gx = tuple((row, _gx_head(row)) for row in topic.gx)

    def encode(self, reading: Reading, stamp: Stamp) -> bytes:
        """The payload of `reading`; never NaN nor infinity, an unknown value is null."""
        value = number(reading.value, self._topic.decimals)
        parts = [
            self._before_value,
            _json(value),
            b',"raw":',
            _json(reading.raw),
            self._after_raw,
            b"%d" % stamp.timestamp_ms,
            self._after_stamp,
            b"%d" % stamp.seq,
            b',"boot":',
            _json(stamp.boot),
            self._after_seq,
            b",".join(head + _json(gx_raw(row, value)) + b"}" for row, head in self._gx),
            b"]",
        ]
        if self._topic.register_key is not None:
            parts += (b',"register_key":', _json(self._topic.register_key))
        if reading.text is not None:
            parts += (b',"text":', _json(reading.text))
        if reading.severity is not None:
            parts += (b',"severity":', _json(reading.severity))
        if not stamp.time_ok:
            parts.append(b',"time_ok":false')
        if stamp.replayed:
            parts.append(b',"replayed":true')
        parts.append(b"}")
        return b"".join(parts)


def _gx_head(row: GxRegister) -> bytes:
    return b'{"service":%b,"path":%b,"unit":%d,"register":%d,"raw":' % (
        _json(row.service.value),
        _json(row.path),
        row.unit,
        row.register,
    )


def _json(value: Value) -> bytes:
    """`value` as JSON; msgspec writes null for NaN and infinity."""
    return NULL if value is None else msgspec.json.encode(value)
