"""can_out as a real process behind a real broker, with an slcan device on a pty."""

from __future__ import annotations

import signal
import struct
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from fake_live import fake_limits, fake_live, fake_sample
from fake_slcan import FakeSlcan, wait_until
from harness_can import CanStack
from tinybms_messages.live import LiveData
from tinybms_victron.signals import FRAMES

ALL_IDS = {frame.id for frame in FRAMES}


@pytest.fixture
def stack(run_dir: Path) -> Iterator[CanStack]:
    with CanStack(run_dir) as stack:
        yield stack


@pytest.fixture
def device(stack: CanStack) -> Iterator[FakeSlcan]:
    with FakeSlcan(stack.link) as device:
        yield device


def start(stack: CanStack) -> None:
    stack.start("broker")
    stack.start("can_out")


def limits_of(device: FakeSlcan) -> list[tuple[float, ...]]:
    return [struct.unpack("<HhhH", seen.data) for seen in device.frames if seen.id == 0x351]


def test_the_first_sample_leaves_as_it_is_and_all_frames_follow_each_second(
    stack: CanStack, device: FakeSlcan
) -> None:
    start(stack)
    stack.feed_until_frames(device)
    assert limits_of(device)[0] == (552, 600, 1000, 440)
    stack.feed(1.5)
    device.forget()
    stack.feed(4.0)
    counted = Counter(seen.id for seen in device.frames)
    assert counted.keys() == ALL_IDS
    assert all(3 <= count <= 5 for count in counted.values()), counted
    assert not device.broken_lines
    times = [seen.at_s for seen in device.frames if seen.id == 0x351]
    assert max(later - sooner for sooner, later in pairwise(times)) < 1.5
    status = stack.wait_for_state("sending")
    assert status.frames_sent >= len(device.frames)
    assert (status.send_errors, status.frames_refused) == (0, 0)


def test_nothing_leaves_while_acquisition_is_down_or_has_no_sample(
    stack: CanStack, device: FakeSlcan
) -> None:
    start(stack)
    assert stack.wait_for_state("waiting").frames_sent == 0
    for _ in range(15):
        stack.publish(LiveData())
        time.sleep(0.1)
    assert device.frames == []


def test_an_hour_old_message_in_the_brokers_cache_sends_nothing(
    stack: CanStack, device: FakeSlcan
) -> None:
    stack.start("broker")
    hour_old = stack.clock.boottime_ns() - 3600 * 10**9
    old = fake_live(sample=fake_sample(boottime_ns=hour_old))
    for _ in range(10):
        stack.publish(old)
        time.sleep(0.1)
    stack.start("can_out")
    status = stack.wait_for_state("silent")
    time.sleep(1.5)
    assert status.frames_sent == 0
    assert device.frames == []


def test_a_fresh_message_in_the_brokers_cache_is_used_after_a_restart(
    stack: CanStack, device: FakeSlcan
) -> None:
    start(stack)
    stack.feed_until_frames(device)
    stack.end("can_out", signal.SIGKILL)
    device.forget()
    stack.publish()
    time.sleep(0.1)
    stack.start("can_out")
    wait_until(lambda: len(limits_of(device)) > 0)
    assert limits_of(device)[0] == (552, 600, 1000, 440)


def test_a_fallen_limit_leaves_at_once(stack: CanStack, device: FakeSlcan) -> None:
    start(stack)
    stack.feed_until_frames(device)
    stack.feed(0.3)
    device.forget()
    sample = fake_sample(boottime_ns=stack.clock.boottime_ns())
    sent_s = time.monotonic()
    stack.publish(fake_live(sample=sample, limits=fake_limits(discharge_current_a=0.0)))
    wait_until(lambda: any(limits[2] == 0 for limits in limits_of(device)))
    fallen = next(seen for seen in device.frames if seen.id == 0x351 and seen.data[4:6] == b"\0\0")
    assert fallen.at_s - sent_s < 0.25


