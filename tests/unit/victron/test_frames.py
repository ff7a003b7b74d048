"""What a pack looks like on the bus, decoded here by hand with struct."""

from __future__ import annotations

import struct

import pytest

from fake_live import fake_alarms, fake_limits, fake_live, fake_sample
from tinybms_messages.live import AlarmName, Counters, LiveData, Sample
from tinybms_victron.alarms import PAIR_OF
from tinybms_victron.frames import clamped_signals, encode_all, firmware_digits
from tinybms_victron.pack_view import PackView, pack_view
from tinybms_victron.signals import FRAMES

ALL_IDS = {
    *(0x351, 0x355, 0x356, 0x35A, 0x35E, 0x35F, 0x370, 0x371, 0x372),
    *(0x373, 0x374, 0x375, 0x376, 0x377, 0x378, 0x379, 0x380, 0x381, 0x382),
}

# Byte and lowest bit of each named alarm pair; its warning pair lies four bytes further.
PAIR_PLACE = {
    "high_voltage": (0, 2),
    "low_voltage": (0, 4),
    "high_temperature": (0, 6),
    "low_temperature": (1, 0),
    "high_temperature_charge": (1, 2),
    "low_temperature_charge": (1, 4),
    "high_current": (1, 6),
    "high_charge_current": (2, 0),
    "bms_internal": (2, 6),
    "cell_imbalance": (3, 0),
}
QUIET = bytes.fromhex("A8 AA 82 02 A8 AA 82 0A")


def view_of(live: LiveData, device: str = "pack1") -> PackView:
    assert live.limits is not None
    view = pack_view(live, live.limits, live.alarms, device=device)
    assert view is not None
    return view


def frames_of(device: str = "pack1", **changes: object) -> dict[int, bytes]:
    return encode_all(view_of(fake_live(**changes), device))


def test_a_whole_pack_makes_the_nineteen_frames_and_no_other() -> None:
    assert frames_of().keys() == ALL_IDS
    assert {frame.id for frame in FRAMES} == ALL_IDS


def test_no_sample_makes_no_view() -> None:
    assert pack_view(fake_live(sample=None), fake_limits(), (), device="pack1") is None


def test_limits_go_out_in_steps_of_a_tenth() -> None:
    assert frames_of()[0x351] == bytes.fromhex("28 02 58 02 E8 03 B8 01")


def test_a_limit_of_zero_is_sent_as_zero() -> None:
    frames = frames_of(limits=fake_limits(charge_current_a=0.0, discharge_current_a=0.0))
    assert frames[0x351] == bytes.fromhex("28 02 00 00 00 00 B8 01")


def test_state_of_charge_is_rounded_and_repeated_in_high_resolution() -> None:
    assert frames_of()[0x355] == bytes.fromhex("3F 00 62 00 B6 18 00 00")


def test_an_unknown_state_of_health_goes_out_as_100() -> None:
    soc, soh, fine = struct.unpack("<HHHxx", frames_of(sample=fake_sample(soh_pct=None))[0x355])
    assert (soc, soh, fine) == (63, 100, 6326)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (fake_sample(), (5270, -123, 235)),
        (fake_sample(pack_current_a=-123.4, battery_temperature_c=-20.5), (5270, -1234, -205)),
        (fake_sample(pack_current_a=0.0, battery_temperature_c=-0.5), (5270, 0, -5)),
        (fake_sample(pack_current_a=88.8), (5270, 888, 235)),
    ],
)
def test_measurements_are_signed(sample: Sample, expected: tuple[int, int, int]) -> None:
    assert struct.unpack("<hhhxx", frames_of(sample=sample)[0x356]) == expected


def test_without_any_temperature_the_measurement_frame_is_left_out() -> None:
    frames = frames_of(sample=fake_sample(battery_temperature_c=None))
    assert frames.keys() == ALL_IDS - {0x356}


def test_a_healthy_pack_supports_ten_alarms_and_is_online() -> None:
    assert frames_of()[0x35A] == QUIET


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("name", [name for name in AlarmName if PAIR_OF[name] is not None])
def test_each_alarm_moves_its_own_pair_only(name: AlarmName, level: int) -> None:
    pair = PAIR_OF[name]
    assert pair is not None
    byte, bit = PAIR_PLACE[pair]
    expected = bytearray(QUIET)
    expected[byte + (4 if level == 1 else 0)] ^= 3 << bit
    data = frames_of(alarms=fake_alarms(**{name.value: level}))[0x35A]
    assert data.hex() == expected.hex()


