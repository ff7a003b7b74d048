from __future__ import annotations

import pytest

from tinybms_protocol.crc import crc16, with_crc


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"123456789", 0x4B37),
        (b"", 0xFFFF),
        (bytes.fromhex("aa1b"), 0x1B3F),
        (bytes.fromhex("aa0205"), 0x8390),
        (bytes.fromhex("aa0300050005"), 0x138C),
        (bytes.fromhex("aa10013b0002"), 0x2228),
    ],
)
def test_known_check_values(data: bytes, crc: int) -> None:
    assert crc16(data) == crc


def test_the_crc_travels_low_byte_first_and_the_whole_frame_gives_zero() -> None:
    frame = with_crc(bytes.fromhex("aa1b"))
    assert frame == bytes.fromhex("aa1b3f1b")
    assert crc16(frame) == 0
