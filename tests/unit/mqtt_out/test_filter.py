"""When a topic speaks."""

import pytest

from tinybms_mqtt_out.filter import Cadence, TopicFilter
from tinybms_mqtt_out.model import Band, Value


def voltage() -> TopicFilter:
    band = Band(absolute=0.02)
    return TopicFilter(Cadence(band=band, max_silence_s=10.0, min_interval_s=0.2))


def critical(band: Band) -> TopicFilter:
    return TopicFilter(Cadence(band=band, max_silence_s=10.0, min_interval_s=0.2, critical=True))


def offer(topic: TopicFilter, value: Value, now_s: float) -> bool:
    due = topic.due(value, now_s)
    if due:
        topic.sent(value, now_s)
    return due


def test_the_first_value_goes_out_and_noise_stays_in() -> None:
    topic = voltage()
    assert offer(topic, 52.71, 0.0)
    assert [offer(topic, 52.71 + step, 1.0 + step) for step in (0.002, -0.002, 0.019)] == [
        False
    ] * 3


def test_a_step_of_exactly_the_band_goes_out() -> None:
    topic = voltage()
    offer(topic, 52.71, 0.0)
    assert offer(topic, 52.73, 1.0)


def test_a_slow_drift_is_told_against_the_value_that_was_sent() -> None:
    topic = voltage()
    sent = [offer(topic, 52.7 + 0.001 * cycle, 0.1 * cycle) for cycle in range(41)]
    assert sent.count(True) == 3


def test_a_constant_value_is_repeated_after_the_longest_silence() -> None:
    topic = voltage()
    sent = [offer(topic, 52.71, 0.1 * cycle) for cycle in range(301)]
    assert [cycle for cycle, due in enumerate(sent) if due] == [0, 100, 200, 300]


@pytest.mark.parametrize("jitter_s", [-0.02, 0.0, 0.02])
def test_the_rate_is_bounded_and_jitter_costs_none_of_it(jitter_s: float) -> None:
    topic = voltage()
    times_s = [1.0 + 0.1 * cycle + (jitter_s if cycle % 2 else 0.0) for cycle in range(100)]
    sent = [offer(topic, 100.0 * now_s, now_s) for now_s in times_s]
    assert sent.count(True) == 50


def test_the_rate_is_bounded_when_cycles_are_faster() -> None:
    topic = voltage()
    assert [offer(topic, float(cycle), 1 + 0.01 * cycle) for cycle in range(1000)].count(True) <= 51


def test_becoming_known_and_unknown_is_news_and_words_have_no_band() -> None:
    topic = voltage()
    values: list[Value] = [None, 0.0, None, "idle", "fault", "fault"]
    due = [offer(topic, value, second) for second, value in enumerate(values)]
    assert due == [True, True, True, True, True, False]


def test_a_forced_value_goes_out_once() -> None:
    topic = voltage()
    offer(topic, 52.71, 0.0)
    topic.force()
    assert offer(topic, 52.71, 0.1)
    assert not offer(topic, 52.71, 0.2)


@pytest.mark.parametrize(
    ("last", "value", "due"),
    [
        (5.0, 5.1, True),
        (5.0, 5.05, False),
        (100.0, 99.1, False),
        (100.0, 99.0, True),
        (0.0, 0.04, True),
        (0.04, 0.0, True),
    ],
)
def test_a_current_limit_speaks_at_a_tenth_or_a_percent_and_at_zero(
    last: float, value: float, due: bool
) -> None:
    topic = critical(Band(absolute=0.1, fraction=0.01))
    offer(topic, last, 0.0)
    assert topic.due(value, 0.05) is due


def test_a_critical_value_is_not_held_back_by_the_rate() -> None:
    topic = critical(Band())
    assert [offer(topic, level, 0.01 * level) for level in (0, 1, 2)] == [True] * 3