def test_over_voltage_never_shows_as_low_and_a_low_cell_shows_as_low() -> None:
    high = frames_of(alarms=fake_alarms(high_voltage=2))[0x35A]
    low = frames_of(alarms=fake_alarms(low_cell_voltage=2))[0x35A]
    assert ((high[0] >> 2) & 3, (high[0] >> 4) & 3) == (1, 2)
    assert ((low[0] >> 2) & 3, (low[0] >> 4) & 3) == (2, 1)


def test_a_low_state_of_charge_has_no_pair() -> None:
    assert frames_of(alarms=fake_alarms(low_soc=2))[0x35A] == QUIET


def test_alarms_that_the_snapshot_does_not_hold_are_not_supported() -> None:
    assert frames_of(alarms=())[0x35A] == bytes.fromhex("00 00 00 00 00 00 00 08")


def test_names_are_ours() -> None:
    frames = frames_of(device="house-battery")
    assert frames[0x35E] == frames[0x370] == b"TinyBMS "
    assert frames[0x371] == b"house-ba"
    assert frames[0x382] == b"TinyBMS\0"


@pytest.mark.parametrize(
    ("firmware", "digits"), [(243, 0x0243), (254, 0x0254), (7, 0x0007), (65535, 0x9999)]
)
def test_firmware_is_shown_digit_by_digit(firmware: int, digits: int) -> None:
    assert firmware_digits(firmware) == digits


def test_version_and_capacity() -> None:
    frames = frames_of()
    battery_type, online_ah = struct.unpack("<HxxH", frames[0x35F])
    (firmware,) = struct.unpack(">xxHxx", frames[0x35F])
    assert (battery_type, firmware, online_ah) == (0, 0x0243, 280)
    assert struct.unpack("<H", frames[0x379]) == (280,)


@pytest.mark.parametrize(
    ("ccl", "dcl", "expected"),
    [(60.0, 100.0, (1, 0, 0, 0)), (0.0, 100.0, (1, 1, 0, 0)), (60.0, 0.0, (1, 0, 1, 0))],
)
def test_a_module_blocks_when_its_limit_is_zero(
    ccl: float, dcl: float, expected: tuple[int, ...]
) -> None:
    limits = fake_limits(charge_current_a=ccl, discharge_current_a=dcl)
    assert struct.unpack("<HHHH", frames_of(limits=limits)[0x372]) == expected


def test_cells_in_millivolts_and_temperatures_in_whole_kelvin() -> None:
    frames = frames_of()
    assert struct.unpack("<HHHH", frames[0x373]) == (3290, 3305, 297, 298)
    texts = [frames[can_id].rstrip(b"\0") for can_id in (0x374, 0x375, 0x376, 0x377)]
    assert texts == [b"1", b"16", b"1", b"2"]


def test_without_probes_the_cell_frame_is_short() -> None:
    sample = fake_sample(
        external_temperature_1_c=None,
        external_temperature_2_c=None,
        internal_temperature_c=None,
    )
    frames = frames_of(sample=sample)
    assert struct.unpack("<HH", frames[0x373]) == (3290, 3305)
    assert frames[0x376] == frames[0x377] == bytes(8)


def test_energy_in_hundreds_of_watt_hours() -> None:
    assert frames_of()[0x378] == bytes.fromhex("D2 04 00 00 C8 03 00 00")


def test_an_unknown_energy_is_not_sent_as_zero() -> None:
    assert 0x378 not in frames_of(counters=Counters(charged_energy_kwh=5.0))


def test_the_serial_number_is_its_last_sixteen_digits() -> None:
    frames = frames_of()
    assert frames[0x380] + frames[0x381] == b"89abcdef01234567"


def test_without_an_identity_its_frames_are_left_out() -> None:
    assert frames_of(identity=None).keys() == ALL_IDS - {0x35F, 0x379, 0x380, 0x381}


def test_what_is_clamped_is_named() -> None:
    live = fake_live(limits=fake_limits(charge_current_a=-1.0), sample=fake_sample(soc_pct=104.0))
    frames = encode_all(view_of(live))
    assert struct.unpack("<hh", frames[0x351][2:6]) == (0, 1000)
    assert frames[0x355][0] == 100
    assert set(clamped_signals(view_of(live))) == {"charge_current_a", "soc_pct", "soc_fine_pct"}
