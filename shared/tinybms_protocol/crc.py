"""CRC of every TinyBMS frame."""

from __future__ import annotations

_POLYNOMIAL_REFLECTED = 0xA001
_START = 0xFFFF


def crc16(data: bytes | bytearray | memoryview) -> int:
    """CRC-16/MODBUS over `data`, the leading 0xAA included; it travels low byte first.

    Over a whole valid frame, its own CRC included, it is 0. Source: TinyBMS protocol Rev D, CRC.
    """
    crc = _START
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def with_crc(body: bytes) -> bytes:
    """`body` followed by its CRC, low byte first."""
    return body + crc16(body).to_bytes(2, "little")


def _table_entry(index: int) -> int:
    crc = index
    for _ in range(8):
        crc = (crc >> 1) ^ _POLYNOMIAL_REFLECTED if crc & 1 else crc >> 1
    return crc


_TABLE = tuple(_table_entry(index) for index in range(256))