def test_the_gx_is_heard_and_its_absence_stops_nothing(stack: CanStack, device: FakeSlcan) -> None:
    start(stack)
    stack.feed_until_frames(device)
    assert stack.status(newer_than_s=0.2).victron_keepalive_ok is False
    device.send(0x305, bytes(8))
    device.send(0x307, bytes.fromhex("1234567856494300"))
    status = stack.status(newer_than_s=0.3)
    assert (status.victron_keepalive_ok, status.gx_identified) == (True, True)
    assert status.keepalive_age_s is not None
    device.forget()
    stack.feed(4.5)
    assert stack.status().victron_keepalive_ok is False
    assert len(limits_of(device)) >= 4
    assert not {0x305, 0x307} & {seen.id for seen in device.frames}


def test_an_adapter_that_goes_and_comes_gets_the_newest_values(
    stack: CanStack, device: FakeSlcan
) -> None:
    start(stack)
    stack.feed_until_frames(device)
    device.unplug()
    assert stack.wait_for_state("no_adapter").last_error
    spent_s = stack.cpu_meter("can_out")
    stack.feed(3.0)
    assert spent_s() < 0.5, "CPU seconds in 3 s without an adapter"
    newest = fake_limits(charge_current_a=12.3)

    def newest_arrived() -> bool:
        sample = fake_sample(boottime_ns=stack.clock.boottime_ns())
        stack.publish(fake_live(sample=sample, limits=newest))
        time.sleep(0.1)
        return bool(device.frames)

    device.forget()
    for _ in range(5):
        assert not newest_arrived(), "there is no adapter yet"
    device.plug_in()
    wait_until(newest_arrived, 15)
    time.sleep(0.3)
    assert {limits[1] for limits in limits_of(device)} == {123}
    assert len(device.frames) < 20
    assert stack.running("can_out")
    assert stack.wait_for_state("sending").reopened >= 1
    lost = [line for line in stack.log_lines() if line.get("event") == "can_adapter_lost"]
    assert len(lost) == 1


def test_an_adapter_that_takes_nothing_is_survived_without_a_burst_afterwards(
    stack: CanStack, device: FakeSlcan
) -> None:
    start(stack)
    stack.feed_until_frames(device, 25)
    device.paused.set()
    stack.feed(6.0)
    status = stack.wait_for_state("error")
    assert status.send_errors > 20
    device.forget()
    device.paused.clear()
    resumed_s = time.monotonic()
    stack.feed(4.0, soc_pct=41.0)
    soon = [seen for seen in device.frames if seen.at_s < resumed_s + 0.5]
    assert len(soon) <= 40
    later = [seen.data[0] for seen in device.frames if seen.id == 0x355 and seen not in soon]
    assert later
    assert set(later) == {41}
    assert stack.running("can_out")
    stack.wait_for_state("sending")


def test_an_adapter_that_refuses_every_frame_is_an_error_and_counted(
    stack: CanStack, device: FakeSlcan
) -> None:
    start(stack)
    stack.feed_until_frames(device)
    device.refusing.set()
    stack.feed(2.5)
    status = stack.wait_for_state("error")
    assert "no other node" in status.last_error
    assert status.send_errors >= 20
    device.refusing.clear()
    stack.feed(1.0)
    stack.wait_for_state("sending")


def test_garbage_from_the_adapter_changes_nothing(stack: CanStack, device: FakeSlcan) -> None:
    start(stack)
    stack.feed_until_frames(device)
    for garbage in (b"\xff" * 300, b"t3\r", b"tZZZ8\r", b"\a\a\a", b"t30580000\r", b"\x00" * 900):
        device.send_raw(garbage)
        stack.feed(0.2)
    device.send_raw(b"\r")
    device.send(0x305, bytes(8))
    stack.feed(1.5)
    status = stack.status()
    assert status.victron_keepalive_ok is True
    assert stack.running("can_out")
    assert len(limits_of(device)) >= 2


