"""A silent line: the limits step down at their times, then the GX hears nothing more.

Everything between UART and CAN is real and runs in real time; the exact boundaries of the ladder
are pinned with an injected clock in the tests of `aged()`.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from harness_stack import Stack, now_s

LIMITS = 0x351
ALARMS = 0x35A
STEP_S = 1.6
"""A step of the ladder shows with the next 0x351, a second later at most."""

Limits = tuple[int, int, int, int]

INTERNAL_ALARM_AT = (2, 6)
INTERNAL_WARNING_AT = (6, 6)
ACTIVE, OK = 1, 2

MID_RANGE = {42: 200, 43: 0x8000}
"""The simulator's pack at rest, half charged, at 20.0 degC."""


def limits_after(stack: Stack, since_s: float) -> list[tuple[float, Limits]]:
    """(time since `since_s`, CVL, CCL, DCL, DVL in tenths) of each 0x351."""
    return [
        (frame["t"] - since_s, struct.unpack("<HhhH", bytes.fromhex(frame["data"])))
        for frame in stack.frames(LIMITS, since_s)
    ]


def pair(frame_data: str, place: tuple[int, int]) -> int:
    byte, shift = place
    return bytes.fromhex(frame_data)[byte] >> shift & 3


@pytest.mark.timeout(150)
def test_the_ladder_is_seen_on_can_and_mqtt_and_all_comes_back(run_dir: Path) -> None:
    with Stack(run_dir, registers=MID_RANGE) as stack:
        stack.wait_until_well()
        stack.wait_for(lambda: last_limits(stack)[1] > 0, 60, "a charge current")
        stack.bms.scenario("silence")
        silent_s = now_s()
        stack.wait_for(lambda: limits_after(stack, silent_s + 1.0), 5, "a frame without new data")
        before = last_limits(stack)
        stack.wait_for(lambda: now_s() - silent_s > 36, 45, "36 s of silence")
        check_limits(stack, silent_s, before)
        check_warnings(stack, silent_s)
        check_data_state(stack, silent_s)
        assert stack.ctl("status").returncode == 2
        stack.bms.scenario("normal")
        back_s = now_s()
        stack.wait_for(lambda: limits_after(stack, back_s), 15, "frames after the silence")
        first = limits_after(stack, back_s)[0][1]
        assert first[0] <= before[0]
        assert first[1] <= 1
        assert first[2:] == before[2:]
        stack.wait_until_well(20)
        assert stack.mqtt.of("status/data")[-1] == b"fresh"


def last_limits(stack: Stack) -> Limits:
    sent = limits_after(stack, now_s() - 2.0)
    return sent[-1][1] if sent else (0, 0, 0, 0)


def check_limits(stack: Stack, silent_s: float, before: Limits) -> None:
    sent = limits_after(stack, silent_s)
    for at_s, (cvl, ccl, dcl, dvl) in sent:
        assert (dcl, dvl) == before[2:], "discharge is held in mid-range"
        assert 0 < cvl <= before[0]
        if 1.0 < at_s < 9.5:
            assert (cvl, ccl) == before[:2], f"frozen at {at_s:.2f} s"
        if at_s > 10 + STEP_S:
            assert ccl == 0, f"no charge at {at_s:.2f} s"
            assert cvl < before[0], f"float at {at_s:.2f} s"
    assert max(at_s for at_s, _ in sent) > 28.5, "frames until 30 s"
    assert max(at_s for at_s, _ in sent) < 30.5, "silence after 30 s"
    assert max(frame["t"] for frame in stack.frames()) - silent_s < 30.5


def check_warnings(stack: Stack, silent_s: float) -> None:
    for frame in stack.frames(ALARMS, silent_s):
        at_s = frame["t"] - silent_s
        alarm = pair(frame["data"], INTERNAL_ALARM_AT)
        warning = pair(frame["data"], INTERNAL_WARNING_AT)
        if at_s < 9.5:
            assert (alarm, warning) == (OK, OK), f"at {at_s:.2f} s"
        if 10 + STEP_S < at_s < 19.5:
            assert (alarm, warning) == (OK, ACTIVE), f"at {at_s:.2f} s"
        if at_s > 20 + STEP_S:
            assert alarm == ACTIVE, f"at {at_s:.2f} s"


def check_data_state(stack: Stack, silent_s: float) -> None:
    states = [
        (at_s - silent_s, payload)
        for at_s, topic, payload in list(stack.mqtt.messages)
        if topic == "status/data" and at_s >= silent_s
    ]
    first = {state: min(at_s for at_s, seen in states if seen == state) for _, state in states}
    assert 9.5 < first[b"stale"] < 10 + STEP_S
    assert 29.5 < first[b"lost"] < 30 + STEP_S
