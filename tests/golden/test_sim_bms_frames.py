"""The simulated BMS answers byte for byte as the protocol's examples and real devices do.

Frames stand here in full; nothing in this file comes from the driver or from the simulator.
"""

import pytest

from tinybms_sim.line import BmsLine, make_line

REAL_14S = {
    **dict(enumerate((0, 0, 39800, 39810, 39820, 39830, 39830, 39840))),
    **dict(enumerate((39890, 39900, 39830, 39830, 39830, 39840, 39880, 39880), start=8)),
    32: 0x93CD, 33: 0x00FE, 36: 0x1EB8, 37: 0x425F, 38: 0, 39: 0, 42: 0x8000, 43: 0x8000,
    46: 0xF208, 47: 0x04FA, 48: 97, 50: 0x97, 51: 0, 52: 0, 102: 510, 103: 0, 114: 0x0300,
    200: 0x1226, 201: 0x6500, 202: 0x4E2B, 203: 0x64B9, 204: 0x4E2C, 205: 0x62B9,
    206: 0x4E42, 207: 0x65B9, 500: 0x0102, 501: 0x0301, 502: 242, 503: 0x0418,
    **dict.fromkeys(range(300, 345), 0),
    300: 4150, 301: 3000, 303: 3200, 304: 1000, 306: 6600, 307: 14, 308: 15, 312: 25000, 314: 1,
    315: 4200, 316: 2900, 317: 60, 318: 20, 319: 60, 320: 1, 328: 0xFFFF, 330: 1, 332: 5, 333: 1,
    335: 1, 338: 7, 343: 1,
}  # fmt: skip
"""Registers of a real 14S unit with firmware 2.3.242; what is left out is what a BMS computes."""

VENDOR_EXAMPLES = {
    5: 38720, 6: 38720, 7: 38700, 8: 38700, 9: 38700, 42: 276, 43: 278, 48: 278,
    300: 4150, 301: 3000, 315: 4180, 316: 2900,
}  # fmt: skip
DRIVING = {38: 0xD4FE, 39: 0xC040, 54: 0, 55: 0x41CC, 44: 42, 34: 15760, 35: 0}

