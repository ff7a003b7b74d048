"""Values survive the way to words and back; words of any kind decode to something sane."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinybms_protocol.decode import (
    decode_block,
    decode_register,
    encode_value,
    float_from_words,
    raw_bounds,
    uint32_from_words,
    words_from_float,
    words_from_uint32,
)
from tinybms_protocol.errors import BadRequest, PlausibilityError
from tinybms_protocol.events import (
    TIME_MODULUS,
    EventClass,
    active_events,
    event_time_s,
    parse_events,
)
from tinybms_protocol.live import LiveBlock
from tinybms_protocol.plausibility import check_live_block, settings_warnings
from tinybms_protocol.registers import BY_ADDRESS, READABLE_BLOCKS, REGISTERS, Register
from tinybms_protocol.settings import SettingsBlock, VersionBlock
from tinybms_protocol.status import OnlineStatus

word = st.integers(0, 0xFFFF)
writable = st.sampled_from([row for row in REGISTERS if row.writable])
readable = st.sampled_from(list(READABLE_BLOCKS.values()))


@given(writable, st.data(), word)
def test_a_value_in_range_survives_encode_and_decode(
    register: Register, data: st.DataObject, current: int
) -> None:
    lowest, highest = raw_bounds(register)
    if register.names is None:
        raw = data.draw(st.integers(lowest, highest))
        assume(raw != register.unknown_raw)
        value: float | str = raw * register.scale
    else:
        raw = data.draw(st.sampled_from([n for n in register.names if lowest <= n <= highest]))
        value = register.names[raw]
    words = encode_value(register, value, current)
    assert len(words) == register.words
    assert all(0 <= w <= 0xFFFF for w in words)
    reading = decode_register(register, words)
    assert reading.raw == raw
    assert reading.value == (pytest.approx(value) if register.names is None else value)


@given(writable, st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_is_either_in_range_or_refused(register: Register, value: float) -> None:
    try:
        words = encode_value(register, value, 0)
    except BadRequest:
        return
    raw = decode_register(register, words).raw
    lowest, highest = raw_bounds(register)
    assert raw is not None
    assert lowest <= raw <= highest


@given(
    st.sampled_from([row for row in REGISTERS if row.writable and row.is_field]), st.data(), word
)
def test_writing_a_field_leaves_its_neighbours_as_they_were(
    register: Register, data: st.DataObject, current: int
) -> None:
    neighbours = [row for row in BY_ADDRESS[register.address] if row is not register]
    lowest, highest = raw_bounds(register)
    usable = register.names or range(lowest, highest + 1)
    raw = data.draw(st.sampled_from([n for n in usable if lowest <= n <= highest]))
    (written,) = encode_value(register, raw * register.scale, current)
    for row in neighbours:
        assert decode_register(row, [written]) == decode_register(row, [current])


@given(st.floats(width=32, allow_nan=False))
def test_a_float_survives_its_two_words(value: float) -> None:
    assert float_from_words(words_from_float(value)) == value


@given(st.integers(0, 0xFFFFFFFF))
def test_a_32_bit_number_survives_its_two_words(value: int) -> None:
    assert uint32_from_words(words_from_uint32(value)) == value


@given(readable, st.data(), st.none() | st.integers(200, 300))
def test_any_words_decode_to_finite_numbers_text_or_none(
    block: range, data: st.DataObject, firmware: int | None
) -> None:
    words = data.draw(st.lists(word, min_size=len(block), max_size=len(block)))
    for reading in decode_block(block.start, words, firmware=firmware).values():
        assert reading.raw is None or isinstance(reading.raw, int)
        if isinstance(reading.value, float):
            assert math.isfinite(reading.value)


@given(st.lists(word, min_size=56, max_size=56))
def test_a_live_block_that_passes_holds_only_possible_values(words: list[int]) -> None:
    fault = check_live_block(words)
    if fault is not None:
        assert isinstance(fault, PlausibilityError)
        return
    live = LiveBlock.from_words(words, firmware=251)
    assert -1 <= live.pack_voltage_v <= 90
    assert abs(live.pack_current_a) <= 1000
    assert 0 <= live.soc_pct <= 100
    assert all(0 <= cell <= 6 for cell in live.channel_voltages_v)
    for temperature_c in (
        live.internal_temperature_c,
        live.external_temperature_1_c,
        live.external_temperature_2_c,
    ):
        assert temperature_c is None or -60 <= temperature_c <= 150


@given(st.lists(word, min_size=44, max_size=44), st.lists(word, min_size=10, max_size=10))
def test_any_settings_and_version_are_shown_as_read(
    settings: list[int], version: list[int]
) -> None:
    block = SettingsBlock.from_words(settings, firmware=254)
    assert block.fully_charged_voltage_v == pytest.approx(settings[0] / 1000)
    assert all(isinstance(text, str) for text in settings_warnings(settings))
    assert VersionBlock.from_words(version).firmware == version[2]


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, TIME_MODULUS - 61))
def test_the_time_of_an_event_is_found_again_from_its_low_24_bits(
    lifetime_s: int, age_s: int
) -> None:
    time_s = lifetime_s - age_s
    assume(time_s >= 0)
    assert event_time_s(time_s % TIME_MODULUS, lifetime_s) == time_s


@given(
    st.lists(word, min_size=98, max_size=98),
    st.integers(0, 0xFFFFFFFF),
    st.sampled_from([s for s in OnlineStatus if s is not OnlineStatus.FAULT]),
)
def test_no_log_makes_a_fault_active_unless_the_status_says_fault(
    words: list[int], lifetime_s: int, status: OnlineStatus
) -> None:
    events = parse_events(words, lifetime_s)
    assert [e.time_s for e in events] == sorted(e.time_s for e in events)
    result = active_events(events, status)
    assert not result.faults
    assert not result.unknown_fault
    assert all(e.kind.event_class is EventClass.WARNING for e in result.events)
