"""Restarts are counted by changes of pids, over restarts of health itself too."""

from __future__ import annotations

import pytest

from tinybms_health.restarts import Restarts, packed, unpacked

SUPERVISORD = 50


def test_the_first_look_counts_nothing() -> None:
    restarts = Restarts()
    assert restarts.note(SUPERVISORD, {"broker": 1, "health": 2}) == []
    assert restarts.counts == {"broker": 0, "health": 0}


def test_a_new_pid_is_a_restart_also_with_a_pause_between() -> None:
    restarts = Restarts()
    restarts.note(SUPERVISORD, {"broker": 1})
    assert restarts.note(SUPERVISORD, {"broker": 0}) == []
    assert restarts.note(SUPERVISORD, {"broker": 3}) == ["broker"]
    assert restarts.note(SUPERVISORD, {"broker": 3}) == []
    assert restarts.counts == {"broker": 1}


def test_it_goes_on_after_a_restart_of_health() -> None:
    before = Restarts()
    before.note(SUPERVISORD, {"broker": 1, "health": 2})
    before.note(SUPERVISORD, {"broker": 5, "health": 2})
    after = unpacked(packed(before))
    assert after.note(SUPERVISORD, {"broker": 5, "health": 7}) == ["health"]
    assert after.counts == {"broker": 1, "health": 1}


def test_a_new_supervisord_starts_at_zero() -> None:
    restarts = Restarts()
    restarts.note(SUPERVISORD, {"broker": 1})
    restarts.note(SUPERVISORD, {"broker": 2})
    assert restarts.note(SUPERVISORD + 1, {"broker": 3}) == []
    assert restarts.counts == {"broker": 0}


@pytest.mark.parametrize("data", [None, b"", b"{", b'{"pids": 3}', b"\x00\xff"])
def test_a_missing_or_damaged_file_is_a_fresh_start(data: bytes | None) -> None:
    assert unpacked(data).counts == {}
