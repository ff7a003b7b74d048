"""What goes out when, for which snapshot: the core alone, with a clock that the test moves."""

from __future__ import annotations

import struct
from collections import Counter

import pytest

from fake_can_bench import Bench
from fake_live import fake_alarms, fake_limits, fake_live, fake_sample
from tinybms_can_out.core import CanFrame
from tinybms_messages.live import LiveData


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_nothing_goes_out_before_the_first_sample(bench: Bench) -> None:
    bench.take(LiveData())
    bench.run(5)
    assert bench.sent == []


def test_the_first_sample_goes_out_at_once(bench: Bench) -> None:
    bench.take(bench.live())
    assert [frame.id for _, frame in bench.sent] == [0x351, 0x35A]
    assert bench.last(0x351) == bytes.fromhex("28025802E803B801")


def test_all_nineteen_go_out_each_second_spread_over_it(bench: Bench) -> None:
    bench.take(bench.live())
    bench.sent.clear()
    bench.run(1)
    assert len(bench.ids()) == 19
    assert set(bench.ids().values()) == {1}
    at_once = Counter(time for time, _ in bench.sent)
    assert max(at_once.values()) <= 3


def test_limits_that_fall_with_age_go_out_in_the_next_slot(bench: Bench) -> None:
    bench.take(bench.live())
    bench.clock.advance(9.9)
    bench.send(bench.core.slot(bench.now_ns()))
    assert bench.last(0x351) == bytes.fromhex("28025802E803B801")
    bench.sent.clear()
    bench.clock.advance(0.2)
    bench.send(bench.core.slot(bench.now_ns()))
    assert [frame.id for _, frame in bench.sent][:2] == [0x351, 0x35A]
    assert struct.unpack_from("<h", bench.last(0x351), 2) == (0,)


def test_noise_of_two_millivolts_makes_no_extra_frame(bench: Bench) -> None:
    bench.take(bench.live())
    bench.sent.clear()
    for second in range(10):
        for tenth in range(9):
            noise = 0.002 * (-1) ** (second + tenth)
            cells = tuple(3.29 + noise for _ in range(16))
            limits = fake_limits(charge_voltage_v=round(55.2 - (0.1 if noise < 0 else 0), 1))
            sample = fake_sample(
                boottime_ns=bench.now_ns(),
                cell_voltages_v=cells,
                pack_voltage_v=sum(cells),
            )
            bench.take(fake_live(sample=sample, limits=limits))
            if tenth == 0:
                bench.send(bench.core.limits(bench.now_ns()))
            bench.send(bench.core.slot(bench.now_ns()))
            bench.clock.advance(1 / 9)
    assert len(bench.sent) == 190


def test_a_fallen_limit_goes_out_with_its_message(bench: Bench) -> None:
    bench.take(bench.live())
    bench.sent.clear()
    bench.take(bench.live(limits=fake_limits(charge_current_a=0.0)))
    assert [frame.id for _, frame in bench.sent] == [0x351]
    assert bench.last(0x351)[2:4] == b"\0\0"


def test_an_alarm_goes_out_with_its_message(bench: Bench) -> None:
    bench.take(bench.live())
    bench.sent.clear()
    bench.take(bench.live(alarms=fake_alarms(high_voltage=2)))
    assert [frame.id for _, frame in bench.sent] == [0x35A]
    assert bench.last(0x35A)[0] == 0xA4


def test_the_ladder_of_ages_ends_in_silence_and_comes_back(bench: Bench) -> None:
    bench.take(bench.live())
    bench.run(9.9)
    assert struct.unpack("<HhhH", bench.last(0x351))[1] == 600
    assert bench.last(0x35A)[6] >> 6 == 2
    bench.run(5)
    cvl, ccl, dcl, _ = struct.unpack("<HhhH", bench.last(0x351))
    assert (cvl, ccl, dcl) == (540, 0, 1000)
    assert bench.last(0x35A)[6] >> 6 == 1, "warning"
    assert bench.last(0x35A)[2] >> 6 == 2
    bench.run(10)
    assert bench.last(0x35A)[2] >> 6 == 1, "alarm"
    bench.run(5.5)
    bench.sent.clear()
    bench.run(60)
    assert bench.sent == []
    bench.take(bench.live(limits=fake_limits(charge_current_a=0.0)))
    assert [frame.id for _, frame in bench.sent] == [0x351, 0x35A]
    assert bench.last(0x35A)[2] >> 6 == 2


