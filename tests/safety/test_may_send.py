"""The gate: sweeps over every id, length and value near each bound."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from fake_live import fake_live
from tinybms_victron.encode import encode
from tinybms_victron.frames import encode_all
from tinybms_victron.gate import CVL_PER_CELL_V, GateContext, may_send
from tinybms_victron.pack_view import pack_view
from tinybms_victron.signal_types import Number
from tinybms_victron.signals import ALARMS, CHARGE, FRAMES, MEASUREMENT

CONTEXT = GateContext(
    data_age_s=0.1,
    stale_after_s=10.0,
    lost_after_s=30.0,
    cell_count=16,
    chemistry="lifepo4",
    max_charge_current_a=60.0,
    max_discharge_current_a=100.0,
)


def _good() -> dict[int, bytes]:
    live = fake_live()
    assert live.limits is not None
    view = pack_view(live, live.limits, live.alarms, device="pack1")
    assert view is not None
    return encode_all(view)


GOOD = _good()


def limits(cvl: int = 552, ccl: int = 600, dcl: int = 1000, dvl: int = 440) -> bytes:
    return struct.pack("<HhhH", cvl, ccl, dcl, dvl)


def allowed(frame_id: int, data: bytes, context: GateContext = CONTEXT) -> bool:
    verdict = may_send(frame_id, data, context)
    assert verdict.allowed == (verdict.reason == "")
    return verdict.allowed


def test_every_frame_of_a_healthy_pack_passes() -> None:
    assert {can_id for can_id, data in GOOD.items() if not allowed(can_id, data)} == set()


def test_of_all_identifiers_only_ours_pass_and_no_length_that_the_protocol_lacks() -> None:
    passed = {
        (can_id, length)
        for can_id in [*range(2048), 0x351 | 1 << 29, 0x18FF0351, -1]
        for length in range(10)
        if allowed(can_id, (GOOD.get(can_id, bytes(8)) + bytes(8))[:length])
    }
    assert {can_id for can_id, _ in passed} == set(GOOD)
    assert all(
        length in next(frame.lengths for frame in FRAMES if frame.id == can_id)
        for can_id, length in passed
    )


@pytest.mark.parametrize("can_id", [0x305, 0x307, 0x354, 0x359, 0x35B, 0x35C, 0x360])
def test_frames_of_others_never_pass(can_id: int) -> None:
    assert not allowed(can_id, bytes(8))


@pytest.mark.parametrize("age", [None, 30.001, 3600.0, -0.1, float("nan"), float("inf")])
def test_no_frame_passes_without_a_fresh_sample(age: float | None) -> None:
    context = replace(CONTEXT, data_age_s=age)
    assert not any(allowed(can_id, data, context) for can_id, data in GOOD.items())


def test_stale_data_carry_no_charge_current() -> None:
    context = replace(CONTEXT, data_age_s=10.5)
    assert not allowed(0x351, limits(ccl=1), context)
    assert allowed(0x351, limits(ccl=0), context)


@pytest.mark.parametrize("chemistry", CVL_PER_CELL_V)
@pytest.mark.parametrize("cells", [4, 14, 16])
def test_of_all_charge_voltages_only_sane_ones_pass(chemistry: str, cells: int) -> None:
    context = replace(CONTEXT, chemistry=chemistry, cell_count=cells)
    low, high = CVL_PER_CELL_V[chemistry]
    cut_off = round(cells * 10)
    passed = [cvl for cvl in range(65536) if allowed(0x351, limits(cvl=cvl, dvl=cut_off), context)]
    assert passed == list(range(passed[0], passed[-1] + 1))
    assert abs(passed[0] - cells * low * 10) <= 1
    assert abs(passed[-1] - cells * high * 10) <= 1
    assert passed[-1] < 0x0400


def test_unknown_chemistry_or_cell_count_stops_the_limits() -> None:
    assert not allowed(0x351, limits(), replace(CONTEXT, chemistry="lead"))
    assert not allowed(0x351, limits(), replace(CONTEXT, cell_count=0))


def test_of_all_current_limits_only_those_up_to_the_owners_pass() -> None:
    charge = [ccl for ccl in range(-32768, 32768) if allowed(0x351, limits(ccl=ccl))]
    discharge = [dcl for dcl in range(-32768, 32768) if allowed(0x351, limits(dcl=dcl))]
    assert charge == list(range(601))
    assert discharge == list(range(1001))


def test_the_low_voltage_is_never_zero_nor_above_the_charge_voltage() -> None:
    passed = [dvl for dvl in range(65536) if allowed(0x351, limits(dvl=dvl))]
    assert passed == list(range(128, 553))


def test_states_of_charge_and_health_end_at_100() -> None:
    for raw in range(65536):
        assert allowed(0x355, struct.pack("<HHHH", raw, 100, raw * 100 % 65536, 0)) == (raw <= 100)
        assert allowed(0x355, struct.pack("<HHHH", 50, raw, 5000, 0)) == (raw <= 100)
    assert not allowed(0x355, struct.pack("<HHHH", 50, 100, 6000, 0))
    assert not allowed(0x355, struct.pack("<HHHH", 50, 100, 5000, 1))


def test_every_pair_takes_0_1_or_2_where_it_is_ours_and_0_elsewhere() -> None:
    ours = {
        (byte, shift)
        for byte in range(8)
        for shift in (0, 2, 4, 6)
        if (byte % 4, shift) not in {(0, 0), (2, 2), (2, 4), (3, 2), (3, 4), (3, 6)}
        or (byte, shift) == (7, 2)
    }
    for byte in range(8):
        for shift in (0, 2, 4, 6):
            for code in range(4):
                data = bytearray(8)
                data[byte] = code << shift
                expected = code == 0 or (code < 3 and (byte, shift) in ours)
                assert allowed(0x35A, bytes(data)) == expected, (byte, shift, code)
    assert len(ours) == 21


def test_each_bound_of_the_table_is_kept() -> None:
    for frame in FRAMES:
        if frame.id == 0x351:
            continue
        for field in frame.fields:
            if not isinstance(field, Number):
                continue
            size = 8 * field.width
            lowest, highest = (
                (-(1 << size - 1), (1 << size - 1) - 1)
                if field.signed
                else (
                    0,
                    (1 << size) - 1,
                )
            )
            for raw in (lowest, field.raw_low - 1, field.raw_high + 1, highest):
                legal = field.raw_low <= raw <= field.raw_high or raw in field.unsupported
                if legal or not lowest <= raw <= highest:
                    continue
                data = bytearray(GOOD[frame.id])
                data[field.offset : field.end] = raw.to_bytes(
                    field.width, field.byte_order, signed=field.signed
                )
                assert not allowed(frame.id, bytes(data)), (frame.key, field.key, raw)


@pytest.mark.parametrize("can_id", [0x35E, 0x370, 0x382])
def test_names_are_fixed(can_id: int) -> None:
    for name in (b"PYLON\0\0\0", b"BYD\0\0\0\0\0", b"LG\0\0\0\0\0\0", bytes(8), b"TinyBMT\0"):
        assert not allowed(can_id, name)


@pytest.mark.parametrize("data", [b"1\x002\0\0\0\0\0", b"\x03\0\0\0\0\0\0\0", b"\xff" * 8])
def test_texts_are_printable_and_zero_padded(data: bytes) -> None:
    assert not allowed(0x374, data)


def test_lowest_above_highest_does_not_pass() -> None:
    assert not allowed(0x373, struct.pack("<HHHH", 3300, 3299, 290, 291))
    assert not allowed(0x373, struct.pack("<HHHH", 3300, 3301, 292, 291))
    assert not allowed(0x373, struct.pack("<HHHH", 3300, 3301, 292, 0xFFFF))


def test_a_pack_voltage_that_its_cells_cannot_have_does_not_pass() -> None:
    assert not allowed(0x356, struct.pack("<hhhh", 0, 0, 200, 0))
    assert not allowed(0x356, struct.pack("<hhhh", 9601, 0, 200, 0))
    assert not allowed(0x356, struct.pack("<hhhh", -5270, 0, 200, 0))


def test_what_the_encoder_makes_of_nothing_does_not_pass_as_a_name() -> None:
    assert not allowed(0x35E, encode(next(f for f in FRAMES if f.id == 0x35E), {}))
    assert allowed(0x35A, encode(ALARMS, {}))
    assert {CHARGE.id, MEASUREMENT.id} <= GOOD.keys()
