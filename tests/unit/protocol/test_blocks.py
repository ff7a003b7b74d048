"""Live, settings and version blocks as one sees them, and what is said about doubtful ones."""

from __future__ import annotations

import math

import pytest

from tinybms_protocol.decode import words_from_float, words_from_uint32
from tinybms_protocol.errors import LineErrorKind
from tinybms_protocol.live import LiveBlock, pack_cell_address
from tinybms_protocol.plausibility import (
    check_live_block,
    consistency_warnings,
    settings_warnings,
)
from tinybms_protocol.settings import SettingsBlock, VersionBlock
from tinybms_protocol.status import RAW_STATUS, OnlineStatus

CELLS_14S = [39800, 39810, 39820, 39830, 39830, 39840, 39890]
CELLS_14S += [39900, 39830, 39830, 39830, 39840, 39880, 39880]

REV_D_SETTINGS = {"at_305": 300, "at_310": 20, "at_321": 80, "at_322": 3000, "at_323": 0xFFFF}


def live_words(**changes: list[int]) -> list[int]:
    words = [0] * 56
    words[2:16] = CELLS_14S
    words[32:34] = words_from_uint32(12493967)
    words[34:36] = words_from_uint32(41777412)
    words[36:38] = [0x1EB8, 0x425F]
    words[40:42] = [3980, 3990]
    words[42:44] = [0x8000, 0x8000]
    words[45] = 49000
    words[46:48] = words_from_uint32(83554824)
    words[48] = 97
    words[50] = 0x97
    words[53] = 14
    for name, value in changes.items():
        start = int(name.removeprefix("at_"))
        words[start : start + len(value)] = value
    return words


def settings_words(**changes: int) -> list[int]:
    words = [0] * 44
    given = {300: 3650, 301: 2800, 303: 3200, 304: 1000, 306: 28000, 307: 16, 308: 15, 312: 25000}
    given |= {314: 1, 315: 3750, 316: 2500, 317: 100, 318: 60, 319: 60, 320: 1, 328: 0xFFFF}
    given |= {330: 0x0501, 332: 5, 333: 1, 335: 1, 338: 7}
    given |= {int(name.removeprefix("at_")): value for name, value in changes.items()}
    for address, value in given.items():
        words[address - 300] = value
    return words


def test_a_live_block_of_14_cells_on_the_top_channels() -> None:
    live = LiveBlock.from_words(live_words(), firmware=242)
    assert live.pack_cells(14) == tuple(raw / 10000 for raw in CELLS_14S)
    assert live.pack_cells(16)[:2] == (0.0, 0.0)
    assert live.pack_voltage_v == 55.78
    assert live.pack_current_a == 0.0
    assert live.soc_pct == 83.554824
    assert live.internal_temperature_c == 9.7
    assert live.external_temperature_1_c is None
    assert live.external_temperature_2_c is None
    assert live.online_status is OnlineStatus.IDLE
    assert live.online_status_raw == 0x97
    assert live.lifetime_s == 12493967
    assert live.estimated_time_left_s == 41777412
    assert (live.min_cell_voltage_mv, live.max_cell_voltage_mv) == (3980, 3990)
    assert live.detected_cells == 14


@pytest.mark.parametrize(("firmware", "soh"), [(None, None), (250, None), (251, 98.0)])
def test_state_of_health_is_unknown_before_firmware_251(
    firmware: int | None, soh: float | None
) -> None:
    assert LiveBlock.from_words(live_words(), firmware=firmware).soh_pct == soh


@pytest.mark.parametrize("count", range(4, 17))
def test_pack_cell_1_is_register_16_minus_count(count: int) -> None:
    words = live_words(at_0=list(range(16)))
    live = LiveBlock.from_words(words)
    assert pack_cell_address(1, count) == 16 - count
    assert pack_cell_address(count, count) == 15
    assert live.pack_cells(count) == tuple(n / 10000 for n in range(16 - count, 16))
    assert len(live.pack_cells(count)) == count


@pytest.mark.parametrize("cell", [0, 15])
def test_cells_that_a_pack_does_not_have(cell: int) -> None:
    with pytest.raises(ValueError, match=f"cell {cell} of a pack of 14"):
        pack_cell_address(cell, 14)


@pytest.mark.parametrize("count", [-1, 0, 3, 17])
def test_packs_that_do_not_exist(count: int) -> None:
    with pytest.raises(ValueError, match="4 to 16 cells"):
        LiveBlock.from_words(live_words()).pack_cells(count)


