from __future__ import annotations

import pytest

from tinybms_protocol.commands import (
    Command,
    Option,
    OptionCode,
    Query,
    ReadScattered,
    ReadSettings,
    Request,
    SettingsOption,
)
from tinybms_protocol.decode import Value
from tinybms_protocol.frames import Reply
from tinybms_protocol.replies import reply_readings
from tinybms_protocol.wire import pack_le, unpack_le


def values(request: Request, payload: bytes, words: tuple[int, ...] = ()) -> dict[str, Value]:
    reply = Reply(request=request, payload=payload, words=words)
    return {key: reading.value for key, reading in reply_readings(reply).items()}


def from_words(request: Request, *words: int) -> dict[str, Value]:
    return values(request, pack_le(words), words)


def test_limits_of_settings_are_read_like_the_settings() -> None:
    request = ReadSettings(SettingsOption.MINIMUM, 2)
    assert from_words(request, 1200, 1000) == {
        "fully_charged_voltage": 1.2,
        "fully_discharged_voltage": 1.0,
    }


def test_16_cells_are_channels_and_any_other_number_is_left_alone() -> None:
    query = Query(Command.CELL_VOLTAGES)
    found = from_words(query, *range(30000, 30016))
    assert list(found.values()) == [pytest.approx(3 + n / 10000) for n in range(16)]
    assert next(iter(found)) == "cell_voltage_01"
    assert from_words(query, *range(30000, 30014)) == {}


def test_the_extended_version_names_bootloader_and_map() -> None:
    found = values(Query(Command.EXTENDED_VERSION), bytes.fromhex("020101f2001804"))
    assert found == {
        "hardware_version": 2,
        "hardware_changes_version": 1,
        "firmware_public_version": 1,
        "firmware_internal_version": 242,
        "bootloader_version": 24,
        "profile_version": 4,
    }


def test_one_half_of_a_32_bit_register_gives_no_value() -> None:
    assert from_words(ReadScattered((36, 40)), 0x1EB8, 3980) == {"min_cell_voltage": 3.98}


def test_registers_that_share_a_word_all_come_from_a_scattered_read() -> None:
    assert from_words(ReadScattered((114,)), 0x0300) == {
        "last_reset_cause": "unknown",
        "last_wakeup_cause": "uart_communication",
    }


def test_answers_without_registers_have_no_readings() -> None:
    assert values(Option(OptionCode.CLEAR_EVENTS), b"") == {}
    payload = bytes(8)
    assert values(Query(Command.ALL_EVENTS), payload, unpack_le(payload)) == {}
