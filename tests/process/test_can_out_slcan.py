"""The slcan adapter against a pty: stalls, garbage, hang-up, a second opener."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_slcan import FakeSlcan, wait_until
from tinybms_can_out.adapter import AdapterGone, FrameNotSent, Received
from tinybms_can_out.core import CanFrame
from tinybms_can_out.slcan import MOST_UNANSWERED, SlcanAdapter, is_frame
from tinybms_config.model import Can

KEEPALIVE = CanFrame(id=0x305, data=bytes(8))


def frame(number: int) -> CanFrame:
    return CanFrame(id=0x351, data=number.to_bytes(8, "little"))


@pytest.fixture
def device(run_dir: Path) -> Iterator[FakeSlcan]:
    with FakeSlcan(run_dir / "can") as device:
        yield device


@pytest.fixture
def adapter(run_dir: Path) -> Iterator[SlcanAdapter]:
    adapter = SlcanAdapter(Can(interface="slcan", channel=str(run_dir / "can")))
    yield adapter
    adapter.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def receive(adapter: SlcanAdapter, count: int = 1) -> list[Received]:
    found: list[Received] = []

    def enough() -> bool:
        found.extend(adapter.receive())
        return len(found) >= count

    wait_until(enough)
    return found


def test_opening_is_quick_and_sets_the_bit_rate(device: FakeSlcan, adapter: SlcanAdapter) -> None:
    started = time.monotonic()
    adapter.open()
    assert time.monotonic() - started < 0.5
    wait_until(lambda: "O" in device.commands)
    assert "S6" in device.commands
    assert device.commands.index("S6") < device.commands.index("O")


def test_frames_go_both_ways(device: FakeSlcan, adapter: SlcanAdapter) -> None:
    adapter.open()
    adapter.send(frame(1))
    wait_until(lambda: bool(device.frames))
    assert (device.frames[0].id, device.frames[0].data) == (0x351, frame(1).data)
    device.send(0x305, bytes(8))
    assert receive(adapter)[0].frame == KEEPALIVE


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff\xfe\r",
        b"t\r",
        b"t3\r",
        b"tXYZ8\r",
        b"t3059" + b"00" * 9 + b"\r",
        b"t305800\r",
        b"hello\r",
        b"\x00" * 5000,
        b"\a\a\r\r",
        b"T\r",
        b"t-05800000000000000000\r",
    ],
)
def test_garbage_is_dropped_and_the_next_frame_is_found(
    device: FakeSlcan, adapter: SlcanAdapter, garbage: bytes
) -> None:
    adapter.open()
    for start in range(0, len(garbage), 1000):
        device.send_raw(garbage[start : start + 1000])
        adapter.receive()
    device.send_raw(b"\r")
    device.send(0x305, bytes(8))
    assert [item.frame for item in receive(adapter)] == [KEEPALIVE]


def test_29_bit_and_remote_frames_are_left_out(device: FakeSlcan, adapter: SlcanAdapter) -> None:
    adapter.open()
    device.send_raw(b"T000003058" + b"00" * 8 + b"\rr3058\r")
    device.send(0x305, bytes(8))
    assert [item.frame for item in receive(adapter)] == [KEEPALIVE]


def test_a_missing_port_says_so(adapter: SlcanAdapter) -> None:
    with pytest.raises(AdapterGone, match="No such file"):
        adapter.open()


def test_a_second_opener_is_refused(
    device: FakeSlcan, adapter: SlcanAdapter, run_dir: Path
) -> None:
    assert not device.frames
    other = os.open(run_dir / "can", os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(AdapterGone, match="in use by another program"):
            adapter.open()
    finally:
        os.close(other)
    adapter.open()


def test_closing_frees_the_lock_and_the_descriptor(
    device: FakeSlcan, adapter: SlcanAdapter
) -> None:
    before = open_descriptors()
    for _ in range(5):
        adapter.open()
        adapter.close()
    assert open_descriptors() == before
    assert not device.broken_lines


def test_a_hang_up_is_noticed_by_reading_and_leaves_no_descriptor(
    device: FakeSlcan, adapter: SlcanAdapter
) -> None:
    before = open_descriptors()
    adapter.open()
    device.unplug()
    with pytest.raises(AdapterGone):
        receive(adapter)
    adapter.close()
    assert open_descriptors() == before - 2, "the two ends of the device, none of the adapter"


def test_a_hang_up_is_noticed_by_sending(device: FakeSlcan, adapter: SlcanAdapter) -> None:
    adapter.open()
    device.unplug()
    with pytest.raises(AdapterGone):
        adapter.send(frame(1))


def test_a_stalled_device_costs_little_time_and_gets_no_burst_of_old_frames(
    device: FakeSlcan, adapter: SlcanAdapter
) -> None:
    adapter.open()
    adapter.send(frame(0))
    wait_until(lambda: bool(device.frames))
    wait_until(lambda: bool(adapter.receive() or adapter._answers))
    device.paused.set()
    time.sleep(0.05)
    device.forget()
    failures, started = 0, time.monotonic()
    for number in range(1, 1201):
        try:
            adapter.send(frame(number))
        except FrameNotSent:
            failures += 1
    assert time.monotonic() - started < 2
    assert failures >= 1200 - MOST_UNANSWERED - 2
    device.paused.clear()

    def taken() -> bool:
        adapter.receive()
        try:
            adapter.send(frame(5000))
        except FrameNotSent:
            return False
        return True

    wait_until(taken)
    wait_until(lambda: frame(5000).data in [seen.data for seen in device.frames])
    old = [seen for seen in device.frames if int.from_bytes(seen.data, "little") < 5000]
    assert len(old) <= MOST_UNANSWERED + 1, "what the pty itself had taken, a second's worth"


def test_a_device_that_never_answers_is_filled_up_and_then_emptied(run_dir: Path) -> None:
    with FakeSlcan(run_dir / "can", answers=False) as device:
        adapter = SlcanAdapter(Can(interface="slcan", channel=str(run_dir / "can")))
        adapter.open()
        device.paused.set()
        failures, number = 0, 0
        started = time.monotonic()
        while failures < 20 and number < 20_000:
            number += 1
            try:
                adapter.send(frame(number))
            except FrameNotSent:
                failures += 1
        assert failures, "the queue never filled up"
        assert time.monotonic() - started < 30
        adapter.close()


def test_a_device_that_answers_commands_but_not_frames_is_not_taken_for_stalled(
    run_dir: Path, adapter: SlcanAdapter
) -> None:
    with FakeSlcan(run_dir / "can", answers_frames=False) as device:
        adapter.open()
        for number in range(100):
            adapter.send(frame(number))
            adapter.receive()
        wait_until(lambda: len(device.frames) == 100)


def test_opening_a_stalled_device_again_does_not_block(
    device: FakeSlcan, adapter: SlcanAdapter
) -> None:
    adapter.open()
    adapter.send(frame(0))
    wait_until(lambda: bool(adapter.receive() or adapter._answers))
    device.paused.set()
    started = time.monotonic()
    for number in range(3):
        adapter.close()
        adapter.open()
        with pytest.raises(FrameNotSent, match="not answered"):
            adapter.send(frame(number))
    assert time.monotonic() - started < 2
    device.paused.clear()

    def taken() -> bool:
        adapter.receive()
        try:
            adapter.send(frame(9))
        except FrameNotSent:
            return False
        return True

    wait_until(taken)


def test_a_refusing_device_is_counted(device: FakeSlcan, adapter: SlcanAdapter) -> None:
    adapter.open()
    wait_until(lambda: "O" in device.commands)
    device.refusing.set()
    for number in range(10):
        adapter.send(frame(number))
    refused = 0

    def counted() -> bool:
        nonlocal refused
        adapter.receive()
        refused += adapter.take_refused()
        return refused >= 9

    wait_until(counted)
    assert refused <= 10
    assert not adapter.refusing()
    for number in range(10):
        adapter.send(frame(number))

    def refusing() -> bool:
        adapter.receive()
        return adapter.refusing()

    wait_until(refusing)


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        ("t3058" + "00" * 8, True),
        ("t3050", True),
        ("t3058" + "00" * 8 + "1A2B", True),
        ("t3058" + "00" * 7, False),
        ("T000003058" + "FF" * 8, True),
        ("r3058", True),
        ("t305", False),
        ("", False),
        ("z", False),
        ("t305a", False),
    ],
)
def test_whole_lines_are_told_from_torn_ones(line: str, whole: bool) -> None:
    assert is_frame(line) == whole
