"""What no battery can have, and what does not fit together.

An impossible value drops its whole block; a doubtful one is a warning and drops nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tinybms_protocol.decode import (
    decode_register,
    float_from_words,
    int16_from_word,
    range_text,
    raw_bounds,
    uint32_from_words,
)
from tinybms_protocol.errors import PlausibilityError
from tinybms_protocol.live import LIVE_WORDS, LiveBlock
from tinybms_protocol.registers import BY_KEY, READABLE_BLOCKS, RegisterGroup, registers_in
from tinybms_protocol.registers_live import CHANNELS, NOT_FITTED_RAW
from tinybms_protocol.status import OnlineStatus

PACK_VOLTAGE_V: Final = (-1.0, 90.0)
MAX_CURRENT_A: Final = 1000.0
MAX_SOC_RAW: Final = 100_000_000
MAX_CELL_RAW: Final = 60_000
TEMPERATURE_RAW: Final = (-600, 1500)
PACK_SUM_TOLERANCE: Final = 0.01
"""Share of the pack voltage by which the sum of the cells may differ."""
SIGN_THRESHOLD_A: Final = 1.0
"""Current above which its sign must agree with the status; the BMS's own threshold is 0.8 A."""
MIN_MAX_TOLERANCE_MV: Final = 4
"""1 mV of rounding and 3 mV because the values are not taken at the same moment."""


def check_live_block(words: Sequence[int]) -> PlausibilityError | None:
    """The first impossible value of registers 0-55, or None when all are possible."""
    if len(words) != LIVE_WORDS:
        return PlausibilityError("live", f"{len(words)} words instead of {LIVE_WORDS}")
    for channel, raw in enumerate(words[:CHANNELS], start=1):
        if raw > MAX_CELL_RAW:
            return PlausibilityError(f"cell_voltage_{channel:02d}", f"{raw} x 0.1 mV")
    low_v, high_v = PACK_VOLTAGE_V
    return (
        _check_float(words, "pack_voltage", low_v, high_v)
        or _check_float(words, "pack_current", -MAX_CURRENT_A, MAX_CURRENT_A)
        or _check_soc(words)
        or _check_temperature(words, "external_temp_1")
        or _check_temperature(words, "external_temp_2")
        or _check_temperature(words, "internal_temp")
    )


def settings_warnings(words: Sequence[int], *, firmware: int | None = None) -> list[str]:
    """Sentences about settings (words of registers 300-343) outside the table's range.

    Registers that `firmware` (register 502) does not have are not judged; None judges only those
    that every firmware has.
    """
    block = READABLE_BLOCKS[RegisterGroup.SETTINGS]
    warnings = []
    for register in registers_in(block.start, len(words)):
        if register.since_firmware > (firmware or 0):
            continue
        offset = register.address - block.start
        reading = decode_register(register, words[offset : offset + register.words])
        if reading.raw is None or reading.raw == register.unknown_raw:
            continue
        lowest, highest = raw_bounds(register)
        place = f"{register.label} (register {register.address})"
        if register.names is not None and reading.raw not in register.names:
            warnings.append(f"{place} holds the unknown number {reading.raw}")
        elif not lowest <= reading.raw <= highest:
            unit = f" {register.unit}" if register.unit else ""
            warnings.append(f"{place} is {reading.value}{unit}, outside {range_text(register)}")
    return warnings


def consistency_warnings(live: LiveBlock, series_cells: int) -> list[str]:
    """Sentences about live values that do not fit each other or the number of cells set (307)."""
    warnings = []
    cells_v = live.pack_cells(series_cells)
    total_v = sum(cells_v)
    if abs(live.pack_voltage_v - total_v) > PACK_SUM_TOLERANCE * abs(live.pack_voltage_v):
        warnings.append(
            f"the pack shows {live.pack_voltage_v:.3f} V, its cells add up to {total_v:.3f} V: "
            "check the balance plug"
        )
    for name, shown_mv, cell_v in (
        ("lowest", live.min_cell_voltage_mv, min(cells_v)),
        ("highest", live.max_cell_voltage_mv, max(cells_v)),
    ):
        if abs(shown_mv - cell_v * 1000) > MIN_MAX_TOLERANCE_MV:
            warnings.append(
                f"the BMS names {shown_mv} mV as its {name} cell, its cells say {cell_v:.4f} V"
            )
    wrong_way = {OnlineStatus.CHARGING: -1, OnlineStatus.DISCHARGING: 1}
    if live.pack_current_a * wrong_way.get(live.online_status, 0) > SIGN_THRESHOLD_A:
        warnings.append(
            f"the BMS says {live.online_status} at {live.pack_current_a:.1f} A: the external "
            "current sensor may be mounted the wrong way round (register 329)"
        )
    if live.detected_cells != series_cells:
        warnings.append(
            f"the BMS detects {live.detected_cells} cells, {series_cells} are set (register 307)"
        )
    return warnings


def _check_float(
    words: Sequence[int], key: str, lowest: float, highest: float
) -> PlausibilityError | None:
    register = BY_KEY[key]
    value = float_from_words(words[register.address : register.end])
    # NaN fails every comparison.
    if lowest <= value <= highest:
        return None
    return PlausibilityError(key, f"{value} {register.unit}")


def _check_soc(words: Sequence[int]) -> PlausibilityError | None:
    register = BY_KEY["state_of_charge"]
    raw = uint32_from_words(words[register.address : register.end])
    return None if raw <= MAX_SOC_RAW else PlausibilityError(register.key, f"{raw} x 0.000001 %")


def _check_temperature(words: Sequence[int], key: str) -> PlausibilityError | None:
    raw = int16_from_word(words[BY_KEY[key].address])
    lowest, highest = TEMPERATURE_RAW
    if raw == NOT_FITTED_RAW or lowest <= raw <= highest:
        return None
    return PlausibilityError(key, f"{raw} x 0.1 °C")
