"""The simulated BMS beyond single frames: writes, settings, events, sleep, reset, firmware."""

import struct

import pytest

from tinybms_sim.device import AWAKE_AFTER_TRAFFIC_S, FLASH_WRITE_S, RESET_SILENCE_S
from tinybms_sim.line import BmsLine, make_line
from tinybms_sim.wire import crc16

START_S = 1000.0
UNDER_LOAD = {38: 0x0000, 39: 0xC148}
"""-12.5 A, which keeps the BMS awake."""


def framed(*body: int) -> bytes:
    data = bytes((0xAA, *body))
    return data + struct.pack("<H", crc16(data))


def ask(line: BmsLine, request: bytes, now_s: float = START_S) -> bytes:
    line.receive(request, now_s)
    return line.due(now_s + 1.0)


def read(line: BmsLine, address: int, count: int, now_s: float = START_S) -> list[int]:
    reply = ask(line, framed(3, *struct.pack(">HH", address, count)), now_s)
    assert reply[:3] == bytes((0xAA, 3, 2 * count))
    return list(struct.unpack(f">{count}H", reply[3:-2]))


def write(line: BmsLine, address: int, *words: int, now_s: float = START_S) -> bytes:
    body = struct.pack(f">HHB{len(words)}H", address, len(words), 2 * len(words), *words)
    return ask(line, framed(0x10, *body), now_s)


def is_refused(reply: bytes) -> bool:
    return reply[:2] == b"\xaa\x00"


@pytest.fixture
def resting() -> BmsLine:
    return make_line(start_s=START_S, overrides={38: 0, 39: 0}, paced=False)


@pytest.fixture
def living() -> BmsLine:
    return make_line(start_s=START_S, paced=False)


def test_reads_outside_the_map_give_junk_and_are_not_refused(resting: BmsLine) -> None:
    assert read(resting, 0x2C01, 2) == [0xFFFB, 0xFFFF]


def test_reserved_registers_are_readable(resting: BmsLine) -> None:
    assert read(resting, 49, 1) == read(resting, 110, 1) == [0]


@pytest.mark.parametrize("address", [299, 400, 0, 502])
def test_writes_outside_the_settings_are_refused(resting: BmsLine, address: int) -> None:
    assert is_refused(write(resting, address, 1))


@pytest.mark.parametrize(
    ("address", "word"),
    [(307, 3), (307, 17), (319, 91), (320, 11), (320, 0x10000 - 41), (342, 8), (328, 50001)],
)
def test_a_setting_out_of_its_range_is_refused_and_kept(
    resting: BmsLine, address: int, word: int
) -> None:
    before = read(resting, address, 1)
    assert is_refused(write(resting, address, word))
    assert read(resting, address, 1) == before


def test_one_bad_word_refuses_the_whole_block(resting: BmsLine) -> None:
    before = read(resting, 315, 2)
    assert is_refused(write(resting, 315, 3700, 9999))
    assert read(resting, 315, 2) == before


def test_cell_thresholds_stay_ten_millivolts_apart(resting: BmsLine) -> None:
    assert is_refused(write(resting, 300, 3741))
    assert not is_refused(write(resting, 300, 3740))
    assert is_refused(write(resting, 301, 2509))


def test_a_negative_temperature_setting_is_taken(resting: BmsLine) -> None:
    assert not is_refused(write(resting, 320, 0x10000 - 5))
    assert read(resting, 320, 1) == [0x10000 - 5]


def test_limits_of_settings_move_with_the_other_settings(resting: BmsLine) -> None:
    lowest = ask(resting, framed(0x1D, 1, 0, 16))
    highest = ask(resting, framed(0x1D, 2, 0, 16))
    words = [struct.unpack_from("<16H", reply, 3) for reply in (lowest, highest)]
    assert [w[0] for w in words] == [2810, 3740]
    assert [w[15] for w in words] == [3660, 4500]


def test_0x1d_gives_defaults_and_current_settings(resting: BmsLine) -> None:
    write(resting, 306, 10_000)
    default = struct.unpack_from("<7H", ask(resting, framed(0x1D, 3, 0, 7)), 3)
    current = struct.unpack_from("<7H", ask(resting, framed(0x1D, 4, 0, 7)), 3)
    assert (default[6], current[6]) == (28_000, 10_000)
    assert is_refused(ask(resting, framed(0x1D, 5, 0, 7)))
    assert is_refused(ask(resting, framed(0x1D, 1, 0, 101)))


def test_soc_is_set_by_328_which_then_reads_nothing_pending(living: BmsLine) -> None:
    write(living, 328, 25_000)
    assert read(living, 328, 1) == [0xFFFF]
    low, high = read(living, 46, 2, now_s=START_S + 0.2)
    assert (low | high << 16) / 1e6 == pytest.approx(50.0, abs=0.01)


def test_soh_is_set_by_323_and_shown_by_45(resting: BmsLine) -> None:
    write(resting, 323, 40_000)
    assert (read(resting, 45, 1), read(resting, 323, 1)) == ([40_000], [0xFFFF])


def test_flash_writes_are_counted_and_delay_the_next_answer(resting: BmsLine) -> None:
    resting.receive(framed(0x10, *struct.pack(">HHBH", 306, 1, 2, 20_000)), START_S)
    assert resting.due(START_S) != b""
    resting.receive(framed(0x18), START_S + 0.01)
    assert resting.due(START_S + FLASH_WRITE_S - 0.01) == b""
    assert resting.due(START_S + FLASH_WRITE_S) != b""
    write(resting, 328, 25_000)
    assert resting.bms.flash_writes == 1