def test_balancing_bits_follow_the_cells() -> None:
    live = LiveBlock.from_words(live_words(at_51=[0x8004, 0x0004]))
    assert live.cells_balancing(14) == (True, *(False,) * 13)
    assert live.cells_to_balance(14) == (True, *(False,) * 12, True)
    assert live.cells_balancing(16)[2] is True


def test_a_cold_pack_under_load() -> None:
    words = live_words(at_38=list(words_from_float(-123.4)), at_42=[0xFF33], at_50=[0x93])
    live = LiveBlock.from_words(words)
    assert live.pack_current_a == -123.4
    assert live.external_temperature_1_c == -20.5
    assert live.online_status is OnlineStatus.DISCHARGING


@pytest.mark.parametrize("raw", [0, 0x90, 0x94, 0x95, 0x98, 0xFFFF])
def test_an_unlisted_status_is_unknown_and_keeps_its_number(raw: int) -> None:
    live = LiveBlock.from_words(live_words(at_50=[raw]))
    assert live.online_status is OnlineStatus.UNKNOWN
    assert live.online_status_raw == raw


def test_every_listed_status_has_its_number() -> None:
    assert {status: OnlineStatus.from_raw(raw) for status, raw in RAW_STATUS.items()} == {
        status: status for status in OnlineStatus if status is not OnlineStatus.UNKNOWN
    }


@pytest.mark.parametrize("length", [0, 55, 57])
def test_a_live_block_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="56 words"):
        LiveBlock.from_words([0] * length)
    assert check_live_block([0] * length) is not None


@pytest.mark.parametrize(
    ("key", "place", "value"),
    [
        ("cell_voltage_01", 0, [60001]),
        ("cell_voltage_16", 15, [65535]),
        ("pack_voltage", 36, list(words_from_float(90.1))),
        ("pack_voltage", 36, list(words_from_float(-1.1))),
        ("pack_voltage", 36, list(words_from_float(math.nan))),
        ("pack_current", 38, list(words_from_float(1000.1))),
        ("pack_current", 38, list(words_from_float(-math.inf))),
        ("state_of_charge", 46, list(words_from_uint32(100_000_001))),
        ("external_temp_1", 42, [0x8001]),
        ("external_temp_2", 43, [1501]),
        ("internal_temp", 48, [0x10000 - 601]),
    ],
)
def test_an_impossible_value_drops_the_block(key: str, place: int, value: list[int]) -> None:
    fault = check_live_block(live_words(**{f"at_{place}": value}))
    assert fault is not None
    assert fault.kind is LineErrorKind.PLAUSIBILITY
    assert fault.key == key
    assert key in str(fault)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, [60000]),
        (36, list(words_from_float(90.0))),
        (36, list(words_from_float(-1.0))),
        (38, list(words_from_float(-1000.0))),
        (46, list(words_from_uint32(100_000_000))),
        (46, [0, 0]),
        (42, [0x8000]),
        (43, [1500]),
        (48, [0x10000 - 600]),
    ],
)
def test_a_value_at_the_edge_passes(place: int, value: list[int]) -> None:
    assert check_live_block(live_words(**{f"at_{place}": value})) is None


def test_a_sound_block_has_no_warnings() -> None:
    assert check_live_block(live_words()) is None
    assert consistency_warnings(LiveBlock.from_words(live_words()), 14) == []


@pytest.mark.parametrize(
    ("status", "current_a", "count"),
    [
        (0x91, -5.0, 1),
        (0x93, 5.0, 1),
        (0x91, 5.0, 0),
        (0x93, -5.0, 0),
        (0x93, 0.9, 0),
        (0x97, 5, 0),
    ],
)
def test_a_current_against_the_status_is_said(status: int, current_a: float, count: int) -> None:
    words = live_words(at_38=list(words_from_float(current_a)), at_50=[status])
    warnings = consistency_warnings(LiveBlock.from_words(words), 14)
    assert len([text for text in warnings if "register 329" in text]) == count


def test_what_does_not_fit_together_is_said() -> None:
    live = LiveBlock.from_words(live_words(at_15=[0], at_40=[3975, 3995]))
    warnings = consistency_warnings(live, 13)
    assert [text for text in warnings if "add up to" in text]
    assert [text for text in warnings if "lowest cell" in text]
    assert [text for text in warnings if "highest cell" in text]
    assert [text for text in warnings if "detects 14 cells, 13 are set" in text]


