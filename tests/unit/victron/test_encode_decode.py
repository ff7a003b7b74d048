"""Refusals and corners of encoder and decoder."""

from __future__ import annotations

import math

import pytest

from tinybms_victron import signals
from tinybms_victron.decode import BadFrame, decode
from tinybms_victron.encode import Value, encode
from tinybms_victron.signal_types import Pair, PairState


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "12"])
def test_what_is_no_number_makes_no_frame(value: Value) -> None:
    with pytest.raises(ValueError, match="0x355 soc_pct"):
        encode(signals.CHARGE, {"soc_pct": value, "soh_pct": 100})


def test_an_unknown_key_is_a_defect() -> None:
    with pytest.raises(ValueError, match="no signal"):
        encode(signals.CHARGE, {"soc": 1})


def test_an_unknown_length_is_a_defect() -> None:
    with pytest.raises(ValueError, match="length 7"):
        encode(signals.CHARGE, {"soc_pct": 1, "soh_pct": 1}, length=7)


def test_text_is_seven_bit_and_cut() -> None:
    assert encode(signals.FAMILY, {"text": "Häus\x00\x07 5"}) == b"Hus 5\0\0\0"
    assert encode(signals.FAMILY, {"text": "123456789"}) == b"12345678"


@pytest.mark.parametrize(("value", "raw"), [(0.05, 1), (0.049, 0), (12.25, 123), (12.34, 123)])
def test_halves_are_rounded_up(value: float, raw: int) -> None:
    values = {
        "charge_voltage_v": 55.2,
        "charge_current_a": value,
        "discharge_current_a": 0.0,
        "discharge_voltage_v": 44.0,
    }
    assert encode(signals.LIMITS, values)[2] == raw


def test_a_cell_of_zero_volts_is_not_shown_as_unsupported() -> None:
    data = encode(signals.CELLS, {"min_cell_voltage_v": 0.0, "max_cell_voltage_v": 3.3}, length=4)
    assert data == b"\x01\x00\xe4\x0c"


@pytest.mark.parametrize(
    ("frame_id", "data"), [(0x354, bytes(8)), (0x351, bytes(7)), (0x351, b""), (0x305, bytes(3))]
)
def test_frames_outside_the_protocol_are_refused(frame_id: int, data: bytes) -> None:
    with pytest.raises(BadFrame):
        decode(frame_id, data)


def test_a_pair_of_three_is_not_supported() -> None:
    assert decode(0x35A, b"\xff" * 8)["alarm.high_voltage"] is PairState.UNSUPPORTED


def test_no_two_signals_of_a_frame_overlap() -> None:
    for frame in signals.FRAMES:
        bits: set[tuple[int, int]] = set()
        for field in frame.fields:
            first, count = (field.shift, 2) if isinstance(field, Pair) else (0, 8)
            span = {
                (byte, bit)
                for byte in range(field.offset, field.end)
                for bit in range(first, first + count)
            }
            assert not bits & span, (frame.key, field.key)
            bits |= span