@pytest.mark.parametrize("age_s", [31.0, 3600.0, -10.0])
def test_a_cached_message_with_an_old_sample_sends_nothing(bench: Bench, age_s: float) -> None:
    born_ns = bench.now_ns() - round(age_s * 1e9)
    bench.take(fake_live(sample=fake_sample(boottime_ns=born_ns)))
    bench.run(3)
    assert bench.sent == []


def test_a_message_of_another_kernel_boot_is_no_sample(bench: Bench) -> None:
    bench.take(bench.live(), kernel_boot_id="before the reboot")
    bench.run(3)
    assert bench.sent == []


def test_a_repeat_of_the_same_sample_does_not_make_it_younger(bench: Bench) -> None:
    live = bench.live()
    for _ in range(35):
        bench.take(live)
        bench.run(1)
    bench.sent.clear()
    bench.take(live)
    bench.run(1)
    assert bench.sent == []


def test_a_restarted_acquisition_without_a_sample_takes_nothing_away_at_first(
    bench: Bench,
) -> None:
    bench.take(bench.live())
    bench.take(LiveData())
    bench.run(1)
    assert bench.ids()[0x351] >= 1


def test_the_last_temperature_stays_in_the_measurement_when_the_sensor_is_gone(
    bench: Bench,
) -> None:
    bench.take(bench.live())
    bench.take(
        bench.live(sample=fake_sample(boottime_ns=bench.now_ns(), battery_temperature_c=None))
    )
    bench.run(1)
    assert struct.unpack("<hhhh", bench.last(0x356)) == (5270, -123, 235, 0)


def test_limits_that_no_pack_of_this_kind_can_have_are_held_back_and_counted(
    bench: Bench,
) -> None:
    bench.take(bench.live(limits=fake_limits(charge_voltage_v=0.0)))
    bench.run(2)
    assert bench.ids()[0x351] == 0
    assert bench.ids()[0x355] == 2
    assert bench.core.frames_refused >= 2
    assert "CVL" in bench.core.last_refusal


def test_the_gx_is_heard(bench: Bench) -> None:
    assert bench.core.gx(bench.now_ns()).keepalive_ok is False
    assert bench.core.gx(bench.now_ns()).keepalive_age_s is None
    bench.core.received(CanFrame(id=0x305, data=bytes(8)), bench.now_ns())
    bench.core.received(CanFrame(id=0x307, data=b"\x12\x34\x56\x78VIC\0"), bench.now_ns())
    bench.clock.advance(3.0)
    heard = bench.core.gx(bench.now_ns())
    assert (heard.keepalive_ok, heard.identified) == (True, True)
    bench.clock.advance(0.1)
    heard = bench.core.gx(bench.now_ns())
    assert (heard.keepalive_ok, heard.keepalive_age_s) == (False, 3.1)


def test_other_frames_do_not_count_as_a_gx(bench: Bench) -> None:
    bench.core.received(CanFrame(id=0x307, data=b"\x12\x34\x56\x78vic\0"), bench.now_ns())
    bench.core.received(CanFrame(id=0x306, data=bytes(8)), bench.now_ns())
    heard = bench.core.gx(bench.now_ns())
    assert (heard.keepalive_ok, heard.identified) == (False, False)
    assert bench.core.frames_received == 2


def test_sending_goes_on_without_a_gx(bench: Bench) -> None:
    for _ in range(20):
        bench.take(bench.live())
        bench.run(1)
    assert bench.ids()[0x351] >= 20


def test_the_longest_period_is_of_the_last_minute(bench: Bench) -> None:
    for _ in range(3):
        bench.take(bench.live())
        bench.run(1)
    assert bench.core.max_period_ms(bench.now_ns()) == pytest.approx(1000, abs=1)
    bench.clock.advance(4)
    bench.take(bench.live())
    bench.run(1)
    assert bench.core.max_period_ms(bench.now_ns()) == pytest.approx(5000, abs=1)
    for _ in range(61):
        bench.take(bench.live())
        bench.run(1)
    assert bench.core.max_period_ms(bench.now_ns()) == pytest.approx(1000, abs=1)


def test_after_an_interruption_the_newest_goes_out_at_once(bench: Bench) -> None:
    bench.take(bench.live())
    bench.sent.clear()
    bench.take(bench.live())
    assert bench.sent == []
    bench.core.interrupted()
    bench.take(bench.live())
    assert [frame.id for _, frame in bench.sent] == [0x351, 0x35A]


def test_what_is_clamped_is_known(bench: Bench) -> None:
    bench.take(bench.live(limits=fake_limits(discharge_current_a=-0.2)))
    assert bench.core.clamped(bench.now_ns()) == ("discharge_current_a",)
