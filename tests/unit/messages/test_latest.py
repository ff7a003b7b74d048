"""Which sample counts, and its age: by the sample's own time, never by the time of arrival."""

import msgspec
import pytest

from tinybms_messages.header import Header
from tinybms_messages.latest import LatestLive
from tinybms_messages.live import Limits, LiveData, Sample

KERNEL = "boot-a"
SECOND = 1_000_000_000


def header(seq: int, *, boot: str = "a" * 16, at_s: float = 100.0, kernel: str = KERNEL) -> Header:
    return Header(
        source="acquisition",
        boot=boot,
        seq=seq,
        wall_ns=0,
        boottime_ns=round(at_s * SECOND),
        kernel_boot_id=kernel,
        time_ok=False,
    )


def live(at_s: float, voltage_v: float = 13.2) -> LiveData:
    sample = Sample(
        seq=1,
        boottime_ns=round(at_s * SECOND),
        wall_ns=0,
        time_ok=False,
        cell_voltages_v=(3.3, 3.3, 3.3, 3.3),
        cells_balancing=(False,) * 4,
        pack_voltage_v=voltage_v,
        pack_current_a=0.0,
        soc_pct=50.0,
        soh_pct=None,
        battery_temperature_c=None,
        external_temperature_1_c=None,
        external_temperature_2_c=None,
        internal_temperature_c=None,
        online_status_raw=0x97,
        online_status="idle",
        time_to_go_s=None,
        lifetime_s=0,
    )
    limits = Limits(
        charge_voltage_v=13.8,
        charge_current_a=10.0,
        discharge_current_a=10.0,
        discharge_voltage_v=11.2,
        system_state="bulk",
    )
    return LiveData(sample=sample, limits=limits)


def test_without_a_sample_there_is_no_age() -> None:
    latest = LatestLive(kernel_boot_id=KERNEL)
    assert latest.age_s(200 * SECOND) is None
    assert latest.offer(header(1), LiveData())
    assert latest.age_s(200 * SECOND) is None


def test_age_runs_from_the_sample_and_not_from_the_message() -> None:
    latest = LatestLive(kernel_boot_id=KERNEL)
    latest.offer(header(7, at_s=3700.0), live(at_s=100.0))
    assert latest.age_s(3700 * SECOND) == pytest.approx(3600.0)


def test_a_repeat_of_the_same_sample_makes_it_no_younger() -> None:
    latest = LatestLive(kernel_boot_id=KERNEL)
    latest.offer(header(1, at_s=100.0), live(at_s=100.0))
    latest.offer(header(2, at_s=105.0), live(at_s=100.0))
    assert latest.age_s(106 * SECOND) == pytest.approx(6.0)


def test_a_late_message_does_not_take_the_place_of_a_newer_one() -> None:
    latest = LatestLive(kernel_boot_id=KERNEL)
    assert latest.offer(header(5, at_s=101.0), live(at_s=101.0, voltage_v=13.5))
    assert not latest.offer(header(4, at_s=100.9), live(at_s=100.9, voltage_v=13.4))
    assert latest.with_sample is not None
    assert latest.with_sample.sample is not None
    assert latest.with_sample.sample.pack_voltage_v == 13.5


def test_the_backlog_of_an_earlier_process_does_not_return() -> None:
    latest = LatestLive(kernel_boot_id=KERNEL)
    assert latest.offer(header(1, boot="b" * 16, at_s=110.0), live(at_s=110.0))
    assert not latest.offer(header(900, boot="a" * 16, at_s=105.0), live(at_s=105.0))
    assert latest.age_s(111 * SECOND) == pytest.approx(1.0)


def test_a_restarted_acquisition_without_a_sample_lets_the_last_one_age() -> None:
    latest = LatestLive(kernel_boot_id=KERNEL)
    latest.offer(header(50, at_s=100.0), live(at_s=100.0))
    assert latest.offer(header(1, boot="b" * 16, at_s=104.0), LiveData())
    assert latest.newest == LiveData()
    assert latest.age_s(108 * SECOND) == pytest.approx(8.0)


def test_a_sample_of_another_run_of_the_machine_is_no_sample() -> None:
    latest = LatestLive(kernel_boot_id=KERNEL)
    assert not latest.offer(header(1, kernel="boot-of-yesterday"), live(at_s=100.0))
    assert latest.age_s(101 * SECOND) is None


def test_a_sample_from_the_future_is_no_sample() -> None:
    latest = LatestLive(kernel_boot_id=KERNEL)
    latest.offer(header(1, at_s=100.0), live(at_s=200.0))
    assert latest.age_s(100 * SECOND) is None


def test_headers_of_one_boot_are_ordered_by_number() -> None:
    first = header(1, at_s=100.0)
    second = msgspec.structs.replace(first, seq=2)
    assert second.is_newer_than(first)
    assert not first.is_newer_than(second)
    assert not first.is_newer_than(first)
