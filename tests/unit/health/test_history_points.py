"""Points of the history: means of what was seen, gaps where nothing was, bounded questions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_live import fake_alarms, fake_live, fake_sample
from fake_view import BOOT_ID, NOW_NS, header
from tinybms_charge.parameters import charge_parameters
from tinybms_config.model import Config
from tinybms_health.history_points import (
    COLUMNS,
    GRIDS,
    POINTS_AT_MOST,
    BadSpanError,
    Points,
    question,
)
from tinybms_health.live_report import LiveReport, LiveView, live_report
from tinybms_messages.latest import LatestLive

NOW_S = 1_795_600_000.0
NAMES = [column.name for column in COLUMNS]
PARAMETERS = charge_parameters(Config())


def report(seq: int, *, age_s: float = 0.1, level: int = 0, **sample: object) -> LiveReport:
    latest = LatestLive(kernel_boot_id=BOOT_ID)
    taken = fake_sample(seq=seq, boottime_ns=NOW_NS - round(age_s * 1e9), **sample)
    latest.offer(
        header("acquisition", seq=seq), fake_live(sample=taken, alarms=fake_alarms(low_soc=level))
    )
    return live_report(
        LiveView(
            device="pack1",
            parameters=PARAMETERS,
            latest=latest,
            boottime_ns=NOW_NS,
            wall_ns=round(NOW_S * 1e9),
            time_ok=True,
            alarms_since={},
        )
    )


def test_a_point_is_the_mean_of_its_second_and_the_extreme_of_the_cells() -> None:
    points = Points()
    cells = (3.2, 3.3)
    assert points.add(report(1, pack_current_a=-10.0, cell_voltages_v=cells), NOW_S) == []
    assert points.add(report(2, pack_current_a=0.0, cell_voltages_v=(3.1, 3.4)), NOW_S + 0.5) == []
    closed = points.add(report(3, level=2), NOW_S + 1.0)
    assert [(point.grid.step_s, point.time_s) for point in closed] == [(1, int(NOW_S))]
    values = dict(zip(NAMES, closed[0].values, strict=True))
    assert values["pack_current_a"] == -5.0
    assert (values["min_cell_voltage_v"], values["max_cell_voltage_v"]) == (3.1, 3.4)
    assert values["alarm_level"] == 0.0
    assert dict(zip(NAMES, points.close()[0].values, strict=True))["alarm_level"] == 2.0


def test_an_unknown_figure_stays_unknown_and_zero_stays_zero() -> None:
    points = Points()
    points.add(report(1, battery_temperature_c=None, pack_current_a=0.0), NOW_S)
    values = dict(zip(NAMES, points.close()[0].values, strict=True))
    assert values["battery_temperature_c"] is None
    assert values["pack_current_a"] == 0.0


def test_a_sample_counts_once_and_an_old_one_not_at_all() -> None:
    points = Points()
    points.add(report(1), NOW_S)
    assert points.add(report(1), NOW_S + 1) == []
    assert points.add(report(2, age_s=15.0), NOW_S + 2) == []
    assert points.add(report(3, age_s=60.0), NOW_S + 3) == []
    assert {point.time_s for point in points.close() if point.grid.step_s == 1} == {int(NOW_S)}


def test_a_clock_that_was_never_set_makes_no_points() -> None:
    points = Points()
    points.add(report(1), 86_400.0)
    assert points.close() == []


def test_each_grid_closes_its_own_interval() -> None:
    points = Points()
    closed = [
        point for second in range(121) for point in points.add(report(second + 1), NOW_S + second)
    ]
    counts = [sum(point.grid is grid for point in closed) for grid in GRIDS]
    assert counts == [120, 12, 2]


def test_without_parameters_the_last_hour_is_asked_for() -> None:
    asked = question({}, NOW_S)
    assert (asked.from_s, asked.to_s, asked.step_s) == (int(NOW_S) - 3600, int(NOW_S), 1)


@pytest.mark.parametrize(
    ("span_s", "grid_s"), [(3600, 1), (3700, 10), (43_200, 10), (86_400, 60), (2_592_000, 60)]
)
def test_the_finest_grid_that_reaches_back_answers(span_s: int, grid_s: int) -> None:
    asked = question({"from": str(int(NOW_S) - span_s)}, NOW_S)
    assert asked.grid.step_s == grid_s
    assert asked.step_s % grid_s == 0
    assert span_s / asked.step_s <= POINTS_AT_MOST


def test_a_short_span_of_long_ago_comes_from_the_coarse_grid() -> None:
    asked = question({"from": "2026-11-01T00:00:00Z", "to": "2026-11-01T01:00:00+00:00"}, NOW_S)
    assert (asked.grid.step_s, asked.step_s, asked.to_s - asked.from_s) == (60, 60, 3600)


def test_ten_years_are_joined_to_few_points() -> None:
    asked = question({"from": "2016-11-01", "to": "2026-11-01"}, NOW_S)
    assert (asked.to_s - asked.from_s) / asked.step_s <= POINTS_AT_MOST


@pytest.mark.parametrize(
    "text",
    [
        {"from": "yesterday"},
        {"from": ""},
        {"to": "-5"},
        {"from": "2026-11-02", "to": "2026-11-01"},
        {"from": "99999999999"},
        {"step": "0"},
        {"step": "1.5"},
        {"step": "x" * 1000},
        {"from": "2016-11-01", "step": "1"},
    ],
)
def test_what_makes_no_sense_is_refused_in_words(text: dict[str, str]) -> None:
    with pytest.raises(BadSpanError, match=r"must|at most") as caught:
        question(text, NOW_S)
    assert len(str(caught.value)) < 200


@given(
    st.dictionaries(
        st.sampled_from(["from", "to", "step"]),
        st.one_of(
            st.text(max_size=20),
            st.integers(0, 2**33).map(str),
            st.datetimes().map(lambda moment: moment.isoformat()),
        ),
    )
)
def test_every_question_is_bounded_or_refused(text: dict[str, str]) -> None:
    try:
        asked = question(text, NOW_S)
    except BadSpanError:
        return
    assert 0 < (asked.to_s - asked.from_s) / asked.step_s <= POINTS_AT_MOST
