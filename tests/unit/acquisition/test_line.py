"""One request at a time: when it is sent, repeated, given up, and what is never done."""

from itertools import pairwise

import pytest

from fake_bms_frames import live_words, nack, read_reply
from tinybms_acquisition.line import UNASKED, Exchange, LineMachine
from tinybms_protocol.commands import (
    Option,
    OptionCode,
    ReadBlock,
    ReadPackets,
    Request,
    WriteBlock,
)
from tinybms_protocol.errors import LineErrorKind

LIVE = ReadBlock(0, 56)
REPLY = read_reply(live_words())


def asked(machine: LineMachine, now_s: float = 10.0) -> float:
    """Ask for the live block and send it; the time after that."""
    machine.ask(LIVE, now_s)
    output, ended = machine.advance(now_s)
    assert (output, ended) == (LIVE.encode(), None)
    return now_s


def until_end(machine: LineMachine) -> tuple[list[tuple[float, bytes]], Exchange]:
    """Let time pass with a silent line; what was sent when, and the end."""
    sent = []
    while True:
        due_s = machine.due_s
        assert due_s is not None
        output, ended = machine.advance(due_s)
        if output:
            sent.append((due_s, output))
        if ended is not None:
            return sent, ended


def test_an_answer_ends_the_exchange_with_its_words() -> None:
    machine = LineMachine()
    now_s = asked(machine)
    assert machine.receive(REPLY[:40], now_s + 0.005) is None
    ended = machine.receive(REPLY[40:], now_s + 0.012)
    assert ended is not None
    assert ended.reply is not None
    assert ended.reply.words == live_words()
    assert (ended.asked_s, ended.ended_s, ended.repeated) == (10.0, 10.012, False)
    assert machine.idle
    assert not machine.errors


def test_an_answer_is_not_worth_a_look_before_it_can_be_whole() -> None:
    machine = LineMachine()
    asked_s = asked(machine)
    wire_s = 10 * (len(LIVE.encode()) + len(REPLY)) / 115200
    assert machine.whole_from_s == pytest.approx(asked_s + wire_s)


@pytest.mark.parametrize(
    ("request_", "reply_bytes"),
    [
        (LIVE, 117),
        (ReadBlock(300, 44), 93),
        (ReadPackets(0, 56), 1),
        (WriteBlock(300, (42000,)), 8),
        (Option(OptionCode.CLEAR_EVENTS), 1),
    ],
)
def test_the_length_of_an_answer_is_known_where_its_shape_fixes_it(
    request_: Request, reply_bytes: int
) -> None:
    machine = LineMachine()
    assert machine.whole_bytes == 1
    machine.ask(request_, 10.0)
    assert machine.whole_bytes == reply_bytes


def test_silence_is_answered_with_three_repeats_and_no_more() -> None:
    machine = LineMachine()
    asked(machine)
    sent, ended = until_end(machine)
    times_s = [10.0, *(at_s for at_s, _ in sent)]
    waits_s = [after - before for before, after in pairwise(times_s)]
    assert [frame for _, frame in sent] == [LIVE.encode()] * 3
    assert waits_s == pytest.approx([0.16, 0.3, 1.0], abs=0.005)
    assert ended.silent
    assert ended.failure is LineErrorKind.TIMEOUT
    assert machine.errors == {LineErrorKind.TIMEOUT: 1}
    assert machine.timeouts == 1


def test_a_sleeping_bms_answers_the_second_copy() -> None:
    machine = LineMachine()
    asked(machine)
    due_s = machine.due_s
    assert due_s is not None
    assert machine.advance(due_s)[0] == LIVE.encode()
    ended = machine.receive(REPLY, due_s + 0.01)
    assert ended is not None
    assert ended.repeated
    assert ended.asked_s == 10.0


def test_half_an_answer_is_not_silence_and_is_not_repeated() -> None:
    machine = LineMachine()
    now_s = asked(machine)
    machine.receive(REPLY[:50], now_s + 0.01)
    sent, ended = until_end(machine)
    assert sent == []
    assert not ended.silent
    assert ended.failure is LineErrorKind.TIMEOUT


def test_after_a_failure_the_line_is_quiet_before_the_next_request() -> None:
    machine = LineMachine()
    now_s = asked(machine)
    machine.receive(REPLY[:50], now_s + 0.01)
    _, ended = until_end(machine)
    machine.ask(LIVE, ended.ended_s)
    assert machine.advance(ended.ended_s + 0.099) == (b"", None)
    assert machine.advance(ended.ended_s + 0.1)[0] == LIVE.encode()


