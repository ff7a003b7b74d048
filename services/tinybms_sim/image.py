"""The register image of the simulated BMS: one 16-bit word per address.

Addresses, scales and start values follow TinyBMS protocol Rev D, chapter 3; 32-bit values and
floats lie low word first. Nothing here is taken from the gateway's own register table.
"""

import json
import struct
from collections.abc import Collection, Mapping
from pathlib import Path

CELL_CHANNELS = 16
ABSENT_PROBE = 0x8000
NOTHING_PENDING = 0xFFFF
EVENT_SLOTS = 49

LIFETIME, TIME_LEFT, PACK_VOLTAGE, PACK_CURRENT = 32, 34, 36, 38
MIN_CELL, MAX_CELL, EXTERNAL_TEMP_1, EXTERNAL_TEMP_2, DISTANCE_LEFT = 40, 41, 42, 43, 44
SOH, SOC, BOARD_TEMP, STATUS = 45, 46, 48, 50
BALANCING_WANTED, BALANCING_ACTIVE, DETECTED_CELLS, SPEED = 51, 52, 53, 54
PEAK_DISCHARGE, PEAK_CHARGE, CELL_SPREAD = 102, 103, 104
UNDER_VOLTAGE_COUNT, OVER_VOLTAGE_COUNT, DISCHARGE_OC_COUNT = 105, 106, 107
CHARGE_OC_COUNT, OVER_HEAT_COUNT, CHARGING_COUNT = 108, 109, 111
TEMP_EXTREMES, CAUSES, STATS_CLEARED_AT = 113, 114, 116
EVENTS = 200
SETTINGS, SETTINGS_END = 300, 400
FULLY_CHARGED, FULLY_DISCHARGED, BALANCING_FROM, CAPACITY, SERIES_CELLS = 300, 301, 303, 306, 307
OVER_VOLTAGE, UNDER_VOLTAGE, DISCHARGE_OC, CHARGE_OC = 315, 316, 317, 318
PEAK_DISCHARGE_CUTOFF, OVER_HEAT, LOW_TEMP_CHARGE, SOH_SET = 305, 319, 320, 323
ALLOWED_DISBALANCE, SOC_SET, RECOVERY_S, OPERATION_MODE = 308, 328, 332, 340
BROADCAST_TIME, BROADCAST_PROTOCOL = 342, 343
HARDWARE, FIRMWARE_PUBLIC, FIRMWARE, BOOTLOADER, SERIAL = 500, 501, 502, 503, 504

_WINDOWS = (range(100), range(100, 200), range(200, 300), range(300, 400), range(500, 600))
NEW_IN_REV_D = frozenset({45, 305, 310, 311, 321, 322, 323})
"""Registers that firmware before 2.3.251 keeps reserved."""
FIRST_REV_D_FIRMWARE = 251

DEFAULT_SETTINGS: Mapping[int, int] = {
    300: 3650, 301: 2800, 303: 3400, 304: 1000, 305: 300, 306: 28000, 307: 16, 308: 15,
    310: 20, 311: 5, 312: 25000, 313: 0, 314: 1, 315: 3750, 316: 2500, 317: 200, 318: 150,
    319: 60, 320: 1, 321: 90, 322: 4000, 323: NOTHING_PENDING, 328: NOTHING_PENDING,
    329: 4, 330: 0x0501, 332: 5, 333: 1, 335: 1, 338: 3, 343: 1,
}  # fmt: skip
"""A 16S LiFePO4 pack of 280 Ah in dual-port mode, broadcast off."""

_LIMITS: Mapping[int, tuple[int, int]] = {
    300: (1200, 4500), 301: (1000, 3500), 303: (1000, 4500), 304: (100, 5000), 305: (1, 750),
    306: (10, 65500), 307: (4, 16), 308: (15, 100), 310: (5, 60), 311: (0, 60), 312: (0, 0xFFFF),
    313: (0, 1), 314: (1, 5), 315: (1200, 4500), 316: (800, 3500), 317: (1, 750), 318: (1, 750),
    319: (20, 90), 320: (0x10000 - 40, 10), 321: (60, 95), 322: (10, 65000), 323: (0, 50000),
    328: (0, 50000), 329: (0, 7), 330: (1, 0x1E01), 331: (0, 8), 332: (0, 30), 333: (1, 9),
    334: (0, 6), 335: (1, 7), 336: (0, 2), 337: (0, 0x10), 338: (0, 7), 339: (0, 1), 340: (0, 1),
    341: (0, 8), 342: (0, 7), 343: (0, 2),
}  # fmt: skip
_SIGNED_SETTINGS = frozenset({319, 320})
_STEP_MV = 10


class ImageError(ValueError):
    """A register image file that can't be used; the text says what and where."""


def signed(word: int) -> int:
    """A word as a signed 16-bit number."""
    return word - 0x10000 if word & 0x8000 else word


def u32_words(value: int) -> tuple[int, int]:
    """A 32-bit number as (low word, high word)."""
    return value & 0xFFFF, (value >> 16) & 0xFFFF


def float_words(value: float) -> tuple[int, int]:
    """A 32-bit float as (low word, high word)."""
    low, high = struct.unpack("<HH", struct.pack("<f", value))
    return low, high


