"""Turns of the poller against a battery that answers at once, in the test's own time."""

from collections.abc import Callable
from itertools import pairwise

from fake_bms_frames import (
    live_words,
    log_words,
    read_reply,
    settings_reply,
    settings_words,
    version_words,
)
from tinybms_acquisition.poller import BlockRead, Poller, Turn
from tinybms_protocol.errors import LineErrorKind
from tinybms_protocol.poll_plan import BLOCKS, BlockName

ANSWER_S = 0.012


class ScriptedBms:
    """Answers each block with the words it is given; None is silence."""

    def __init__(self) -> None:
        self.words: dict[BlockName, tuple[int, ...] | None] = {
            BlockName.VERSION: version_words(),
            BlockName.SETTINGS: settings_words(),
            BlockName.LIVE: live_words(),
            BlockName.EVENTS: log_words(),
            BlockName.STATISTICS: (0,) * 18,
            BlockName.LIMITS_MIN: (0,) * 44,
            BlockName.LIMITS_MAX: (0,) * 43,
        }
        self.asked: list[tuple[float, BlockName]] = []
        self.answer_s = ANSWER_S

    def answer(self, request: bytes, now_s: float) -> bytes:
        name = next(n for n, b in BLOCKS.items() if b.request.encode() == request)
        self.asked.append((now_s, name))
        words = self.words.get(name)
        if words is None:
            return b""
        return settings_reply(words) if request[1] == 0x1D else read_reply(words)

    def times_s(self, name: BlockName) -> list[float]:
        return [at_s for at_s, asked in self.asked if asked is name]


class Run:
    """A poller and its battery, joined by a line without delay but that of the answer."""

    def __init__(self, interval_s: float = 0.1) -> None:
        self.bms = ScriptedBms()
        self.poller = Poller(interval_s)
        self.now_s = 100.0
        self.blocks: list[BlockRead] = []
        self.turns: list[Turn] = []
        self.poller.connect(self.now_s)

    def until(self, end_s: float) -> None:
        while (due_s := max(self.now_s, self.poller.due_s(self.now_s))) < end_s:
            self.now_s = due_s
            turn = self.poller.step(due_s)
            self._keep(turn)
            if turn.output and (reply := self.bms.answer(turn.output, due_s)):
                self.now_s = due_s + self.bms.answer_s
                self._keep(self.poller.receive(reply, self.now_s))
        self.now_s = end_s

    def until_done(self, done: Callable[[], bool], limit_s: float = 10.0) -> None:
        end_s = self.now_s + limit_s
        while not done():
            assert self.now_s < end_s
            self.until(self.now_s + 0.01)

    def names(self) -> list[BlockName]:
        return [block.name for block in self.blocks]

    def _keep(self, turn: Turn) -> None:
        self.turns.append(turn)
        self.blocks += turn.blocks


def test_version_and_settings_come_before_live_data() -> None:
    run = Run()
    run.until(101.0)
    assert run.names()[:3] == [BlockName.VERSION, BlockName.SETTINGS, BlockName.LIVE]
    assert {BlockName.EVENTS, BlockName.STATISTICS} <= set(run.names())


def test_the_live_block_keeps_its_pace_and_nothing_overlaps() -> None:
    run = Run()
    run.until(110.0)
    times_s = run.bms.times_s(BlockName.LIVE)
    first_s = times_s[0]
    assert [round((at_s - first_s) * 10) for at_s in times_s] == list(range(len(times_s)))
    assert len(times_s) >= 99
    assert run.poller.overruns == 0


def test_a_status_that_turns_to_fault_brings_the_log_in_front_of_its_live_block() -> None:
    run = Run()
    run.until(102.0)
    run.blocks.clear()
    run.bms.words[BlockName.LIVE] = live_words(status=0x9B)
    run.bms.words[BlockName.EVENTS] = log_words((0x03, 999_990))
    run.until_done(lambda: BlockName.LIVE in run.names(), 1.0)
    assert run.names()[:2] == [BlockName.EVENTS, BlockName.LIVE]
    assert run.blocks[1].taken_s < run.blocks[0].taken_s


