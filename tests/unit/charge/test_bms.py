from __future__ import annotations

from tinybms_charge.bms import bms_limits
from tinybms_protocol.settings import SettingsBlock, VersionBlock

WORDS = {
    300: 3600,
    301: 2800,
    303: 3400,
    304: 1000,
    305: 200,
    306: 28000,
    307: 16,
    308: 15,
    315: 3650,
    316: 2500,
    317: 150,
    318: 120,
    319: 60,
    320: 0xFFFB,
    329: 0b100,
    340: 1,
}


def settings(firmware: int) -> SettingsBlock:
    words = [WORDS.get(address, 0) for address in range(300, 344)]
    return SettingsBlock.from_words(words, firmware=firmware)


def test_the_registers_that_bind_come_from_the_settings_block() -> None:
    version = VersionBlock.from_words([0x0102, 0x0301, 252, 0x0418, *[0] * 6])
    bms = bms_limits(settings(252), version, 16)
    assert (bms.fully_charged_v, bms.fully_discharged_v) == (3.6, 2.8)
    assert (bms.over_voltage_v, bms.under_voltage_v) == (3.65, 2.5)
    assert (bms.charge_over_current_a, bms.discharge_over_current_a) == (120, 150)
    assert (bms.peak_discharge_a, bms.capacity_ah, bms.series_cells) == (200, 280, 16)
    assert (bms.over_heat_c, bms.low_temperature_charge_c) == (60, -5)
    assert bms.charge_restart_enabled
    assert bms.single_port
    assert bms.high_power


def test_old_firmware_has_no_peak_cut_off() -> None:
    version = VersionBlock.from_words([0x0102, 0x0001, 243, 0x0418, *[0] * 6])
    bms = bms_limits(settings(243), version, 16)
    assert bms.peak_discharge_a is None
    assert not bms.high_power
