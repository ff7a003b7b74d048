"""Stop in good order, and a service while the BMS is away: the core with a clock of the test."""

from __future__ import annotations

import struct

import msgspec
import pytest

from fake_can_bench import Bench
from fake_live import fake_alarms, fake_limits, fake_live, fake_sample
from tinybms_can_out.owner import ServiceRefused, Wishes, restored
from tinybms_config.model import Can, Config
from tinybms_messages.live import LiveData

CVL, CCL, DCL = 0, 1, 2


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.take(bench.live())
    return bench


def limits(bench: Bench) -> tuple[int, ...]:
    return struct.unpack("<HhhH", bench.last(0x351))


def bms_internal(bench: Bench) -> tuple[int, int]:
    """(alarm pair, warning pair): 1 active, 2 OK."""
    return bench.last(0x35A)[2] >> 6, bench.last(0x35A)[6] >> 6


def begin(bench: Bench, duration_s: float = 600.0) -> None:
    live, age_s = bench.core.newest(bench.now_ns())
    bench.owner.begin_service(live, age_s, duration_s, bench.now_ns())


def feed(bench: Bench, seconds: int, **changes: object) -> None:
    for _ in range(seconds):
        bench.take(bench.live(**changes))
        bench.run(1)


def notes(bench: Bench) -> list[str]:
    return [code for code, _ in bench.owner.take_notes()]


def test_a_stop_brings_the_chargers_to_rest_then_all_is_silent(bench: Bench) -> None:
    bench.owner.stop(bench.now_ns())
    bench.sent.clear()
    bench.send(bench.core.urgent(bench.now_ns()))
    assert [frame.id for _, frame in bench.sent] == [0x351], "at once"
    feed(bench, 4)
    assert limits(bench) == (552, 0, 1000, 440), "loads are left alone"
    assert bench.ids()[0x351] == 5
    feed(bench, 2)
    bench.sent.clear()
    feed(bench, 30)
    assert bench.sent == []


def test_after_a_stop_the_first_frames_are_those_of_now(bench: Bench) -> None:
    bench.owner.stop(bench.now_ns())
    feed(bench, 10)
    bench.owner.start()
    bench.sent.clear()
    bench.take(bench.live(limits=fake_limits(charge_current_a=11.0)))
    assert [frame.id for _, frame in bench.sent] == [0x351, 0x35A]
    assert limits(bench) == (552, 110, 1000, 440)
    assert notes(bench) == ["can_stopped", "can_started"]


def test_a_restart_does_not_undo_a_stop(bench: Bench) -> None:
    bench.owner.stop(bench.now_ns())
    feed(bench, 10)
    bench.restart(bench.owner.wishes)
    bench.sent.clear()
    feed(bench, 10)
    assert bench.sent == []


def test_in_service_frames_go_on_without_charge_and_with_a_warning(bench: Bench) -> None:
    begin(bench)
    feed(bench, 5)
    assert limits(bench)[CCL] == 600, "nothing changes while the BMS answers"
    for _ in range(9):
        bench.run(60)
        # The pack stood at 52.70 V: more than float, 16 x 3.375 V, is not asked for, nor less.
        assert limits(bench) == (540, 0, 1000, 440)
        assert bms_internal(bench) == (2, 1)
    assert bench.ids()[0x351] > 500
    assert bench.core.frames_refused == 0


def test_a_high_pack_is_not_pulled_down_in_service(bench: Bench) -> None:
    sample = fake_sample(boottime_ns=bench.now_ns(), pack_voltage_v=54.9)
    bench.take(fake_live(sample=sample))
    begin(bench)
    bench.run(60)
    assert limits(bench)[CVL] == 548, "54.9 V - 16 x 5 mV, rounded down"


def test_discharge_goes_by_the_configuration() -> None:
    bench = Bench(Config(can=Can(stale_dcl="zero")))
    bench.take(bench.live())
    begin(bench)
    bench.run(15)
    assert limits(bench)[DCL] == 1000
    bench.run(20)
    assert limits(bench)[DCL] == 0


def test_the_time_of_a_service_ends_it_in_silence(bench: Bench) -> None:
    begin(bench, 120)
    bench.run(119)
    bench.sent.clear()
    bench.run(0.8)
    assert bench.ids()[0x351] == 1
    bench.run(0.4)
    assert bench.seconds_silent(60)
    assert notes(bench) == ["can_service", "can_service_over"]


