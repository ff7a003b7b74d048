"""The system clock: ages do not follow the wall clock, and a wrong wall clock is known as one."""

from unittest.mock import patch

from tinybms_runtime.clock import EARLIEST_WALL_NS, SystemClock


def test_boot_time_only_rises() -> None:
    clock = SystemClock()
    assert clock.boottime_ns() <= clock.boottime_ns()
    assert len(clock.kernel_boot_id) == 36


def test_a_clock_before_this_release_is_wrong_even_when_trusted() -> None:
    clock = SystemClock(trust_clock=True)
    assert clock.time_ok()
    with patch.object(SystemClock, "wall_ns", return_value=EARLIEST_WALL_NS - 1):
        assert not clock.time_ok()
