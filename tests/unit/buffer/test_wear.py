"""Bytes written in a day: measured, never scaled up from the first minutes."""

from pathlib import Path

import pytest

from tinybms_buffer.wear import Wear, written_bytes

DAY_S = 86_400


def test_nothing_is_said_in_the_first_hour() -> None:
    wear = Wear()
    wear.note(0.0, 1000)
    assert wear.bytes_per_day(3599.0, 5000) is None


def test_a_constant_rate_is_found() -> None:
    wear = Wear()
    for second in range(0, 2 * DAY_S, 60):
        wear.note(float(second), 100 * second)
    assert wear.bytes_per_day(2.0 * DAY_S, 200 * DAY_S) == pytest.approx(100 * DAY_S, rel=0.01)


def test_what_is_older_than_a_day_counts_no_more() -> None:
    wear = Wear()
    wear.note(0.0, 0)
    wear.note(60.0, 10**9)
    for second in range(600, 3 * DAY_S, 600):
        wear.note(float(second), 10**9)
    assert wear.bytes_per_day(3.0 * DAY_S, 10**9) == 0


def test_an_idle_day_costs_nothing() -> None:
    wear = Wear()
    wear.note(0.0, 77)
    assert wear.bytes_per_day(float(DAY_S), 77) == 0


def test_the_kernel_counts_what_this_process_writes() -> None:
    assert written_bytes() is not None


@pytest.mark.parametrize("content", [None, b"", b"rchar: 1\n", b"write_bytes: many\n"])
def test_without_the_kernel_nothing_is_said(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "io"
    if content is not None:
        file.write_bytes(content)
    assert written_bytes(file) is None