def test_between_two_requests_is_the_gap() -> None:
    machine = LineMachine()
    now_s = asked(machine)
    machine.receive(REPLY, now_s + 0.012)
    machine.ask(LIVE, now_s + 0.012)
    assert machine.advance(now_s + 0.0165) == (b"", None)
    assert machine.advance(now_s + 0.0171)[0] == LIVE.encode()


def test_a_late_answer_to_nobody_is_dropped_and_counted() -> None:
    machine = LineMachine()
    assert machine.receive(REPLY, 9.0) is None
    assert machine.errors == {UNASKED: 1}
    now_s = asked(machine)
    ended = machine.receive(REPLY, now_s + 0.012)
    assert ended is not None
    assert ended.failure is None


def test_an_answer_behind_the_deadline_is_never_taken_as_new() -> None:
    machine = LineMachine()
    asked(machine)
    assert machine.receive(REPLY, 70.0) is None
    assert machine.errors == {UNASKED: 1}
    output, ended = machine.advance(70.0)
    assert (output, ended) == (LIVE.encode(), None)


def test_a_refusal_for_noise_is_repeated_after_a_pause() -> None:
    machine = LineMachine()
    now_s = asked(machine)
    assert machine.receive(nack(0x03, 1), now_s + 0.002) is None
    assert machine.advance(now_s + 0.05) == (b"", None)
    assert machine.advance(now_s + 0.103)[0] == LIVE.encode()
    assert machine.errors == {LineErrorKind.NACK_CRC: 1}


def test_endless_refusals_for_noise_end() -> None:
    machine = LineMachine()
    asked(machine)
    for _ in range(4):
        due_s = machine.due_s
        assert due_s is not None
        ended = machine.receive(nack(0x03, 1), due_s - 0.1)
        if ended is not None:
            break
        resend_s = machine.due_s
        assert resend_s is not None
        assert machine.advance(resend_s)[0]
    assert ended is not None
    assert ended.failure is LineErrorKind.NACK_CRC


def test_any_other_refusal_is_final() -> None:
    machine = LineMachine()
    now_s = asked(machine)
    ended = machine.receive(nack(0x03, 0), now_s + 0.002)
    assert ended is not None
    assert ended.failure is LineErrorKind.NACK_COMMAND
    assert machine.idle


def test_a_write_is_never_sent_twice() -> None:
    machine = LineMachine()
    machine.ask(WriteBlock(306, (28_000,)), 10.0)
    assert machine.advance(10.0)[0]
    sent, ended = until_end(machine)
    assert sent == []
    assert ended.failure is LineErrorKind.TIMEOUT


def test_the_same_answer_twice_is_counted_and_followed_by_quiet() -> None:
    machine = LineMachine()
    now_s = asked(machine)
    ended = machine.receive(REPLY + REPLY, now_s + 0.02)
    assert ended is not None
    assert ended.reply is not None
    assert machine.errors == {LineErrorKind.TRAILING: 1}
    machine.ask(LIVE, now_s + 0.02)
    assert machine.advance(now_s + 0.1) == (b"", None)


def test_a_line_full_of_text_is_used_all_the_same() -> None:
    machine = LineMachine()
    machine.ask(LIVE, 10.0)
    now_s = 10.0
    machine.receive(b"", now_s)
    sent = b""
    while not sent and now_s < 11.0:
        machine.receive(b"EXT1:----\r\n", now_s)
        now_s += 0.004
        sent, _ = machine.advance(now_s)
    assert now_s < 10.4


def test_one_request_at_a_time() -> None:
    machine = LineMachine()
    asked(machine)
    with pytest.raises(RuntimeError):
        machine.ask(LIVE, 10.1)


def test_the_last_fifty_frames_are_kept_with_what_was_thought_of_them() -> None:
    machine = LineMachine()
    for turn in range(40):
        now_s = asked(machine, 10.0 + turn)
        reply = REPLY if turn % 2 else REPLY[:-1] + b"\x00"
        machine.receive(reply, now_s + 0.012)
        if not machine.idle:
            until_end(machine)
    assert len(machine.frames) == 50
    verdicts = {(note.sent, note.verdict) for note in machine.frames}
    assert verdicts == {(True, "asked"), (False, "ok"), (False, "crc, timeout")}