class Image:
    """The words of one device; reserved registers read 0, addresses outside the map read junk."""

    def __init__(self, words: Mapping[int, int]) -> None:
        self._words = dict(words)

    def __getitem__(self, address: int) -> int:
        if any(address in window for window in _WINDOWS):
            return self._words.get(address, 0)
        return 0xFFFB if address & 1 else 0xFFFF

    def __setitem__(self, address: int, word: int) -> None:
        self._words[address] = word & 0xFFFF

    def block(self, address: int, count: int) -> list[int]:
        """`count` words from address on."""
        return [self[(address + offset) & 0xFFFF] for offset in range(count)]

    def u32(self, address: int) -> int:
        """The 32-bit number at address."""
        return self[address] | self[address + 1] << 16

    def put_u32(self, address: int, value: int) -> None:
        """Store a 32-bit number, low word first."""
        self[address], self[address + 1] = u32_words(value)

    def float32(self, address: int) -> float:
        """The float at address."""
        packed = struct.pack("<HH", self[address], self[address + 1])
        return float(struct.unpack("<f", packed)[0])

    def put_float32(self, address: int, value: float) -> None:
        """Store a float, low word first."""
        self[address], self[address + 1] = float_words(value)

    def setting_limits(self, address: int) -> tuple[int, int]:
        """(lowest, highest) word now allowed in a setting; cell thresholds stay 10 mV apart.

        Reserved settings take any word: the document gives them no range.
        """
        low, high = _LIMITS.get(address, (0, 0xFFFF))
        if address == FULLY_CHARGED:
            low, high = self[FULLY_DISCHARGED] + _STEP_MV, self[OVER_VOLTAGE] - _STEP_MV
        elif address == FULLY_DISCHARGED:
            low, high = self[UNDER_VOLTAGE] + _STEP_MV, self[FULLY_CHARGED] - _STEP_MV
        elif address == OVER_VOLTAGE:
            low = self[FULLY_CHARGED] + _STEP_MV
        elif address == UNDER_VOLTAGE:
            high = self[FULLY_DISCHARGED] - _STEP_MV
        return low, high

    def setting_allowed(self, address: int, word: int) -> bool:
        """Whether a setting may take word now."""
        low, high = self.setting_limits(address)
        if address in _SIGNED_SETTINGS:
            return signed(low) <= signed(word) <= signed(high)
        return low <= word <= high


def default_words(firmware: int) -> dict[int, int]:
    """The image of a healthy 16S LiFePO4 pack at rest, lifetime about 142 days."""
    words = dict(DEFAULT_SETTINGS)
    words.update(
        {HARDWARE: 0x0102, FIRMWARE_PUBLIC: 0x0301, FIRMWARE: firmware, BOOTLOADER: 0x0418}
    )
    words.update(dict(enumerate((0x5300, 0x1A2B, 0x004C, 0x8F01, 0x2037, 0x0001), start=SERIAL)))
    words.update(dict.fromkeys(range(CELL_CHANNELS), 33350))
    words.update({EXTERNAL_TEMP_1: 241, EXTERNAL_TEMP_2: 246, BOARD_TEMP: 275, STATUS: 0x97})
    words.update({SOH: 49000, DETECTED_CELLS: CELL_CHANNELS, TEMP_EXTREMES: 0x1F12, CAUSES: 0x0300})
    for address, value in ((LIFETIME, 12_288_000), (SOC, 62_340_000), (STATS_CLEARED_AT, 86_400)):
        words[address], words[address + 1] = u32_words(value)
    _derive(words, given=frozenset())
    return words


def words_with(overrides: Mapping[int, int], firmware: int) -> dict[int, int]:
    """The default image with overrides; what follows from the cells is recomputed unless given."""
    words = {**default_words(firmware), **overrides}
    if overrides.keys() & set(range(CELL_CHANNELS)):
        words.update({a: overrides.get(a, 0) for a in range(CELL_CHANNELS)})
        _derive(words, given=overrides.keys())
    if SOC in overrides and TIME_LEFT not in overrides:
        soc = words[SOC] | words[SOC + 1] << 16
        words[TIME_LEFT], words[TIME_LEFT + 1] = u32_words(soc // 2)
    return words


def load_overrides(path: Path) -> dict[int, int]:
    """Read a JSON file of register number to word; raises ImageError with what is wrong."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImageError(f'{path}: {error}; expected JSON such as {{"36": 7864}}') from error
    if not isinstance(content, dict):
        raise ImageError(f"{path}: expected an object of register number to word")
    return dict(_override(path, key, value) for key, value in content.items())


def _override(path: Path, key: str, value: object) -> tuple[int, int]:
    try:
        address = int(key, 0)
        word = int(value, 0) if isinstance(value, str) else value
    except ValueError:
        raise ImageError(f"{path}: {key}: {value!r} is not register number and word") from None
    if not 0 <= address <= 0xFFFF:
        raise ImageError(f"{path}: register {key} is outside 0-65535")
    if isinstance(word, bool) or not isinstance(word, int) or not -0x8000 <= word <= 0xFFFF:
        raise ImageError(f"{path}: register {key}: {value!r} is not a 16-bit word")
    return address, word & 0xFFFF


def _derive(words: dict[int, int], *, given: Collection[int]) -> None:
    """Fill what a BMS computes from its cells, without touching the addresses given."""
    cells = [word for word in (words[a] for a in range(CELL_CHANNELS)) if word]
    if not cells:
        return
    low_v, high_v = float_words(sum(cells) / 10_000)
    soc_half = u32_words((words[SOC] | words[SOC + 1] << 16) // 2)
    derived = {
        PACK_VOLTAGE: low_v,
        PACK_VOLTAGE + 1: high_v,
        MIN_CELL: round(min(cells) / 10),
        MAX_CELL: round(max(cells) / 10),
        CELL_SPREAD: max(cells) - min(cells),
        DETECTED_CELLS: len(cells),
        SERIES_CELLS: len(cells),
        TIME_LEFT: soc_half[0],
        TIME_LEFT + 1: soc_half[1],
    }
    words.update({a: word for a, word in derived.items() if a not in given})
