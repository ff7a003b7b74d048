"""Logs of several processes as one, and the end of a file that grows and rotates."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tinybms_ctl.log_lines import merged, shown
from tinybms_ctl.log_tail import MOST_BYTES, LogTail


def line(second: int, message: str) -> str:
    return (
        f'{{"time":"2026-11-25T08:00:{second:02d}.000+00:00","level":"info",'
        f'"process":"broker","message":"{message}","port":1883}}'
    )


def test_a_line_is_shown_with_time_level_process_message_and_fields() -> None:
    assert shown("broker", line(1, "up")) == (
        "2026-11-25T08:00:01.000+00:00 info    broker      up port=1883"
    )


def test_a_foreign_line_stays_as_it_is() -> None:
    assert shown("supervisord", "12:00 INFO spawned") == "supervisord: 12:00 INFO spawned"
    assert shown("broker", '{"no": "time"}') == 'broker: {"no": "time"}'


def test_logs_are_merged_by_time_and_what_has_none_stays_behind_its_line() -> None:
    logs = {
        "a": [line(1, "a1"), "Traceback", line(4, "a4")],
        "b": [line(2, "b2"), line(3, "b3")],
    }
    rows = merged(logs, 10)
    assert [name for name, _ in rows] == ["a", "a", "b", "b", "a"]
    assert rows[1] == ("a", "Traceback")
    assert [name for name, _ in merged(logs, 2)] == ["b", "a"]


def test_the_last_lines_then_what_is_added(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    file.write_text("1\n2\n3\nhal")
    tail = LogTail(file)
    assert tail.last(2) == ["2", "3"]
    assert tail.new() == []
    with file.open("a") as log:
        log.write("f\n4\n")
    assert tail.new() == ["half", "4"]


def test_a_rotated_and_a_cut_file_are_read_from_their_start(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    file.write_text("1\n2\n")
    tail = LogTail(file)
    tail.last(1)
    file.rename(tmp_path / "x.log.1")
    assert tail.new() == []
    file.write_text("new\n")
    assert tail.new() == ["new"]
    file.write_text("c\n")
    assert tail.new() == ["c"]


def test_a_file_that_is_not_there_is_empty_until_it_comes(tmp_path: Path) -> None:
    tail = LogTail(tmp_path / "x.log")
    assert (tail.last(5), tail.new()) == ([], [])
    (tmp_path / "x.log").write_text("1\n")
    assert tail.new() == ["1"]


def test_of_a_large_file_only_its_end_is_read(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    file.write_text("".join(f"{number:07d}\n" for number in range(MOST_BYTES // 4)))
    lines = LogTail(file).last(10**9)
    assert len(lines) <= MOST_BYTES // 8
    assert all(len(one) == 7 for one in lines)
    assert lines[-1] == f"{MOST_BYTES // 4 - 1:07d}"


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n")), max_size=20))
def test_any_line_is_shown_in_one_line(lines: list[str]) -> None:
    for name, text in merged({"a": lines}, 100):
        assert "\n" not in shown(name, text)