def test_a_missing_adapter_and_a_missing_broker_end_nothing(stack: CanStack) -> None:
    stack.start("can_out")
    time.sleep(2.0)
    assert stack.running("can_out")
    stack.start("broker")
    assert stack.wait_for_state("no_adapter").frames_sent == 0
    assert stack.end("can_out") == 0


def test_a_port_that_another_program_holds_is_named(stack: CanStack, device: FakeSlcan) -> None:
    assert not device.frames
    with stack.link.open("r+b", buffering=0) as port:
        stack.lock(port)
        start(stack)
        assert "in use by another program" in stack.wait_for_state("no_adapter").detail
    stack.feed_until_frames(device)


def test_disabled_it_stays_up_and_idle(run_dir: Path) -> None:
    with CanStack(run_dir, can="enabled = false") as stack, FakeSlcan(stack.link) as device:
        start(stack)
        status = stack.wait_for_state("disabled")
        assert status.victron_keepalive_ok is None
        stack.feed(1.0)
        assert device.commands == []
        assert device.frames == []
        assert stack.end("can_out") == 0


def test_an_interface_that_does_not_exist_is_reported_and_retried(run_dir: Path) -> None:
    with CanStack(run_dir, interface="socketcan") as stack:
        start(stack)
        status = stack.wait_for_state("no_adapter")
        assert "socketcan" in status.detail
        time.sleep(3.0)
        warnings = [line for line in stack.log_lines() if line.get("level") != "info"]
        assert len(warnings) == 1, warnings
        assert stack.end("can_out") == 0


def test_a_clean_stop_closes_the_channel_and_leaves_whole_lines(
    stack: CanStack, device: FakeSlcan
) -> None:
    start(stack)
    stack.feed_until_frames(device)
    started = time.monotonic()
    assert stack.end("can_out") == 0
    assert time.monotonic() - started < 2
    wait_until(lambda: device.commands[-1] == "C")
    assert device.broken_lines == []


def test_the_keepalive_period_is_that_of_0x351(run_dir: Path) -> None:
    with (
        CanStack(run_dir, can="keepalive_period_ms = 250") as stack,
        FakeSlcan(stack.link) as device,
    ):
        start(stack)
        stack.feed_until_frames(device)
        device.forget()
        stack.feed(3.0)
        counted = Counter(seen.id for seen in device.frames)
        assert 10 <= counted[0x351] <= 14
        assert 2 <= counted[0x355] <= 4


@pytest.mark.long
@pytest.mark.timeout(90)
def test_the_ladder_of_ages_on_the_bus(run_dir: Path) -> None:
    """With the shortest ages that the configuration allows."""
    ages = "[ageing]\nfrozen_after_s = 1.0\nstale_after_s = 2.0\nalarm_after_s = 4.0\n"
    with (
        CanStack(run_dir, can=f"{ages}lost_after_s = 15.0") as stack,
        FakeSlcan(stack.link) as device,
    ):
        start(stack)
        stack.feed_until_frames(device)
        stack.feed(1.0)
        last_s = time.monotonic()
        time.sleep(18.0)
        ages_s = {
            "ccl": [s.at_s for s in device.frames if s.id == 0x351 and s.data[2:4] == b"\0\0"],
            "warning": [s.at_s for s in device.frames if s.id == 0x35A and s.data[6] >> 6 == 1],
            "alarm": [s.at_s for s in device.frames if s.id == 0x35A and s.data[2] >> 6 == 1],
        }
        first = {name: times[0] - last_s for name, times in ages_s.items()}
        assert first == pytest.approx({"ccl": 2.0, "warning": 2.0, "alarm": 4.0}, abs=0.35)
        assert device.frames[-1].at_s - last_s == pytest.approx(15.0, abs=0.35)
        assert stack.status().state == "silent"


def test_ten_samples_a_second_are_no_busy_loop(stack: CanStack, device: FakeSlcan) -> None:
    start(stack)
    stack.feed_until_frames(device)
    spent_s = stack.cpu_meter("can_out")
    stack.feed(5.0)
    assert spent_s() < 0.5