def test_settings_as_read() -> None:
    block = SettingsBlock.from_words(
        settings_words(at_305=300, at_321=80, at_329=4, at_340=1), firmware=254
    )
    assert block.fully_charged_voltage_v == 3.65
    assert block.fully_discharged_voltage_v == 2.8
    assert block.early_balancing_threshold_v == 3.2
    assert block.charge_finished_current_a == 1.0
    assert block.peak_discharge_current_cutoff_a == 300
    assert block.battery_capacity_ah == 280.0
    assert block.series_cells == 16
    assert block.allowed_disbalance_v == 0.015
    assert (block.over_voltage_cutoff_v, block.under_voltage_cutoff_v) == (3.75, 2.5)
    assert block.discharge_over_current_cutoff_a == 100
    assert block.charge_over_current_cutoff_a == 60
    assert (block.over_heat_cutoff_c, block.low_temp_charge_cutoff_c) == (60, 1)
    assert block.charge_restart_level_pct == 80
    assert block.enable_charge_restart_level is True
    assert block.discharge_over_current_timeout_s == 5
    assert block.automatic_recovery_s == 5
    assert block.single_port is True
    assert block.broadcasts is False


def test_settings_of_old_firmware_lack_what_is_new() -> None:
    words = settings_words(at_305=300, at_321=80, at_322=3000, at_329=4)
    block = SettingsBlock.from_words(words, firmware=242)
    assert block.peak_discharge_current_cutoff_a is None
    assert block.charge_restart_level_pct is None
    assert block.max_cycles is None
    assert block.enable_charge_restart_level is False
    assert block.discharge_over_current_timeout_s is None
    zero = SettingsBlock.from_words(settings_words(), firmware=254)
    assert zero.peak_discharge_current_cutoff_a is None
    assert zero.discharge_over_current_timeout_s == 5


def test_a_negative_charge_temperature_limit() -> None:
    block = SettingsBlock.from_words(settings_words(at_320=0xFFFB))
    assert block.low_temp_charge_cutoff_c == -5


def test_broadcast_is_seen() -> None:
    block = SettingsBlock.from_words(settings_words(at_342=4, at_343=1))
    assert (block.broadcasts, block.broadcast_time, block.broadcast_protocol) == (
        True,
        "1s",
        "ascii",
    )


def test_sound_settings_have_no_warnings() -> None:
    assert settings_warnings(settings_words(), firmware=242) == []
    assert settings_warnings(settings_words(**REV_D_SETTINGS), firmware=254) == []


@pytest.mark.parametrize("filler", [0, 0xFFFF])
def test_registers_that_the_firmware_lacks_are_not_judged(filler: int) -> None:
    words = settings_words(at_305=filler, at_310=filler, at_321=filler, at_322=filler)
    assert settings_warnings(words, firmware=242) == []
    assert settings_warnings(words) == []
    assert len(settings_warnings(words, firmware=254)) == 3


@pytest.mark.parametrize(
    ("address", "word", "part"),
    [
        (300, 4600, "Fully Charged Voltage (register 300) is 4.6 V, outside 1.2 to 4.5 V"),
        (307, 3, "Number of Series Cells (register 307) is 3 cells"),
        (340, 7, "BMS Operation Mode (register 340) holds the unknown number 7"),
        (320, 11, "Low Temperature Charge Cutoff (register 320) is 11 °C"),
        (330, 0x0502, "Charger Type"),
        (330, 0x1F01, "Discharge Over-Current Timeout (register 330) is 31 s"),
    ],
)
def test_a_setting_outside_its_range_is_a_warning_and_still_shown(
    address: int, word: int, part: str
) -> None:
    words = settings_words(**REV_D_SETTINGS | {f"at_{address}": word})
    (warning,) = settings_warnings(words, firmware=254)
    assert part in warning
    SettingsBlock.from_words(words, firmware=254)


def test_version_of_the_captured_unit() -> None:
    version = VersionBlock.from_words(
        [0x0102, 0x0301, 242, 0x0418, 0x1234, 0x5678, 0x9ABC, 0xDEF0, 1, 2]
    )
    assert version.hardware_name == "2.1"
    assert (version.firmware_public, version.firmware) == (1, 242)
    assert (version.bootloader, version.register_map) == (24, 4)
    assert version.high_power is True
    assert version.current_sensor == "internal_hall"
    assert version.serial_number == "34127856bc9af0de01000200"


def test_blocks_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="44 words"):
        SettingsBlock.from_words([0] * 43)
    with pytest.raises(ValueError, match="10 words"):
        VersionBlock.from_words([0] * 11)
