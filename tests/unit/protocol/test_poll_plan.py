from __future__ import annotations

from itertools import pairwise

import pytest

from tinybms_protocol.commands import Command, Query, ReadBlock, ReadPackets, WriteBlock
from tinybms_protocol.poll_plan import BLOCKS, BlockName, PollPlan
from tinybms_protocol.timing import (
    READ_TIMEOUT_S,
    WAKE_WAITS_S,
    reply_length,
    reply_timeout_s,
    wire_time_s,
)

LIVE, VERSION, SETTINGS = BlockName.LIVE, BlockName.VERSION, BlockName.SETTINGS
EVENTS, STATISTICS = BlockName.EVENTS, BlockName.STATISTICS
LIMITS = [BlockName.LIMITS_MIN, BlockName.LIMITS_MAX]


class Line:
    """Plays the caller: polls when due, each poll takes `poll_s`."""

    def __init__(self, interval_s: float = 0.1, poll_s: float = 0.02) -> None:
        self.plan = PollPlan(interval_s)
        self.now_s = 1000.0
        self.poll_s = poll_s
        self.starts: list[tuple[BlockName, float]] = []

    def poll(self, *, fails: frozenset[BlockName] = frozenset()) -> BlockName:
        planned = self.plan.next_poll(self.now_s)
        name = planned.block.name
        self.now_s = max(self.now_s, planned.due_s)
        self.starts.append((name, self.now_s))
        self.plan.report(name, self.now_s, success=name not in fails)
        self.now_s += self.poll_s
        return name

    def polls(self, count: int, **kwargs: frozenset[BlockName]) -> list[BlockName]:
        return [self.poll(**kwargs) for _ in range(count)]

    def run(self, duration_s: float, **kwargs: frozenset[BlockName]) -> list[BlockName]:
        end_s = self.now_s + duration_s
        names = []
        while self.now_s < end_s:
            names.append(self.poll(**kwargs))
        return names

    def settled(self) -> Line:
        self.run(5)
        self.starts.clear()
        return self


def test_blocks_of_one_command_all_have_different_lengths() -> None:
    seen = {(block.request.command, block.count) for block in BLOCKS.values()}
    assert len(seen) == len(BLOCKS) == len(BlockName)
    assert {name: (b.address, b.count) for name, b in BLOCKS.items()} == {
        LIVE: (0, 56),
        VERSION: (500, 10),
        SETTINGS: (300, 44),
        BlockName.LIMITS_MIN: (300, 44),
        BlockName.LIMITS_MAX: (300, 43),
        EVENTS: (200, 98),
        STATISTICS: (100, 18),
    }
    for block in BLOCKS.values():
        assert block.request.reply.max_size == 2 * block.count


def test_a_connection_starts_with_version_and_settings_then_reads_everything_once() -> None:
    line = Line()
    assert line.polls(3) == [VERSION, SETTINGS, LIVE]
    rest = line.run(5)
    slow = [name for name in rest if name is not LIVE]
    assert slow == [EVENTS, *LIMITS, STATISTICS]


def test_live_polls_keep_their_pace_whatever_goes_on_in_between() -> None:
    line = Line()
    line.run(100)
    live_s = [at_s for name, at_s in line.starts if name is LIVE]
    steps = [b - a for a, b in pairwise(live_s)]
    assert max(steps) == pytest.approx(0.1)
    assert min(steps) == pytest.approx(0.1)


def test_never_two_slow_blocks_between_live_polls() -> None:
    line = Line().settled()
    for name in BlockName:
        line.plan.want(name)
    names = line.polls(10)
    assert not [pair for pair in pairwise(names) if LIVE not in pair]


def test_slow_blocks_come_even_when_polls_take_longer_than_the_interval() -> None:
    line = Line(interval_s=0.01, poll_s=0.02)
    assert {*line.run(5)} == {*BlockName}


def test_periods_of_the_slow_blocks() -> None:
    line = Line(interval_s=0.5).settled()
    names = line.run(1200)
    assert names.count(EVENTS) == pytest.approx(20, abs=1)
    assert names.count(STATISTICS) == pytest.approx(20, abs=1)
    assert names.count(SETTINGS) == 2
    assert VERSION not in names
    assert not {*LIMITS} & {*names}


def test_a_status_change_reads_the_events_next() -> None:
    line = Line().settled()
    assert line.poll() is LIVE
    line.plan.want(STATISTICS)
    line.plan.status_seen(changed=True, in_fault=True)
    assert line.poll() is EVENTS


def test_events_are_read_each_second_during_a_fault_and_not_after_it() -> None:
    line = Line().settled()
    line.plan.status_seen(changed=True, in_fault=True)
    assert line.run(10).count(EVENTS) == pytest.approx(10, abs=1)
    line.plan.status_seen(changed=True, in_fault=False)
    assert line.run(10).count(EVENTS) == 1


def test_a_write_reads_settings_and_limits_again() -> None:
    line = Line().settled()
    line.plan.settings_written()
    slow = [name for name in line.run(2) if name is not LIVE]
    assert slow == [SETTINGS, *LIMITS]


def test_a_silent_line_is_probed_with_the_live_block_alone() -> None:
    line = Line().settled()
    while line.poll(fails=frozenset(BlockName)) is not LIVE:
        pass
    line.plan.want(STATISTICS)
    assert {*line.run(5, fails=frozenset(BlockName))} == {LIVE}
    assert STATISTICS in line.run(1)


def test_a_silent_start_goes_on_to_live_polls() -> None:
    line = Line()
    assert line.polls(4, fails=frozenset(BlockName)) == [VERSION, SETTINGS, LIVE, LIVE]
    assert {*line.run(5)} == {*BlockName}


def test_a_block_that_fails_is_tried_once_a_second_and_others_go_on() -> None:
    line = Line()
    names = line.run(10, fails=frozenset({SETTINGS}))
    assert names.count(SETTINGS) == pytest.approx(10, abs=1)
    assert STATISTICS in names


def test_a_late_caller_gets_no_burst() -> None:
    line = Line().settled()
    line.now_s += 30
    line.run(1)
    live = [at_s for name, at_s in line.starts if name is LIVE]
    assert len(live) <= 11
    assert min(b - a for a, b in pairwise(live)) > 0.09


def test_a_new_connection_starts_over() -> None:
    line = Line().settled()
    line.plan.restart()
    assert line.polls(3) == [VERSION, SETTINGS, LIVE]


def test_125_registers_take_22_8_ms_on_the_wire() -> None:
    assert wire_time_s(5 + 250 + 8) == pytest.approx(0.0228, abs=0.0001)


@pytest.mark.parametrize(
    ("request_", "length"),
    [
        (ReadBlock(0, 56), 117),
        (ReadPackets(0, 57, allow_reserved=True), 124),
        (WriteBlock(300, (4000,)), 8),
    ],
)
def test_lengths_of_answers(request_: ReadBlock, length: int) -> None:
    assert reply_length(request_) == length


def test_reads_wait_150_ms_and_writes_a_second_on_top_of_the_wire() -> None:
    assert reply_timeout_s(ReadBlock(0, 56)) == pytest.approx(READ_TIMEOUT_S + 125 / 11520)
    assert reply_timeout_s(WriteBlock(300, (4000,))) > 1.0
    assert reply_timeout_s(Query(Command.ONLINE_STATUS)) < 0.16
    assert sum(WAKE_WAITS_S) > 1.0
