"""Two readings of the protocol document, the simulator's and the driver's, agree on the whole map.

The frames of either are also held against the vendor's examples, each in its own golden test.
"""

import pytest

from tinybms_protocol.live import LiveBlock
from tinybms_protocol.plausibility import (
    check_live_block,
    consistency_warnings,
    settings_warnings,
)
from tinybms_sim.line import SCENARIOS, make_line

START_S = 100.0


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_image_of_a_scenario_is_possible_and_fits_together(scenario: str) -> None:
    line = make_line(start_s=START_S, paced=False)
    line.choose(scenario, START_S)
    for n in range(0, 900, 7):
        line.tick(START_S + n)
        words = line.bms.read(0, 56)
        assert check_live_block(words) is None
        assert consistency_warnings(LiveBlock.from_words(words, firmware=254), 16) == []


@pytest.mark.parametrize("firmware", [242, 254])
def test_the_default_settings_lie_in_the_drivers_ranges(firmware: int) -> None:
    line = make_line(start_s=START_S, firmware=firmware)
    assert settings_warnings(line.bms.read(300, 44), firmware=firmware) == []


def test_a_cold_discharging_pack_is_read_back_exactly() -> None:
    cells = {channel: 32_001 + channel for channel in range(16)}
    current = {38: 0xCCCD, 39: 0xC2F6}  # -123.4 A
    words = {**cells, **current, 42: 0x10000 - 205, 43: 0x8000, 48: 0x10000 - 195, 50: 0x93}
    line = make_line(start_s=START_S, overrides=words, paced=False)
    live = LiveBlock.from_words(line.bms.read(0, 56), firmware=254)
    assert live.pack_current_a == pytest.approx(-123.4)
    assert live.external_temperature_1_c == -20.5
    assert live.external_temperature_2_c is None
    assert live.internal_temperature_c == -19.5
    assert live.pack_cells(16)[0] == pytest.approx(3.2001)
    assert live.pack_voltage_v == pytest.approx(51.2136)
    assert live.soh_pct == 98.0