def test_no_service_is_longer_than_ten_minutes(bench: Bench) -> None:
    begin(bench, 1e6)
    bench.run(599)
    bench.sent.clear()
    bench.run(0.8)
    assert bench.sent
    bench.run(0.4)
    assert bench.seconds_silent(60)


def test_the_first_fresh_sample_after_the_bms_was_away_ends_it(bench: Bench) -> None:
    begin(bench)
    bench.run(60)
    bench.take(bench.live(limits=fake_limits(charge_current_a=0.6)))
    bench.run(1)
    assert limits(bench) == (552, 6, 1000, 440)
    assert bms_internal(bench) == (2, 2)
    assert notes(bench) == ["can_service", "can_service_over"]
    bench.run(31)
    assert bench.seconds_silent(30), "the ladder holds again"


def test_a_repeat_of_the_old_sample_ends_nothing(bench: Bench) -> None:
    begin(bench)
    old = bench.core.newest(bench.now_ns())[0]
    assert old is not None
    for _ in range(60):
        bench.run(1)
        bench.take(old)
    bench.take(LiveData())
    bench.run(1)
    assert notes(bench) == ["can_service"]
    assert limits(bench)[CCL] == 0


def test_an_alarm_ends_it(bench: Bench) -> None:
    begin(bench)
    feed(bench, 2)
    bench.take(bench.live(alarms=fake_alarms(high_temperature=1)))
    assert notes(bench) == ["can_service", "can_service_over"]
    bench.run(31)
    assert bench.seconds_silent(30)


def test_the_owner_ends_it(bench: Bench) -> None:
    begin(bench)
    bench.run(60)
    bench.owner.end_service()
    assert bench.seconds_silent(10)


def test_a_stop_ends_a_service_and_forbids_one(bench: Bench) -> None:
    begin(bench)
    bench.owner.stop(bench.now_ns())
    assert notes(bench) == ["can_service", "can_service_over", "can_stopped"]
    with pytest.raises(ServiceRefused, match="stopped"):
        begin(bench)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alarms": fake_alarms(cell_imbalance=1)}, "cell_imbalance"),
        ({"alarms": fake_alarms(low_voltage=2)}, "low_voltage"),
        ({"sample": {"cell_voltages_v": (3.0,) + (3.3,) * 15}}, "mid-range"),
        ({"sample": {"cell_voltages_v": (3.46,) + (3.3,) * 15}}, "mid-range"),
        ({"sample": {"external_temperature_1_c": 2.0}}, "mid-range"),
        ({"sample": {"online_status": "fault"}}, "mid-range"),
    ],
)
def test_a_battery_that_is_not_well_gets_no_service(
    bench: Bench, changes: dict[str, object], words: str
) -> None:
    sample = changes.pop("sample", {})
    assert isinstance(sample, dict)
    live = bench.live(sample=fake_sample(boottime_ns=bench.now_ns(), **sample), **changes)
    bench.take(live)
    with pytest.raises(ServiceRefused, match=words):
        begin(bench)
    bench.run(31)
    assert bench.seconds_silent(30)


def test_without_a_fresh_sample_there_is_no_service(bench: Bench) -> None:
    bench.run(10.2)
    with pytest.raises(ServiceRefused, match="no fresh sample"):
        begin(bench)
    bench.restart()
    with pytest.raises(ServiceRefused, match="no fresh sample"):
        begin(bench)


def test_a_restart_in_service_changes_no_limit(bench: Bench) -> None:
    begin(bench)
    old = bench.core.newest(bench.now_ns())[0]
    assert old is not None
    bench.run(60)
    kept = msgspec.json.encode(bench.owner.wishes)
    bench.restart(restored(kept, bench.clock.kernel_boot_id, bench.now_ns()))
    bench.sent.clear()
    bench.take(old)
    bench.run(10)
    assert limits(bench) == (540, 0, 1000, 440)
    assert bms_internal(bench) == (2, 1)
    bench.take(bench.live())
    assert "can_service_over" in notes(bench)


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        b"{}",
        b"\xff",
        msgspec.json.encode(Wishes(kernel_boot_id="before", stopped_ns=1, service_ends_ns=5)),
        msgspec.json.encode(Wishes(kernel_boot_id="now", service_ends_ns=700 * 10**9)),
    ],
)
def test_what_is_damaged_of_another_run_or_too_long_is_no_wish(data: bytes | None) -> None:
    assert restored(data, "now", 10**9) == Wishes(kernel_boot_id="now")
