"""An MQTT broker that takes connections and never answers changes nothing for battery and GX.

Other gateways stood still as a whole when their queue for such a broker was full.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from harness_gateway import BusProbe
from harness_stack import Stack, now_s
from tinybms_messages.topics import LIVE_DATA

HEALTHY_S = 15.0
MUTE_S = 75.0
"""Long enough for the stalled connection, its end, and several that are never answered."""
LIMITS = 0x351
TWO_PERIODS_S = 2.0
LONGEST_GAP_S = 1.0
"""Ten polls; what is judged by rate and median may vary much less."""


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_broker_that_never_answers_slows_neither_polling_nor_frames(run_dir: Path) -> None:
    with Stack(run_dir) as stack:
        stack.wait_until_well()
        pids = stack.pids()
        healthy = polls(stack, HEALTHY_S)
        stack.broker.freeze()
        mute_s = now_s()
        mute = polls(stack, MUTE_S)
        assert longest(mute) < LONGEST_GAP_S
        assert len(mute) / MUTE_S > 0.95 * len(healthy) / HEALTHY_S
        assert median_gap_s(mute) < 1.2 * median_gap_s(healthy)
        assert stack.longest_gap_s(LIMITS, mute_s) < TWO_PERIODS_S
        document = stack.status()
        assert document is not None
        assert "does not answer" in str(document["mqtt"]), document["mqtt"]
        assert stack.pids() == pids
        stack.broker.thaw()
        stack.wait_until_well(90)


def polls(stack: Stack, seconds: float) -> list[float]:
    """CLOCK_BOOTTIME in s of each sample that came within a time."""
    with BusProbe(stack.paths) as probe:
        probe.listen(LIVE_DATA)
        probe.wait_for(lambda: False, seconds)
        samples = [body.sample for body in probe.bodies(LIVE_DATA)]
    return sorted({sample.boottime_ns / 1e9 for sample in samples if sample is not None})


def longest(times_s: list[float]) -> float:
    return max(later - earlier for earlier, later in pairwise(times_s))


def median_gap_s(times_s: list[float]) -> float:
    gaps = sorted(later - earlier for earlier, later in pairwise(times_s))
    return gaps[len(gaps) // 2]
