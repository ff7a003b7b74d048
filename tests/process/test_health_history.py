"""The history on a real disk: rings, questions, restarts, damage, power cuts and full disks."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest

from harness_health import HealthBench, fetch
from harness_sim import wait_until
from tinybms_health.event_log import NumberedEvent
from tinybms_health.history_points import COLUMNS, GRIDS, Point, question
from tinybms_health.history_store import EVENTS_KEPT, MAX_BYTES, HistoryStore, StoreError

NOW_S = 1_795_600_000
VALUES = tuple(52.71234 + index for index in range(len(COLUMNS)))


def point(second: int, grid: int = 0, voltage_v: float | None = 52.7) -> Point:
    return Point(grid=GRIDS[grid], time_s=NOW_S + second, values=(voltage_v, *VALUES[1:]))


def event(number: int) -> NumberedEvent:
    return NumberedEvent(
        id=number, time="t", source="health", code="x", severity="info", text="y" * 5000
    )


def test_full_rings_stay_within_the_bound_and_answer_ten_years(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path / "history.sqlite")
    for index, grid in enumerate(GRIDS):
        for start in range(0, grid.slots + 500, 2000):
            batch = [
                point((start + number) * grid.step_s, index)
                for number in range(min(2000, grid.slots + 500 - start))
            ]
            store.write(batch, [])
    store.write([], [event(number) for number in range(EVENTS_KEPT + 500)])
    assert store.size_bytes < MAX_BYTES
    last_s = NOW_S + (GRIDS[2].slots + 500) * 60
    asked = question({"from": "2020-01-01", "to": str(last_s)}, last_s)
    begun = time.monotonic()
    rows = store.points(asked)
    assert time.monotonic() - begun < 2
    assert 5 < len(rows) <= 5000
    assert [each.id for each in store.events()] == list(range(500, EVENTS_KEPT + 500))
    hour = store.points(question({"from": str(last_s - 3600), "step": "60"}, last_s))
    assert len(hour) == 60
    store.close()


def test_a_question_joins_points_by_their_rule(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path / "history.sqlite")
    store.write([point(0, voltage_v=50.0), point(1, voltage_v=51.0), point(2, voltage_v=None)], [])
    asked = question({"from": str(NOW_S), "to": str(NOW_S + 10), "step": "5"}, NOW_S + 10)
    assert [(row[0], row[1][0]) for row in store.points(asked)] == [(NOW_S, 50.5)]
    store.close()


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\7" * 9000]
)
def test_a_damaged_file_is_moved_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes(content)
    store = HistoryStore(path)
    assert "damaged" in store.set_aside
    store.write([point(0)], [])
    store.close()
    assert path.with_name("history.sqlite.damaged").read_bytes() == content


def test_copies_taken_at_any_moment_open_or_are_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    store = HistoryStore(path)
    dice = random.Random(7)
    for number in range(40):
        store.write([point(second) for second in range(number * 50, number * 50 + 50)], [])
        copy = tmp_path / f"copy{number}"
        copy.mkdir()
        for suffix in ("", "-wal"):
            source = path.with_name(path.name + suffix)
            if source.exists():
                target = copy / source.name
                shutil.copy(source, target)
                if suffix == "-wal" and number % 2:
                    with target.open("r+b") as cut:
                        cut.truncate(dice.randrange(target.stat().st_size + 1))
        opened = HistoryStore(copy / path.name)
        opened.write([point(1)], [])
        opened.close()
    store.close()


def test_a_folder_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        HistoryStore(tmp_path / "none" / "history.sqlite")


def test_the_last_minutes_are_there_after_a_restart_and_events_too(run_dir: Path) -> None:
    with HealthBench(run_dir) as bench:
        assert bench.json("/api/history")["rows"] == []
        bench.publish_until_shown({"pack_voltage_v": 52.25})
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            bench.publish({"pack_voltage_v": 52.25})
            bench.acquisition.wait_for(lambda: False, 0.1)
        said = bench.json("/api/events")["events"]
        assert bench.gateway.stop("health") == 0
        bench.gateway.start("health")
        wait_until(lambda: bench.json("/api/history")["rows"] if ready(bench) else [], 10, "rows")
        report = bench.json("/api/history")
        voltage = report["columns"].index("pack_voltage_v")
        rows = report["rows"]
        assert {row[voltage] for row in rows} == {52.25}
        assert 2 <= len(rows) <= 8
        assert all(abs(row[0] - time.time()) < 60 for row in rows)
        assert report["stored_bytes"] > 0
        again = bench.json("/api/events")["events"]
        assert again[: len(said)] == said


def ready(bench: HealthBench) -> bool:
    try:
        return fetch(bench.port, "/healthz")[0] == 200
    except OSError:
        return False


def test_a_folder_that_cannot_be_written_costs_the_history_alone(run_dir: Path) -> None:
    (run_dir / "state").mkdir()
    (run_dir / "state" / "pack1-history.sqlite").mkdir()
    with HealthBench(run_dir) as bench:
        bench.publish_until_shown({"soc_pct": 50.0})
        status, text, _ = fetch(bench.port, "/api/history")
        assert (status, b"unable to open" in text) == (503, True)
        assert b'"history_off"' in fetch(bench.port, "/api/events")[1]


def test_history_can_be_switched_off(run_dir: Path) -> None:
    with HealthBench(run_dir, {"health": {"history": False}}) as bench:
        assert fetch(bench.port, "/api/history")[0] == 503
        assert not list((run_dir / "state").glob("*history*"))
