"""Typed view of the live block, registers 0-55."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tinybms_protocol.decode import (
    float_from_words,
    int16_from_word,
    scaled,
    uint32_from_words,
)
from tinybms_protocol.register_model import FIRMWARE_REV_D
from tinybms_protocol.registers import BY_KEY
from tinybms_protocol.registers_live import CHANNELS, NOT_FITTED_RAW
from tinybms_protocol.status import OnlineStatus

LIVE_WORDS: Final = 56
MIN_CELLS: Final = 4
_FLOAT_DIGITS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveBlock:
    """Live data of one poll. Current is positive when charging.

    The block must have passed `plausibility.check_live_block`. Source: TinyBMS protocol Rev D,
    register map, live data.
    """

    channel_voltages_v: tuple[float, ...]
    """All 16 measuring channels; see `pack_cells` for the cells of the pack."""
    lifetime_s: int
    estimated_time_left_s: int
    """As read; it only means something while discharging."""
    pack_voltage_v: float
    pack_current_a: float
    """Exactly 0.0 under the BMS's own threshold."""
    min_cell_voltage_mv: int
    max_cell_voltage_mv: int
    external_temperature_1_c: float | None
    """None: no sensor fitted."""
    external_temperature_2_c: float | None
    internal_temperature_c: float | None
    soc_pct: float
    soh_pct: float | None
    """None: the firmware is older than 251, or not known."""
    online_status_raw: int
    online_status: OnlineStatus
    balancing_wanted_bits: int
    balancing_active_bits: int
    detected_cells: int

    @classmethod
    def from_words(cls, words: Sequence[int], *, firmware: int | None = None) -> LiveBlock:
        """Decode registers 0-55; `firmware` is register 502. ValueError for another length."""
        if len(words) != LIVE_WORDS:
            raise ValueError(f"the live block has {LIVE_WORDS} words, {len(words)} given")
        soh_pct = None
        if firmware is not None and firmware >= FIRMWARE_REV_D:
            soh_pct = _number(words, "state_of_health")
        return cls(
            channel_voltages_v=tuple(scaled(word, 0.0001) for word in words[:CHANNELS]),
            lifetime_s=uint32_from_words(words[32:34]),
            estimated_time_left_s=uint32_from_words(words[34:36]),
            pack_voltage_v=_float(words[36:38]),
            pack_current_a=_float(words[38:40]),
            min_cell_voltage_mv=words[40],
            max_cell_voltage_mv=words[41],
            external_temperature_1_c=_temperature(words[42]),
            external_temperature_2_c=_temperature(words[43]),
            internal_temperature_c=_temperature(words[48]),
            soc_pct=scaled(uint32_from_words(words[46:48]), 1e-6),
            soh_pct=soh_pct,
            online_status_raw=words[50],
            online_status=OnlineStatus.from_raw(words[50]),
            balancing_wanted_bits=words[51],
            balancing_active_bits=words[52],
            detected_cells=words[53],
        )

    def pack_cells(self, count: int) -> tuple[float, ...]:
        """Voltages of a pack of `count` cells, most negative first, in V.

        Packs with fewer than 16 cells sit on the top channels: pack cell 1 is channel register
        16 - count. ValueError unless 4 <= count <= 16.
        """
        return self.channel_voltages_v[_first_channel(count) :]

    def cells_balancing(self, count: int) -> tuple[bool, ...]:
        """Cells of a pack of `count` whose balancing is on now, most negative first."""
        return _bits(self.balancing_active_bits, count)

    def cells_to_balance(self, count: int) -> tuple[bool, ...]:
        """Cells of a pack of `count` that the BMS wants to balance, most negative first."""
        return _bits(self.balancing_wanted_bits, count)


def pack_cell_address(cell: int, count: int) -> int:
    """Register of pack cell `cell` (from 1, most negative) in a pack of `count` cells."""
    if not 1 <= cell <= count:
        raise ValueError(f"cell {cell} of a pack of {count}")
    return _first_channel(count) + cell - 1


def _first_channel(count: int) -> int:
    if not MIN_CELLS <= count <= CHANNELS:
        raise ValueError(f"a pack has {MIN_CELLS} to {CHANNELS} cells, not {count}")
    return CHANNELS - count


def _bits(mask: int, count: int) -> tuple[bool, ...]:
    return tuple(bool(mask >> bit & 1) for bit in range(_first_channel(count), CHANNELS))


def _float(words: Sequence[int]) -> float:
    return float(f"{float_from_words(words):.{_FLOAT_DIGITS}g}")


def _temperature(word: int) -> float | None:
    raw = int16_from_word(word)
    return None if raw == NOT_FITTED_RAW else scaled(raw, 0.1)


def _number(words: Sequence[int], key: str) -> float:
    register = BY_KEY[key]
    return scaled(words[register.address], register.scale)
