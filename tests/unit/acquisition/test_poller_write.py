"""A write between the polls: once, soon or not at all, and with a rest behind it."""

from __future__ import annotations

import pytest

from fake_bms_frames import (
    live_words,
    log_words,
    nack,
    read_reply,
    settings_reply,
    settings_words,
    version_words,
)
from tinybms_acquisition.poller import Poller, Written
from tinybms_acquisition.socsync import SET_FULL
from tinybms_protocol.crc import with_crc
from tinybms_protocol.poll_plan import BLOCKS, BlockName

ACK = with_crc(bytes.fromhex("AA1001480001"))
ANSWER_S = 0.012
WORDS = {
    BlockName.VERSION: version_words(),
    BlockName.SETTINGS: settings_words(),
    BlockName.LIVE: live_words(),
    BlockName.EVENTS: log_words(),
    BlockName.STATISTICS: (0,) * 18,
    BlockName.LIMITS_MIN: (0,) * 44,
    BlockName.LIMITS_MAX: (0,) * 43,
}
BLOCK_OF = {block.request.encode(): name for name, block in BLOCKS.items()}


class Run:
    """A poller and a BMS that answers a write with `write_reply`."""

    def __init__(self, write_reply: bytes = ACK) -> None:
        self.poller = Poller(0.1)
        self.write_reply = write_reply
        self.silent = False
        self.now_s = 100.0
        self.sent: list[tuple[float, bytes]] = []
        self.steps = 0
        self.poller.connect(self.now_s)
        self.until(102.0)

    def until(self, end_s: float) -> None:
        while (due_s := max(self.now_s, self.poller.due_s(self.now_s))) < end_s:
            self.steps += 1
            assert self.steps < 20_000, "busy"
            self.now_s = due_s
            turn = self.poller.step(due_s)
            if turn.output:
                self.sent.append((due_s, turn.output))
                reply = self._reply(turn.output)
                if reply:
                    self.now_s = due_s + ANSWER_S
                    self.poller.receive(reply, self.now_s)
        self.now_s = end_s

    def _reply(self, request: bytes) -> bytes:
        if self.silent:
            return b""
        name = BLOCK_OF.get(request)
        if name is None:
            return self.write_reply
        words = WORDS[name]
        return settings_reply(words) if request[1] == 0x1D else read_reply(words)

    def writes_s(self) -> list[float]:
        return [at_s for at_s, frame in self.sent if frame[1] == 0x10]


def test_the_frame_sets_register_328_to_50000() -> None:
    assert SET_FULL.encode()[:-2] == bytes.fromhex("AA100148000102C350")


def test_a_write_goes_out_at_once_and_the_line_rests_after_it() -> None:
    run = Run()
    run.poller.write(SET_FULL, run.now_s)
    run.until(106.0)
    (at_s,) = run.writes_s()
    assert at_s - 102.0 < 0.05
    next_s = min(sent_s for sent_s, _ in run.sent if sent_s > at_s)
    assert 0.5 <= next_s - (at_s + ANSWER_S) < 0.51
    assert run.poller.take_written() is Written.DONE
    assert run.poller.take_written() is None
    live = [sent_s for sent_s, frame in run.sent if BLOCK_OF.get(frame) is BlockName.LIVE]
    assert sum(sent_s > next_s for sent_s in live) > 25, "polling goes on as before"


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (b"", Written.UNKNOWN),
        (ACK[:-1] + b"\0", Written.UNKNOWN),
        (nack(0x10, 0), Written.REFUSED),
        (nack(0x10, 1), Written.REFUSED),
        (nack(0x10, 9), Written.REFUSED),
    ],
)
def test_a_write_is_never_repeated(reply: bytes, outcome: Written) -> None:
    run = Run(reply)
    run.poller.write(SET_FULL, run.now_s)
    run.until(120.0)
    assert len(run.writes_s()) == 1
    assert run.poller.take_written() is outcome


def test_a_bms_that_has_fallen_silent_gets_no_write() -> None:
    run = Run()
    run.silent = True
    run.until(108.0)
    run.poller.write(SET_FULL, run.now_s)
    run.until(112.0)
    assert run.writes_s() == []
    assert run.poller.take_written() is Written.NOT_SENT


def test_a_port_that_closes_tells_what_is_known_of_the_write() -> None:
    run = Run()
    run.poller.write(SET_FULL, run.now_s)
    run.poller.connect(run.now_s)
    assert run.poller.take_written() is Written.NOT_SENT
    run = Run(b"")
    run.poller.write(SET_FULL, run.now_s)
    run.until(102.3)
    assert len(run.writes_s()) == 1
    run.poller.connect(run.now_s)
    run.until(110.0)
    assert run.poller.take_written() is Written.UNKNOWN
    assert len(run.writes_s()) == 1


def test_one_write_at_a_time() -> None:
    run = Run()
    run.poller.write(SET_FULL, run.now_s)
    with pytest.raises(RuntimeError, match="not over"):
        run.poller.write(SET_FULL, run.now_s)