CASES = {
    "vendor: read five cells": (
        VENDOR_EXAMPLES,
        "AA 03 00 05 00 05 8C 13",
        "AA 03 0A 97 40 97 40 97 2C 97 2C 97 2C 3E C7",
    ),
    "vendor: temperatures": (
        VENDOR_EXAMPLES,
        "AA 1B 3F 1B",
        "AA 1B 06 16 01 14 01 16 01 0E 4E",
    ),
    "vendor: write two cut-offs": (
        VENDOR_EXAMPLES,
        "AA 10 01 3B 00 02 04 10 68 09 C4 19 61",
        "AA 10 01 3B 00 02 28 22",
    ),
    "captured: write outside the settings is refused": (
        REAL_14S,
        "AA 10 32 01 00 01 02 40 01 CF 75",
        "AA 00 10 00 2C 3C",
    ),
    "cells of 14S lie on the top channels": (
        REAL_14S,
        "AA 03 00 00 00 10 5D DD",
        (
            "AA 03 20 00 00 00 00 9B 78 9B 82 9B 8C 9B 96 9B 96 9B A0 9B D2 9B DC"
            " 9B 96 9B 96 9B 96 9B A0 9B C8 9B C8 2F 9C"
        ),
    ),
    "pack voltage, low word first": (
        REAL_14S,
        "AA 03 00 24 00 02 9D DB",
        "AA 03 04 1E B8 42 5F 16 6C",
    ),
    "current at rest is exactly 0": (
        REAL_14S,
        "AA 03 00 26 00 02 3C 1B",
        "AA 03 04 00 00 00 00 E0 F9",
    ),
    "SoC": (REAL_14S, "AA 03 00 2E 00 02 BD D9", "AA 03 04 F2 08 04 FA D1 00"),
    "lifetime": (REAL_14S, "AA 03 00 20 00 02 DC 1A", "AA 03 04 93 CD 00 FE DD C2"),
    "time left at rest is half the raw SoC": (
        REAL_14S,
        "AA 03 00 22 00 02 7D DA",
        "AA 03 04 79 04 02 7D 79 25",
    ),
    "status, balancing, cells found": (
        REAL_14S,
        "AA 03 00 32 00 04 FC 1D",
        "AA 03 08 00 97 00 00 00 00 00 0E D5 FC",
    ),
    "peaks and the present spread": (
        REAL_14S,
        "AA 03 00 66 00 03 FC 0F",
        "AA 03 06 01 FE 00 00 00 64 83 AC",
    ),
    "SoC setting is never pending": (
        REAL_14S,
        "AA 03 01 48 00 01 1C 3B",
        "AA 03 02 FF FF 9C 2C",
    ),
    "version registers": (
        REAL_14S,
        "AA 03 01 F4 00 04 1D DC",
        "AA 03 08 01 02 03 01 00 F2 04 18 CE 37",
    ),
    "0x07 is little-endian": (
        REAL_14S,
        "AA 07 02 24 00 87 AC",
        "AA 07 04 B8 1E 5F 42 1C 1A",
    ),
    "0x09 repeats each address": (
        REAL_14S,
        "AA 09 04 24 00 25 00 F0 33",
        "AA 09 08 24 00 B8 1E 25 00 5F 42 90 8D",
    ),
    "0x14 has no length byte": (REAL_14S, "AA 14 7F 1F", "AA 14 B8 1E 5F 42 D5 75"),
    "0x15 discharge is negative": (DRIVING, "AA 15 BE DF", "AA 15 FE D4 40 C0 55 92"),
    "0x17 lowest cell in mV": (REAL_14S, "AA 17 3F 1E", "AA 17 8C 0F B5 3C"),
    "0x18 status": (REAL_14S, "AA 18 7F 1A", "AA 18 97 00 CF CB"),
    "0x1A SoC": (REAL_14S, "AA 1A FE DB", "AA 1A 08 F2 FA 04 A1 23"),
    "0x1B absent probes": (REAL_14S, "AA 1B 3F 1B", "AA 1B 06 61 00 00 80 00 80 A2 D1"),
    "0x12 events": (
        REAL_14S,
        "AA 12 FF 1D",
        "AA 12 14 CD 93 FE 00 26 12 00 65 2B 4E B9 64 2C 4E B9 62 42 4E B9 65 22 8F",
    ),
    "0x1E version": (REAL_14S, "AA 1E FF 18", "AA 1E 05 02 01 01 F2 00 58 C4"),
    "0x20 speed, distance, time": (
        DRIVING,
        "AA 20 7E C8",
        "AA 20 00 00 CC 41 2A 00 00 00 90 3D 00 00 B9 30",
    ),
    "0x07 in 63-byte packets": (
        REAL_14S,
        "AA 07 2D 2C 01 70 65",
        (
            "AA 07 82 36 10 B8 0B 00 00 80 0C E8 03 00 00 C8 19 0E 00 0F"
            " 00 00 00 00 00 00 00 A8 61 00"
            " 00 01 00 68 10 54 0B 3C 00 14 00 3C 00 01 00 00 00 00 00 00"
            " 00 00 00 00 00 00 00 00 00 FF"
            " FF 00 00 01 00 00 48 2D AA 07 1B 00 05 00 01 00 00 00 01 00"
            " 00 00 00 00 07 00 00 00 00 00"
            " 00 00 00 00 01 00 00 00 2F 55"
        ),
    ),
    "0x10 one setting": (
        REAL_14S,
        "AA 10 01 32 00 01 02 7D 00 18 E5",
        "AA 10 01 32 00 01 B8 21",
    ),
    "clear events is acknowledged": (REAL_14S, "AA 02 01 91 40", "AA 01 02 D1 B1"),
    "clear statistics is acknowledged": (REAL_14S, "AA 02 02 D1 41", "AA 01 02 D1 B1"),
    "a wrong CRC is refused as such": (REAL_14S, "AA 07 10 00 00 3C A8", "AA 00 07 01 E2 0C"),
    "public but wrong 0x14": (REAL_14S, "AA 14 7E AF", "AA 00 14 01 EF 3C"),
}


