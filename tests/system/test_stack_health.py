"""Whatever becomes of health, CAN and MQTT go on: flooded with requests, killed, stopped."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import pytest

import harness_flood
from harness_sim import wait_until
from harness_stack import Stack, now_s

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

PHASE_S = 12.0
LIMITS = 0x351
MEASUREMENT = 0x356
LONGEST_GAP_S = 2.0
"""0x351 and the heartbeat of MQTT come each second."""
SHOWN_WITHIN_S = 2.0
"""Usually a third of a second: a poll, then at most five messages a second."""


class Watcher:
    """Lets the battery's current move in known steps and looks for each on CAN and MQTT."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._tenths_a = count(-100, -3)

    def follow(self, seconds: float) -> None:
        """Until the time is over, each step must come out at both ends."""
        ends_s = now_s() + seconds
        while now_s() < ends_s:
            self._step(next(self._tenths_a) / 10)

    def _step(self, current_a: float) -> None:
        low, high = struct.unpack("<HH", struct.pack("<f", current_a))
        self._stack.bms.set_words({38: low, 39: high})
        since_s = now_s()

        def on_can() -> bool:
            frames = self._stack.frames(MEASUREMENT, since_s)
            raw = bytes.fromhex(frames[-1]["data"])[2:4] if frames else b"\0\0"
            return int.from_bytes(raw, "little", signed=True) == round(current_a * 10)

        def on_mqtt() -> bool:
            return bool(abs(self._stack.mqtt.value("battery_current") - current_a) < 0.01)

        self._stack.wait_for(on_mqtt, SHOWN_WITHIN_S, f"{current_a} A by MQTT")
        self._stack.wait_for(on_can, SHOWN_WITHIN_S, f"{current_a} A on CAN")


@contextmanager
def undisturbed(stack: Stack) -> Iterator[None]:
    """What happens inside must not show on CAN or MQTT, nor end another process."""
    others = {name: pid for name, pid in stack.pids().items() if name != "health"}
    since_s = now_s()
    yield
    took_s = now_s() - since_s
    assert stack.longest_gap_s(LIMITS, since_s) <= LONGEST_GAP_S
    assert len(stack.frames(LIMITS, since_s)) >= took_s * 0.9 - 1
    beats = stack.mqtt.of("status/connected", since_s)
    assert len(beats) >= took_s * 0.9 - 1
    assert [frame for frame in stack.frames(since_s=since_s) if frame["problems"]] == []
    assert others.items() <= stack.pids().items()


def test_can_and_mqtt_go_on_whatever_becomes_of_health(run_dir: Path) -> None:
    with Stack(run_dir) as stack:
        stack.wait_until_well()
        watcher = Watcher(stack)
        with undisturbed(stack):
            watcher.follow(3.0)
        _flooded(stack, watcher)
        _killed_again_and_again(stack, watcher)
        _stopped(stack, watcher)
        stack.wait_until_well(40)


def _flooded(stack: Stack, watcher: Watcher) -> None:
    words = [sys.executable, harness_flood.__file__, str(stack.http_port), str(PHASE_S)]
    with undisturbed(stack), subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as flood:
        try:
            watcher.follow(PHASE_S)
            answers = json.loads(flood.communicate(timeout=30)[0])
        finally:
            flood.kill()
    assert answers["200"] > 100, answers
    assert answers["404"] > 10, answers
    assert "500" not in answers


def _killed_again_and_again(stack: Stack, watcher: Watcher) -> None:
    with undisturbed(stack):
        for _ in range(3):
            killed = stack.kill("health")
            watcher.follow(1.0)
            wait_until(partial(_has_successor, stack, killed), 10, "a new health")
    wait_until(lambda: stack.status() is not None, 10, "an answer")


def _has_successor(stack: Stack, killed: int) -> bool:
    return stack.pids().get("health", killed) != killed


def _stopped(stack: Stack, watcher: Watcher) -> None:
    with undisturbed(stack):
        stopped = stack.kill("health", signal.SIGSTOP)
        watcher.follow(PHASE_S)
        assert stack.pids()["health"] == stopped
        stack.kill("health", signal.SIGCONT)
        watcher.follow(2.0)
