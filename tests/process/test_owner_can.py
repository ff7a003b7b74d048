"""Stop and service of CAN by the command line, over a real can_out and a device on a pty."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fake_live import fake_live, fake_sample
from fake_slcan import FakeSlcan, wait_until
from harness_can import CanStack

LOST_S = 15.0
AGEING = "[ageing]\nstale_after_s = 2.0\nfrozen_after_s = 1.0\nalarm_after_s = 3.0\n"
AGEING += f"lost_after_s = {LOST_S}\n"


@pytest.fixture
def stack(run_dir: Path) -> Iterator[CanStack]:
    with CanStack(run_dir, can=AGEING) as stack:
        stack.start("broker")
        yield stack


@pytest.fixture
def device(stack: CanStack) -> Iterator[FakeSlcan]:
    with FakeSlcan(stack.link) as device:
        stack.start("can_out")
        stack.feed_until_frames(device)
        yield device


def ctl(stack: CanStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "tinybms_ctl", "can", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "TINYBMS_CONFIG": str(stack.folder / "gateway.toml")},
        check=False,
    )


@contextmanager
def fed(stack: CanStack) -> Iterator[None]:
    """Fresh samples all the while."""
    done = threading.Event()

    def feed() -> None:
        while not done.wait(0.1):
            stack.publish()

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        yield
    finally:
        done.set()
        feeder.join()


def newest_limits(device: FakeSlcan) -> tuple[int, ...]:
    data = [seen.data for seen in device.frames if seen.id == 0x351][-1]
    return struct.unpack("<HhhH", data)


@pytest.mark.long
def test_a_service_bridges_the_silence_of_the_bms_and_a_restart_of_the_process(
    stack: CanStack, device: FakeSlcan
) -> None:
    with fed(stack):
        refused = ctl(stack, "service", "--for", "11m")
        assert (refused.returncode, "600 s" in refused.stderr) == (2, True)
        begun = ctl(stack, "service", "--for", "60s")
    assert begun.stdout.startswith("service, under 1 min left"), begun.stderr
    last = fake_live(sample=fake_sample(boottime_ns=stack.clock.boottime_ns()))
    stack.publish(last)
    silent_from_s = time.monotonic()
    wait_until(lambda: newest_limits(device)[1] == 0)
    stack.end("can_out", signal.SIGKILL)
    stack.start("can_out")
    before = len(device.frames)
    wait_until(lambda: len(device.frames) > before)
    time.sleep(max(0.0, silent_from_s + LOST_S + 1.5 - time.monotonic()))
    device.forget()
    time.sleep(2.5)
    assert newest_limits(device) == (540, 0, 1000, 440)
    warned = [seen.data for seen in device.frames if seen.id == 0x35A][-1]
    assert (warned[2] >> 6, warned[6] >> 6) == (2, 1)
    assert stack.status(newer_than_s=0).state == "service"
    stack.publish()
    wait_until(lambda: newest_limits(device)[1] == 600)
    assert stack.wait_for_state("sending").service_left_s == 0.0


def test_a_stop_is_silent_until_start_whatever_is_restarted(
    stack: CanStack, device: FakeSlcan
) -> None:
    with fed(stack):
        assert ctl(stack, "stop").stdout == "stopped: no frames until tinybms-ctl can start\n"
        wait_until(lambda: newest_limits(device)[1] == 0, 5.0)
        assert newest_limits(device) == (552, 0, 1000, 440)
        time.sleep(6.0)
        stack.end("can_out", signal.SIGKILL)
        stack.start("can_out")
        device.forget()
        stack.wait_for_state("stopped")
        time.sleep(1.5)
        assert device.frames == []
        assert ctl(stack, "service").stderr.endswith("stopped; start them first\n")
        assert ctl(stack, "start").returncode == 0
        wait_until(lambda: bool(device.frames))
        assert newest_limits(device) == (552, 600, 1000, 440)


def test_without_a_fresh_sample_a_service_is_refused(stack: CanStack, device: FakeSlcan) -> None:
    stack.wait_for_state("stale")
    refused = ctl(stack, "service")
    assert refused.returncode == 1
    assert "no service: there is no fresh sample of the battery" in refused.stderr
    assert device.frames
