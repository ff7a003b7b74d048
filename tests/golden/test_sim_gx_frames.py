"""The simulated GX reads frames as a GX does: real logs, and frames worked out by hand.

It shares no code with the gateway's encoder; the values stand here in full.
"""

from typing import Any

import pytest

from tinybms_sim.gx_frames import PAIRS, decode

FRAMES: list[tuple[int, str, dict[str, Any]]] = [
    (
        0x351,
        "4302E8039E07D001",
        {"cvl_v": 57.9, "ccl_a": 100.0, "dcl_a": 195.0, "dvl_v": 46.4},
    ),
    (
        0x351,
        "480200050005AE01",
        {"cvl_v": 58.4, "ccl_a": 128.0, "dcl_a": 128.0, "dvl_v": 43.0},
    ),
    (0x351, "280200000000B801", {"cvl_v": 55.2, "ccl_a": 0.0, "dcl_a": 0.0, "dvl_v": 44.0}),
    (0x355, "3C00640084170000", {"soc_pct": 60, "soh_pct": 100, "soc_hires_pct": 60.2}),
    (0x355, "3F006200B6180000", {"soc_pct": 63, "soh_pct": 98, "soc_hires_pct": 63.26}),
    (0x355, "3F006200", {"soc_pct": 63, "soh_pct": 98, "soc_hires_pct": None}),
    (0x356, "BE14F9FF8C00", {"voltage_v": 53.1, "current_a": -0.7, "temperature_c": 14.0}),
    (0x356, "7B13E9FE6B01", {"voltage_v": 49.87, "current_a": -27.9, "temperature_c": 36.3}),
    (0x356, "9614000038FF0000", {"voltage_v": 52.7, "current_a": 0.0, "temperature_c": -20.0}),
    (0x35E, "5348456E65726779", {"text": "SHEnergy"}),
    (0x35F, "4C6901176900", {"model": 26956, "firmware": "v1.17", "online_capacity_ah": 105}),
    (0x370, "43414E2D534D4152", {"text": "CAN-SMAR"}),
    (
        0x372,
        "010000000000FFFF",
        {"ok": 1, "blocking_charge": 0, "blocking_discharge": 0, "offline": None},
    ),
    (
        0x373,
        "B90CC20C27012801",
        {"min_cell_mv": 3257, "max_cell_mv": 3266, "min_temp_k": 295, "max_temp_k": 296},
    ),
    (
        0x373,
        "E40C000D",
        {"min_cell_mv": 3300, "max_cell_mv": 3328, "min_temp_k": None, "max_temp_k": None},
    ),
    (0x374, "5061636B2D303123", {"text": "Pack-01#"}),
    (0x378, "D2040000C8030000", {"energy_in_kwh": 123.4, "energy_out_kwh": 96.8}),
    (0x379, "9C00", {"installed_capacity_ah": 156}),
]

ALARMS = [
    ("A8AAAA02A8AAAA0A", [], [], "online"),
    ("A4AAAA02A8AAAA0A", ["high_voltage"], [], "online"),
    ("98AAAA02A8AAAA0A", ["low_voltage"], [], "online"),
    ("68AAAA02A8AAAA0A", ["high_temperature"], [], "online"),
    ("A8A9AA02A8AAAA0A", ["low_temperature"], [], "online"),
    ("A8A6AA02A8AAAA0A", ["high_temperature_charge"], [], "online"),
    ("A89AAA02A8AAAA0A", ["low_temperature_charge"], [], "online"),
    ("A86AAA02A8AAAA0A", ["high_current"], [], "online"),
    ("A8AAA902A8AAAA0A", ["high_charge_current"], [], "online"),
    ("A8AA6A02A8AAAA0A", ["bms_internal"], [], "online"),
    ("A8AAAA01A8AAAA0A", ["cell_imbalance"], [], "online"),
    ("A8AAAA02A8AAAA09", [], ["cell_imbalance"], "online"),
    ("A8AAAA02A8AAAA06", [], [], "offline"),
    ("AAAAAA02AAAAAA02", [], [], None),
    ("0000000000000000", [], [], None),
]


@pytest.mark.parametrize(("can_id", "data", "fields"), FRAMES)
def test_a_frame_is_read_as_a_gx_reads_it(can_id: int, data: str, fields: dict[str, Any]) -> None:
    decoded = decode(can_id, bytes.fromhex(data))
    assert decoded.fields == pytest.approx(fields)
    assert decoded.problems == []


def test_the_pack_voltage_is_signed_on_a_gx() -> None:
    assert decode(0x356, bytes.fromhex("FFFF0000EB000000")).fields["voltage_v"] == -0.01


@pytest.mark.parametrize(("data", "alarms", "warnings", "status"), ALARMS)
def test_alarm_pairs_are_read_from_the_lowest_bits_up(
    data: str, alarms: list[str], warnings: list[str], status: str | None
) -> None:
    decoded = decode(0x35A, bytes.fromhex(data))
    assert decoded.problems == []
    assert active(decoded.fields["alarms"]) == alarms
    assert active(decoded.fields["warnings"]) == warnings
    assert decoded.fields["system_status"] == status


def test_pairs_of_zero_are_not_supported() -> None:
    fields = decode(0x35A, bytes(8)).fields
    assert fields["alarms"] == {n: "unsupported" for byte in PAIRS for n in byte if n}


def active(half: object) -> list[str]:
    assert isinstance(half, dict)
    return [name for name, state in half.items() if state == "active"]


@pytest.mark.parametrize(
    ("can_id", "data", "said"),
    [
        (0x351, "A8195802E803B801", "cvl_v"),  # a limit sent in 0.01 V
        (0x351, "000000000000B801", "cvl_v"),
        (0x351, "280258FDE803B801", "ccl_a"),
        (0x351, "280258020CFEB801", "dcl_a"),
        (0x351, "B8015802E8032802", "not under"),
        (0x351, "28025802E803", "6 bytes"),
        (0x355, "76026200B6180000", "soc_pct"),
        (0x355, "3F00D403B6180000", "soh_pct"),
        (0x355, "3F00620010270000", "does not go with"),
        (0x356, "FFFF0000EB000000", "voltage_v"),
        (0x356, "96140000FF7F0000", "temperature_c"),
        (0x35A, "A8AAAA02A8AAAA0F", "both bits"),
        (0x35A, "A8AAAAAAA8AAAA0A", "reserved"),
        (0x35E, "0102030405060708", "7-bit"),
        (0x370, "C3A9000000000000", "7-bit"),
        (0x371, "4100420000000000", "goes on"),
        (0x373, "C20CB90C27012801", "lowest cell"),
        (0x373, "B90CC20C19002801", "min_temp_k"),
        (0x305, "0000000000000000", "not a frame of a BMS"),
        (0x359, "0000000000000000", "not a frame of a BMS"),
    ],
)
def test_a_wrong_frame_is_told_with_its_fault(can_id: int, data: str, said: str) -> None:
    problems = decode(can_id, bytes.fromhex(data)).problems
    assert len(problems) >= 1
    assert any(said in problem for problem in problems)
    assert all(problem.startswith(f"0x{can_id:03X}") for problem in problems)
