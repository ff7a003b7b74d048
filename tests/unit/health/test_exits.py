"""The wait that ends when a process ends: at once, once, and only for those watched."""

import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from tinybms_health.exits import ExitWatch

LONG_S = 10.0


@pytest.fixture
def exits() -> Iterator[ExitWatch]:
    watch = ExitWatch()
    yield watch
    watch.close()


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_the_end_of_a_process_ends_the_wait_once(
    exits: ExitWatch, sleeper: "subprocess.Popen[bytes]"
) -> None:
    exits.watch([sleeper.pid])
    assert not exits.wait(0.0)
    sleeper.kill()
    began_s = time.monotonic()
    assert exits.wait(LONG_S)
    assert time.monotonic() - began_s < LONG_S / 2
    assert not exits.wait(0.0)


def test_a_process_that_is_watched_no_longer_ends_no_wait(
    exits: ExitWatch, sleeper: "subprocess.Popen[bytes]"
) -> None:
    exits.watch([sleeper.pid])
    exits.watch([])
    sleeper.kill()
    sleeper.wait()
    assert not exits.wait(0.0)


def test_a_process_that_is_gone_already_is_left_out(
    exits: ExitWatch, sleeper: "subprocess.Popen[bytes]"
) -> None:
    sleeper.kill()
    sleeper.wait()
    exits.watch([sleeper.pid])
    assert not exits.wait(0.0)


def test_another_thread_ends_the_wait(exits: ExitWatch) -> None:
    ringer = threading.Timer(0.05, exits.ring)
    ringer.start()
    began_s = time.monotonic()
    assert not exits.wait(LONG_S)
    assert time.monotonic() - began_s < LONG_S / 2
    ringer.join()
