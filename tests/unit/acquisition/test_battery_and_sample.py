"""Which battery is on the line, and what its live words mean as a sample."""

import pytest

from fake_bms_frames import SERIAL, live_words, settings_words, version_words
from tinybms_acquisition.battery import Battery, CellCount, Settled
from tinybms_acquisition.sample import Moment, sample_of, sign_warning
from tinybms_messages.live import Sample
from tinybms_protocol.live import LiveBlock

MOMENT = Moment(boottime_ns=5_000_000_000, wall_ns=1_790_000_000_000_000_000, time_ok=True)


def known(*, cells: int = 16, firmware: int = 254) -> Settled:
    battery = Battery(None)
    battery.take_version(version_words(firmware=firmware))
    battery.take_settings(settings_words(cells=cells))
    assert battery.settled is not None
    return battery.settled


def settled(battery: Battery) -> Settled | None:
    return battery.settled


def sample(words: tuple[int, ...], battery: Settled | None = None) -> Sample:
    battery = battery or known()
    live = LiveBlock.from_words(words, firmware=battery.version.firmware)
    return sample_of(live, battery, MOMENT, 7)


def test_nothing_counts_before_version_and_settings_are_known() -> None:
    battery = Battery(None)
    assert settled(battery) is None
    battery.take_settings(settings_words())
    assert settled(battery) is None
    battery.take_version(version_words())
    assert settled(battery) is None
    battery.take_settings(settings_words())
    complete = settled(battery)
    assert complete is not None
    assert complete.identity.serial_number == SERIAL
    assert complete.identity.capacity_ah == 280.0
    assert complete.identity.hardware == "2.1"


def test_after_an_interruption_it_must_be_read_again() -> None:
    battery = Battery(None)
    battery.take_version(version_words())
    battery.take_settings(settings_words())
    battery.forget()
    assert battery.settled is None
    assert battery.serial_number == SERIAL


def test_another_battery_than_the_configured_one_is_refused_in_words() -> None:
    battery = Battery("0123456789abcdef01234567")
    battery.take_version(version_words())
    battery.take_settings(settings_words())
    assert battery.settled is None
    assert SERIAL in battery.refusal
    assert "0123456789abcdef01234567" in battery.refusal


def test_old_firmware_is_refused_in_words() -> None:
    battery = Battery(None)
    battery.take_version(version_words(firmware=235))
    battery.take_settings(settings_words())
    assert battery.settled is None
    assert "2.3.235 is too old" in battery.refusal


def test_a_swapped_battery_is_noticed() -> None:
    battery = Battery(None)
    assert not battery.take_version(version_words())
    battery.take_settings(settings_words(cells=16))
    assert battery.take_version(version_words(serial=(9, 9, 9, 9, 9, 9)))
    assert settled(battery) is None
    battery.take_settings(settings_words(cells=14))
    complete = settled(battery)
    assert complete is not None
    assert complete.cells == 14


def test_a_new_cell_count_counts_after_ten_equal_reads() -> None:
    count = CellCount()
    count.read(16)
    assert count.accepted == 16
    assert [count.read(15) for _ in range(9)] == [False] * 9
    assert (count.accepted, count.pending) == (16, True)
    assert count.read(15)
    assert (count.accepted, count.pending) == (15, False)


def test_one_odd_cell_count_changes_nothing() -> None:
    count = CellCount()
    for reading in (16, 16, 0, 16, 15, 16):
        count.read(reading)
    assert (count.accepted, count.pending) == (16, False)


def test_reads_of_a_new_count_must_follow_each_other() -> None:
    count = CellCount()
    for reading in (16, *(15,) * 9, 16, *(15,) * 9):
        count.read(reading)
    assert count.accepted == 16


def test_there_are_no_data_while_the_cell_count_is_unsure() -> None:
    battery = Battery(None)
    battery.take_version(version_words())
    battery.take_settings(settings_words(cells=16))
    battery.take_settings(settings_words(cells=15))
    assert battery.settled is None
    assert "15 cells instead of 16" in battery.waiting_for


def test_an_impossible_cell_count_gives_no_data_and_says_why() -> None:
    battery = Battery(None)
    assert "version" in battery.waiting_for
    battery.take_version(version_words())
    assert "settings" in battery.waiting_for
    battery.take_settings(settings_words(cells=0))
    assert battery.settled is None
    assert "register 307 says 0 cells" in battery.waiting_for


def test_settings_that_bind_the_limits_are_taken_over() -> None:
    limits = known(cells=15).limits
    assert limits.series_cells == 15
    assert limits.fully_charged_v == 3.65
    assert limits.over_voltage_v == 3.75
    assert limits.charge_over_current_a == 150
    assert limits.peak_discharge_a == 300
    assert limits.charge_restart_enabled
    assert limits.high_power
    assert known(firmware=242).limits.peak_discharge_a is None


def test_broadcasts_and_old_firmware_are_advised_against() -> None:
    battery = Battery(None)
    battery.take_version(version_words(firmware=242))
    battery.take_settings(settings_words(words={342: 4}))
    texts = " ".join(battery.advisories)
    assert "342" in texts
    assert "2.3.243" in texts


def test_fourteen_cells_sit_on_the_top_channels() -> None:
    cells_v = tuple(3.30 + 0.01 * cell for cell in range(14))
    made = sample(live_words(cells_v, words={52: 0b0000_0000_0000_0100}), known(cells=14))
    assert made.cell_voltages_v == pytest.approx(cells_v)
    assert made.cells_balancing == (True,) + (False,) * 13


@pytest.mark.parametrize(
    ("temperatures_c", "battery_c"),
    [
        ((20.5, 30.0, 40.0), 20.5),
        ((None, 30.0, 40.0), 30.0),
        ((None, None, 40.0), 40.0),
        ((None, None, None), None),
        ((-40.0, None, 40.0), -40.0),
        ((0.0, 30.0, 40.0), 0.0),
    ],
)
def test_probe_one_then_two_then_the_board(
    temperatures_c: tuple[float | None, float | None, float | None], battery_c: float | None
) -> None:
    assert sample(live_words(temperatures_c=temperatures_c)).battery_temperature_c == battery_c


def test_soh_is_unknown_on_firmware_that_has_none() -> None:
    assert sample(live_words(), known(firmware=250)).soh_pct is None
    assert sample(live_words(), known(firmware=251)).soh_pct == 98.0
    assert sample(live_words(words={45: 0xFFFF})).soh_pct is None


def test_time_to_go_only_means_something_while_discharging() -> None:
    hour = {34: 3600, 35: 0}
    days = {34: 0, 35: 637}
    assert sample(live_words(status=0x93, words=hour)).time_to_go_s == 3600
    assert sample(live_words(status=0x97, words=hour)).time_to_go_s is None
    assert sample(live_words(status=0x93, words=days)).time_to_go_s is None


def test_an_unknown_status_keeps_its_number() -> None:
    made = sample(live_words(status=0x95))
    assert (made.online_status, made.online_status_raw) == ("unknown", 0x95)


def test_a_sample_carries_its_time_and_number() -> None:
    made = sample(live_words(current_a=-123.4))
    assert (made.seq, made.boottime_ns, made.time_ok) == (7, 5_000_000_000, True)
    assert made.pack_current_a == -123.4


def test_a_sign_that_contradicts_the_status_is_said_and_not_flipped() -> None:
    wrong = LiveBlock.from_words(live_words(current_a=-20.0, status=0x91), firmware=254)
    right = LiveBlock.from_words(live_words(current_a=20.0, status=0x91), firmware=254)
    assert "other sign" in sign_warning(wrong)
    assert sign_warning(right) == ""
