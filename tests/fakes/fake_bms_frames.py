"""Frames as a TinyBMS would send them, and register images with values that a test can name."""

import struct
from collections.abc import Mapping, Sequence

from tinybms_protocol.crc import with_crc

SERIAL_WORDS = (0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666)
SERIAL = "111122223333444455556666"


def read_reply(words: Sequence[int]) -> bytes:
    """The answer to command 0x03."""
    payload = struct.pack(f">{len(words)}H", *words)
    return with_crc(bytes((0xAA, 0x03, len(payload))) + payload)


def settings_reply(words: Sequence[int]) -> bytes:
    """The answer to command 0x1D."""
    payload = struct.pack(f"<{len(words)}H", *words)
    return with_crc(bytes((0xAA, 0x1D, len(payload))) + payload)


def nack(command: int, code: int) -> bytes:
    """A refusal."""
    return with_crc(bytes((0xAA, 0x00, command, code)))


def float_words(value: float) -> tuple[int, int]:
    """A float, low word first."""
    low, high = struct.unpack("<HH", struct.pack("<f", value))
    return low, high


def long_words(value: int) -> tuple[int, int]:
    """A 32-bit number, low word first."""
    return value & 0xFFFF, value >> 16


def live_words(
    cells_v: Sequence[float] = (3.3,) * 16,
    *,
    current_a: float = 0.0,
    pack_v: float | None = None,
    soc_pct: float = 50.0,
    temperatures_c: tuple[float | None, float | None, float | None] = (20.0, 21.0, 25.0),
    status: int = 0x97,
    lifetime_s: int = 1_000_000,
    words: Mapping[int, int] | None = None,
) -> tuple[int, ...]:
    """Registers 0-55 of a pack; fewer than 16 cells sit on the top channels."""
    image = [0] * 56
    for channel, volts in enumerate(cells_v, start=16 - len(cells_v)):
        image[channel] = round(volts * 10_000)
    image[32:34] = long_words(lifetime_s)
    image[36:38] = float_words(sum(cells_v) if pack_v is None else pack_v)
    image[38:40] = float_words(current_a)
    image[40], image[41] = round(min(cells_v) * 1000), round(max(cells_v) * 1000)
    for address, celsius in zip((42, 43, 48), temperatures_c, strict=True):
        image[address] = 0x8000 if celsius is None else round(celsius * 10) & 0xFFFF
    image[45] = 49_000
    image[46:48] = long_words(round(soc_pct * 1e6))
    image[50] = status
    image[53] = len(cells_v)
    for address, word in (words or {}).items():
        image[address] = word
    return tuple(image)


def settings_words(*, cells: int = 16, words: Mapping[int, int] | None = None) -> tuple[int, ...]:
    """Registers 300-343 of a lithium iron phosphate pack of 280 Ah."""
    image = {
        300: 3650, 301: 2900, 303: 3400, 304: 1000, 305: 300, 306: 28000, 307: cells, 308: 15,
        310: 20, 311: 5, 312: 25000, 314: 1, 315: 3750, 316: 2500, 317: 200, 318: 150, 319: 60,
        320: 1, 321: 90, 322: 4000, 323: 0xFFFF, 328: 0xFFFF, 329: 4, 330: 0x0501, 332: 5, 333: 1,
        335: 1, 338: 3, 343: 1, **(words or {}),
    }  # fmt: skip
    return tuple(image.get(address, 0) for address in range(300, 344))


def version_words(*, firmware: int = 254, serial: Sequence[int] = SERIAL_WORDS) -> tuple[int, ...]:
    """Registers 500-509."""
    return (0x0102, 0x0301, firmware, 0x0418, *serial)


def log_words(*events: tuple[int, int]) -> tuple[int, ...]:
    """Registers 200-297 with (number, lifetime second) in the first slots."""
    image: list[int] = []
    for number, time_s in events:
        image += (time_s & 0xFFFF, number << 8 | time_s >> 16 & 0xFF)
    return tuple(image + [0] * (98 - len(image)))