def test_a_changed_operation_mode_restarts_the_bms(resting: BmsLine) -> None:
    write(resting, 340, 1)
    assert ask(resting, framed(0x18), START_S + RESET_SILENCE_S - 0.1) == b""
    assert ask(resting, framed(0x18), START_S + RESET_SILENCE_S) != b""


def test_reset_is_silent_logs_a_start_and_keeps_statistics(resting: BmsLine) -> None:
    resting.bms.image[102] = 510
    assert ask(resting, framed(2, 5)) == b""
    assert ask(resting, framed(0x12), START_S + 1.0) == b""
    reply = ask(resting, framed(0x12), START_S + RESET_SILENCE_S)
    assert reply[-3] == 0x61
    assert read(resting, 102, 1, START_S + RESET_SILENCE_S) == [510]


def test_clearing_statistics_keeps_the_events(resting: BmsLine) -> None:
    resting.bms.image[102] = 510
    resting.bms.log_event(0x02)
    ask(resting, framed(2, 2))
    assert read(resting, 102, 1) == [0]
    assert read(resting, 116, 2) == read(resting, 32, 2)
    assert resting.bms.events.all() != []
    ask(resting, framed(2, 1))
    assert resting.bms.events.all() == []


def test_newest_events_are_those_since_the_last_question(resting: BmsLine) -> None:
    resting.bms.log_event(0x64)
    first, second = ask(resting, framed(0x11)), ask(resting, framed(0x11))
    assert (first[2], second[2]) == (8, 4)


def test_the_event_ring_holds_49_and_overwrites_the_oldest_slot() -> None:
    lifetime = 0x0100_0010
    words = {32: lifetime & 0xFFFF, 33: lifetime >> 16, 38: 0, 39: 0}
    line = make_line(start_s=START_S, overrides=words, paced=False)
    for number in range(50):
        line.bms.log_event(0x31 + number % 16)
    reply = ask(line, framed(0x12))
    assert (reply[2], len(reply)) == (200, 205)
    assert reply[3:7] == lifetime.to_bytes(4, "little")
    assert reply[7:11] == bytes((0x10, 0, 0, 0x32))  # the 50th event, in the first slot


def test_a_sleeping_bms_swallows_the_first_frame_and_answers_the_second(resting: BmsLine) -> None:
    later_s = START_S + AWAKE_AFTER_TRAFFIC_S
    assert ask(resting, framed(0x18), later_s - 0.1) != b""
    later_s += AWAKE_AFTER_TRAFFIC_S
    assert ask(resting, framed(0x18), later_s) == b""
    assert ask(resting, framed(0x18), later_s + 0.15) != b""


def test_a_bms_under_load_does_not_fall_asleep() -> None:
    line = make_line(start_s=START_S, overrides=UNDER_LOAD, paced=False)
    assert ask(line, framed(0x18), START_S + 100.0) != b""


def test_firmware_242_keeps_the_registers_of_rev_d_reserved() -> None:
    line = make_line(start_s=START_S, firmware=242, paced=False)
    assert read(line, 502, 1) == [242]
    assert [read(line, a, 1) for a in (45, 305, 310, 311, 321, 322, 323)] == [[0]] * 7
    newer = make_line(start_s=START_S, paced=False)
    assert all(read(newer, a, 1) != [0] for a in (45, 305, 310, 311, 321, 322, 323))


def test_held_registers_win_over_the_battery_until_released(living: BmsLine) -> None:
    living.bms.override({42: 200, 43: 0x8000})
    assert read(living, 42, 2, START_S + 5.0) == [200, 0x8000]
    living.bms.release()
    assert read(living, 42, 2, START_S + 5.2) != [200, 0x8000]


def test_a_fixed_image_stays_as_given_while_only_the_lifetime_runs() -> None:
    words = {
        **UNDER_LOAD,
        0: 31_000,
        36: 0x1EB8,
        37: 0x425F,
        48: 0xFF33,
        50: 0x93,
        104: 7,
        46: 1,
        47: 2,
    }
    line = make_line(start_s=START_S, overrides=words, paced=False)
    before = read(line, 0, 56)
    after = read(line, 0, 56, START_S + 500.0)
    assert [a for a in range(56) if before[a] != after[a]] == [32]
    assert all(after[a] == word for a, word in words.items() if a < 56)
    assert read(line, 104, 1, START_S + 500.0) == [7]


def test_a_lifetime_that_is_given_stands_still() -> None:
    line = make_line(start_s=START_S, overrides={**UNDER_LOAD, 32: 0xCD93, 33: 0xFE}, paced=False)
    assert read(line, 32, 2, START_S + 500.0) == [0xCD93, 0xFE]


def test_a_partial_frame_is_forgotten_after_a_pause(resting: BmsLine) -> None:
    resting.receive(framed(0x18)[:3], START_S)
    assert ask(resting, framed(0x18), START_S + 0.1) != b""


def test_bytes_that_are_no_start_are_skipped(resting: BmsLine) -> None:
    assert ask(resting, b"\x00\x55" + framed(0x18)) != b""
