"""Back-off and outages: patience that grows, and one word at each end of an outage."""

import pytest

from tinybms_runtime.backoff import Backoff
from tinybms_runtime.outage import Outage


def test_delays_double_up_to_the_ceiling_and_begin_again_after_success() -> None:
    backoff = Backoff(1.0, 5.0, jitter=0.0)
    assert [backoff.next_delay_s() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    backoff.reset()
    assert backoff.next_delay_s() == 1.0


def test_jitter_only_shortens() -> None:
    assert Backoff(1.0, 60.0, jitter=0.2, uniform=lambda: 1.0).next_delay_s() == pytest.approx(0.8)
    assert Backoff(1.0, 60.0, jitter=0.2, uniform=lambda: 0.0).next_delay_s() == 1.0


def test_an_outage_is_news_once() -> None:
    outage = Outage()
    assert outage.begin(10.0, "no such device")
    assert not outage.begin(11.0, "no such device")
    assert outage.active
    summary = outage.end(40.0)
    assert summary is not None
    assert (summary.duration_s, summary.failures) == (30.0, 2)
    assert outage.end(41.0) is None


def test_another_reason_in_the_same_outage_is_news() -> None:
    outage = Outage()
    assert outage.begin(10.0, "no such device")
    assert outage.begin(12.0, "permission denied")
    summary = outage.end(20.0)
    assert summary is not None
    assert summary.duration_s == 10.0