def modbus_crc(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def with_crc(text: str) -> bytes:
    body = bytes.fromhex(text)
    return body + modbus_crc(body).to_bytes(2, "little")


def answer_of(line: BmsLine, request: bytes, now_s: float = 100.0) -> bytes:
    line.receive(request, now_s)
    line.tick(now_s + 0.05)
    return line.due(now_s + 0.05)


def fixed_line(words: dict[int, int]) -> BmsLine:
    return make_line(start_s=100.0, overrides=words, paced=False)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_request_gets_the_known_answer(case: tuple[dict[int, int], str, str]) -> None:
    words, request, expected = case
    assert answer_of(fixed_line(words), bytes.fromhex(request)) == bytes.fromhex(expected)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_request_in_single_bytes_gets_the_same_answer(
    case: tuple[dict[int, int], str, str],
) -> None:
    words, request, expected = case
    line = fixed_line(words)
    for byte in bytes.fromhex(request):
        line.receive(bytes((byte,)), 100.0)
    assert line.due(100.0) == bytes.fromhex(expected)


def test_57_registers_by_0x03_come_in_one_frame_of_119_bytes() -> None:
    reply = answer_of(fixed_line(REAL_14S), bytes.fromhex("AA 03 00 00 00 39 9C 03"))
    assert (len(reply), reply[:3]) == (119, b"\xaa\x03\x72")


def test_57_registers_by_0x07_come_in_124_bytes_and_two_packets() -> None:
    reply = answer_of(fixed_line(REAL_14S), with_crc("AA 07 39 00 00"))
    assert (len(reply), reply[2], reply[68:71]) == (124, 0x82, b"\xaa\x07\x33")


def test_13_scattered_registers_come_as_52_bytes_of_pairs_in_the_order_asked() -> None:
    request = bytes.fromhex(
        "AA 09 1A 24 00 25 00 26 00 27 00 28 00 29 00 2E 00 2F 00"
        " 30 00 32 00 33 00 34 00 04 01 A8 3F"
    )
    reply = answer_of(fixed_line(REAL_14S), request)
    assert reply[:3] == b"\xaa\x09\x34"
    addresses = [int.from_bytes(reply[i : i + 2], "little") for i in range(3, 55, 4)]
    assert addresses == [36, 37, 38, 39, 40, 41, 46, 47, 48, 50, 51, 52, 260]


@pytest.mark.parametrize(
    ("request_hex", "expected"),
    [
        ("AA 03 00 00 00 80", "AA 00 03 00 21 0C"),
        ("AA 07 00 00 00", "AA 00 07 00 23 CC"),
    ],
)
def test_a_count_that_is_not_allowed_is_refused(request_hex: str, expected: str) -> None:
    assert answer_of(fixed_line(REAL_14S), with_crc(request_hex)) == bytes.fromhex(expected)


@pytest.mark.parametrize("body", ["AA 0B 04 32 01 00 7D", "AA 0B 02 32 01 00 7D"])
def test_0x0b_is_taken_whether_or_not_its_length_counts_the_address(body: str) -> None:
    line = fixed_line(REAL_14S)
    assert answer_of(line, with_crc(body)) == bytes.fromhex("AA 01 0B 11 B7")
    assert line.bms.read(306, 1) == [32000]


def test_unknown_commands_are_refused() -> None:
    """Function 6 of Modbus does not exist on a TinyBMS."""
    reply = answer_of(fixed_line(REAL_14S), with_crc("AA 06 01 2C 10 36"))
    assert reply == with_crc("AA 00 06 00")


def test_what_a_bms_computes_follows_from_the_cells_of_an_image() -> None:
    line = fixed_line({**dict.fromkeys(range(16), 33000), 0: 32900, 15: 33105})
    assert line.bms.read(40, 2) == [3290, 3310]
    assert line.bms.read(104, 1) == [205]
    assert line.bms.read(53, 1) == [16]
    assert line.bms.image.float32(36) == pytest.approx(52.8005)