def test_a_log_that_does_not_come_delays_the_fault_by_half_a_second_at_most() -> None:
    run = Run()
    run.until(102.0)
    run.blocks.clear()
    run.bms.words[BlockName.LIVE] = live_words(status=0x9B)
    run.bms.words[BlockName.EVENTS] = None
    run.until_done(lambda: BlockName.LIVE in run.names(), 1.0)
    assert BlockName.EVENTS not in run.names()
    assert run.now_s - run.blocks[-1].taken_s < 0.55
    assert len(run.bms.times_s(BlockName.EVENTS)) >= 3


def test_while_in_fault_the_log_is_read_again_and_again() -> None:
    run = Run()
    run.bms.words[BlockName.LIVE] = live_words(status=0x9B)
    run.until(106.0)
    assert len(run.bms.times_s(BlockName.EVENTS)) >= 5


def test_a_silent_line_is_probed_at_least_every_two_seconds() -> None:
    run = Run()
    run.until(102.0)
    run.bms.words.clear()
    run.bms.asked.clear()
    run.until(160.0)
    times_s = [at_s for at_s, _ in run.bms.asked]
    assert max(b - a for a, b in pairwise(times_s)) <= 2.0
    assert any(turn.lost for turn in run.turns)


def test_after_a_silence_the_battery_must_say_again_who_it_is() -> None:
    run = Run()
    run.until(102.0)
    words = dict(run.bms.words)
    run.bms.words.clear()
    run.until(110.0)
    run.blocks.clear()
    run.bms.words.update(words)
    run.until(112.0)
    assert run.names()[:3] == [BlockName.VERSION, BlockName.SETTINGS, BlockName.LIVE]


def test_a_block_that_no_battery_can_send_is_dropped_whole_and_counted() -> None:
    run = Run()
    run.bms.words[BlockName.LIVE] = live_words(words={3: 65_000})
    run.until(101.0)
    assert BlockName.LIVE not in run.names()
    assert run.poller.line.errors[LineErrorKind.PLAUSIBILITY] >= 5


def test_an_answer_longer_than_the_period_is_an_overrun_and_never_overlaps() -> None:
    run = Run()
    run.bms.answer_s = 0.15
    run.until(110.0)
    times_s = run.bms.times_s(BlockName.LIVE)
    assert run.poller.overruns >= 30
    assert all(b - a >= 0.15 for a, b in pairwise(times_s))


def test_a_block_that_the_bms_does_not_answer_costs_no_more_than_its_own_turn() -> None:
    run = Run()
    run.bms.words[BlockName.LIMITS_MIN] = None
    run.until(110.0)
    times_s = run.bms.times_s(BlockName.LIVE)
    assert max(b - a for a, b in pairwise(times_s)) < 0.4
    assert not any(turn.lost for turn in run.turns)


def test_a_repeated_request_is_as_old_as_its_first_copy() -> None:
    run = Run()
    now_s = run.now_s
    turn = Turn()
    while not turn.output:
        now_s = max(now_s, run.poller.due_s(now_s))
        turn = run.poller.step(now_s)
    asked_s = now_s
    now_s = run.poller.due_s(now_s)
    assert run.poller.step(now_s).output
    name = next(n for n, b in BLOCKS.items() if b.request.encode() == turn.output)
    words = run.bms.words[name]
    assert words is not None
    turn = run.poller.receive(read_reply(words), now_s + 0.01)
    assert turn.blocks[0].taken_s == asked_s


def test_quiet_mode_looks_once_a_minute_and_ends_at_once() -> None:
    run = Run()
    run.until(103.0)
    run.poller.quiet = True
    run.bms.asked.clear()
    run.until(403.0)
    assert len(run.bms.times_s(BlockName.LIVE)) in {5, 6}
    assert len(run.bms.asked) <= 12
    run.bms.asked.clear()
    run.poller.quiet = False
    run.poller.look_now(run.now_s)
    run.until(404.0)
    assert run.bms.asked[0][0] <= 403.01
    assert len(run.bms.times_s(BlockName.LIVE)) >= 9


def test_a_sleeping_bms_in_quiet_mode_is_not_hammered() -> None:
    run = Run()
    run.until(103.0)
    run.poller.quiet = True
    run.bms.words.clear()
    run.bms.asked.clear()
    run.until(403.0)
    assert len(run.bms.asked) <= 6 * 4
