from __future__ import annotations

import math

import pytest

from tinybms_protocol.decode import (
    Value,
    decode_block,
    decode_register,
    encode_value,
    words_from_float,
)
from tinybms_protocol.errors import BadRequest
from tinybms_protocol.registers import BY_KEY


@pytest.mark.parametrize(
    ("key", "words", "raw", "value"),
    [
        ("cell_voltage_01", [38721], 38721, 3.8721),
        ("lifetime_counter", [0x93CD, 0x00FE], 16683981, 16683981),
        ("pack_voltage", [0x1EB8, 0x425F], 5578, 55.78),
        ("pack_current", words_from_float(-123.4), -12340, -123.4),
        ("external_temp_1", [0x8000], -32768, None),
        ("external_temp_1", [0xFF33], -205, -20.5),
        ("state_of_health", [49000], 49000, 98.0),
        ("online_status", [0x9B], 155, "fault"),
        ("online_status", [0x95], 149, "unknown_149"),
        ("min_pack_temp_seen", [0x19F9], -7, -7),
        ("max_pack_temp_seen", [0x19F9], 25, 25),
        ("low_temp_charge_cutoff", [0xFFF6], -10, -10),
        ("soc_set", [0xFFFF], 65535, None),
        ("enable_charge_restart_level", [0x0004], 1, 1),
        ("disable_switch_diagnostics", [0x0005], 0, 0),
        ("discharge_over_current_timeout", [0x0501], 5, 5),
        ("charger_type", [0x0501], 1, "cc_cv"),
        ("current_sensor_used", [0x0601], 3, "unknown_3"),
        ("event_00", [0x4E2B, 0x64B9], 0x64B94E2B, 0x64),
        ("event_00", [0, 0], 0, None),
        ("serial_number", [0x0201, 0x0403, 5, 6, 7, 0xFF08], None, "0102030405000600070008ff"),
    ],
)
def test_registers_decode(key: str, words: list[int], raw: int | None, value: Value) -> None:
    reading = decode_register(BY_KEY[key], words)
    assert (reading.key, reading.raw, reading.value) == (key, raw, value)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_float_that_is_no_number_has_no_value(number: float) -> None:
    reading = decode_register(BY_KEY["pack_voltage"], words_from_float(number))
    assert (reading.raw, reading.value) == (None, None)


def test_a_wrong_number_of_words_is_an_error() -> None:
    with pytest.raises(ValueError, match="pack_voltage has 2 words"):
        decode_register(BY_KEY["pack_voltage"], [1])


def test_a_block_leaves_out_reserved_registers_and_cut_ones() -> None:
    assert list(decode_block(48, [97, 1, 0x97])) == ["internal_temp", "online_status"]
    assert list(decode_block(33, [0, 0, 0])) == ["estimated_time_left"]


def test_registers_newer_than_the_firmware_have_no_value() -> None:
    words = [50000]
    for firmware, value in ((None, None), (242, None), (250, None), (251, 100.0), (254, 100.0)):
        reading = decode_block(45, words, firmware=firmware)["state_of_health"]
        assert (reading.raw, reading.value) == (50000, value)


@pytest.mark.parametrize(
    ("key", "value", "current", "words"),
    [
        ("battery_capacity", 320.0, None, (32000,)),
        ("over_voltage_cutoff", 3.65, None, (3650,)),
        ("low_temp_charge_cutoff", -10, None, (0xFFF6,)),
        ("pulses_per_unit", 100000, None, (0x86A0, 1)),
        ("soc_set", 83.5, None, (41750,)),
        ("operation_mode", "single_port", None, (1,)),
        ("operation_mode", 0, None, (0,)),
        ("enable_charge_restart_level", 1, 0x0003, (0x0007,)),
        ("enable_charge_restart_level", 0, 0xFFFF, (0xFFFB,)),
        ("discharge_over_current_timeout", 30, 0x0501, (0x1E01,)),
        ("automatic_recovery", 0, None, (0,)),
    ],
)
def test_values_encode(
    key: str, value: float | str, current: int | None, words: tuple[int, ...]
) -> None:
    assert encode_value(BY_KEY[key], value, current) == words


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pack_voltage", 50.0, "cannot be written"),
        ("reserved_302", 1, "cannot be written"),
        ("battery_capacity", 655.01, "outside 0.1 to 655 Ah"),
        ("battery_capacity", 0.05, "outside 0.1 to 655 Ah"),
        ("series_cells", 3, "outside 4 to 16 cells"),
        ("over_heat_cutoff", math.nan, "not a number"),
        ("over_heat_cutoff", "hot", "not a number"),
        ("over_heat_cutoff", math.inf, "outside 20 to 90 °C"),
        ("fully_charged_voltage", 1.7e308, "outside 1.2 to 4.5 V"),
        ("operation_mode", "triple_port", "none of dual_port, single_port"),
        ("operation_mode", 2, "none of"),
        ("charger_type", "can", "none of cc_cv"),
        ("precharge_pin", 10, "none of"),
        ("enable_charge_restart_level", 1, "read the word first"),
    ],
)
def test_values_that_are_refused(key: str, value: float | str, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        encode_value(BY_KEY[key], value)
