"""What the simulated GX shows, and the faults of timing that it finds."""

import pytest

from tinybms_sim.gx_screen import screen
from tinybms_sim.gx_view import GxView

LIMITS = bytes.fromhex("28025802E803B801")
OK = bytes.fromhex("A8AAAA02A8AAAA0A")


def text(value: str) -> bytes:
    return value.encode().ljust(8, b"\0")


def test_without_frames_there_is_no_battery() -> None:
    report = GxView().report(10.0)
    assert (report.connected, report.display, report.problems) == (False, {}, [])


def test_the_display_holds_the_last_value_of_each_frame() -> None:
    view = GxView()
    view.hear(0x351, LIMITS, 10.0)
    view.hear(0x355, bytes.fromhex("3F006200B6180000"), 10.0)
    view.hear(0x373, bytes.fromhex("E40C000D27012801"), 10.0)
    view.hear(0x355, bytes.fromhex("4000620000190000"), 10.5)
    shown = view.report(11.0)
    assert shown.display["/Info/MaxChargeVoltage"] == 55.2
    assert shown.display["/Soc"] == 64
    assert shown.display["/System/MinCellVoltage"] == pytest.approx(3.3)
    assert shown.display["/System/MaxCellTemperature"] == 23
    assert shown.frames == {0x351: 1, 0x355: 2, 0x373: 1}
    assert view.report(12.0).frames == {}


def test_alarm_levels_are_alarm_warning_ok_and_unknown() -> None:
    view = GxView()
    view.hear(0x351, LIMITS, 0.0)
    view.hear(0x35A, bytes.fromhex("A4AAAA00A8AAAA09"), 0.0)
    shown = view.report(0.1).display
    assert shown["/Alarms/HighVoltage"] == 2
    assert shown["/Alarms/CellImbalance"] == 1
    assert shown["/Alarms/LowVoltage"] == 0
    view.hear(0x35A, bytes(8), 0.2)
    assert view.report(0.3).display["/Alarms/LowVoltage"] is None


def test_names_and_serial_numbers_are_joined_from_their_two_frames() -> None:
    view = GxView()
    view.hear(0x351, LIMITS, 0.0)
    view.hear(0x35E, text("TinyBMS "), 0.0)
    view.hear(0x370, text("TinyBMS "), 0.0)
    assert "/CustomName" not in view.report(0.1).display
    view.hear(0x371, text("pack1"), 0.2)
    view.hear(0x380, text("00531A2B"), 0.2)
    view.hear(0x381, text("4C"), 0.2)
    report = view.report(0.3)
    assert report.display["/CustomName"] == "TinyBMS pack1"
    assert report.display["/Serial"] == "00531A2B4C"
    assert report.problems == []


def test_a_name_that_differs_from_the_manufacturer_is_a_fault() -> None:
    view = GxView()
    view.hear(0x35E, text("TinyBMS "), 0.0)
    assert view.hear(0x370, text("Other"), 0.0).problems != []


def test_a_second_half_of_a_serial_number_alone_is_a_fault() -> None:
    assert GxView().hear(0x381, text("4C"), 0.0).problems == ["0x381 came without 0x380"]


def test_a_gap_between_limits_is_a_fault_from_two_seconds() -> None:
    view = GxView()
    view.hear(0x351, LIMITS, 10.0)
    assert view.hear(0x351, LIMITS, 12.0).problems == []
    assert view.hear(0x351, LIMITS, 14.1).problems == ["0x351 after 2.10 s"]


def test_a_battery_without_limits_for_three_seconds_is_lost_and_told_once() -> None:
    view = GxView()
    view.hear(0x351, LIMITS, 10.0)
    assert view.report(13.0).connected
    lost = view.report(13.1)
    assert (lost.connected, lost.display, len(lost.problems)) == (False, {}, 1)
    assert view.report(14.1).problems == []
    view.hear(0x351, LIMITS, 15.0)
    assert view.report(15.0).connected


def test_a_burst_is_a_fault() -> None:
    view = GxView()
    for n in range(61):
        view.hear(0x35A, OK, n / 100)
    assert view.report(1.0).problems == ["61 frames in one second"]


def test_problems_are_kept_in_bounded_number() -> None:
    view = GxView()
    for n in range(1000):
        view.hear(0x123, b"", n / 1000)
    assert len(view.report(1.0).problems) <= 100


def test_the_screen_names_values_alarms_and_problems() -> None:
    view = GxView()
    view.hear(0x351, LIMITS, 0.0)
    view.hear(0x35A, bytes.fromhex("A4AAAA02A8AAAA0A"), 0.0)
    view.hear(0x123, b"", 0.0)
    shown = screen(view.report(0.5), "/dev/can", "none")
    assert "55.2 V" in shown
    assert "ALARM" in shown
    assert "0x123 is not a frame of a BMS" in shown
