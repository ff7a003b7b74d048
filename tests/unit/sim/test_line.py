"""The simulated serial line: pacing, line faults, broadcast text, any garbage."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_sim.line import BYTE_S, SCENARIOS, TURNAROUND_S, BmsLine, make_line
from tinybms_sim.wire import GAP_S, crc16

START_S = 500.0
STATUS = bytes.fromhex("AA 18 7F 1A")
LIVE = bytes.fromhex("AA 03 00 00 00 38 5D C3")


def line_in(scenario: str, rate: float | None = None, seed: int = 1) -> BmsLine:
    line = make_line(start_s=START_S, seed=seed, paced=False)
    line.choose(scenario, START_S, rate)
    return line


def answers(line: BmsLine, request: bytes, count: int) -> list[bytes]:
    """Answers of an unpaced line to count requests, two seconds apart, each awaited for 0.1 s."""
    got = []
    for n in range(count):
        now_s = START_S + 2.0 * n
        line.due(now_s)
        line.receive(request, now_s)
        got.append(line.due(now_s + 0.1))
    return got


def is_whole(reply: bytes) -> bool:
    return len(reply) > 4 and crc16(reply) == 0


def test_an_answer_comes_no_sooner_than_its_bits_take() -> None:
    line = make_line(start_s=START_S)
    line.receive(LIVE, START_S)
    begin_s = START_S + len(LIVE) * BYTE_S + TURNAROUND_S
    assert line.due(begin_s) == b""
    half = line.due(begin_s + 60 * BYTE_S)
    assert 40 <= len(half) <= 60
    whole = half + line.due(begin_s + 117 * BYTE_S + 1e-6)
    assert len(whole) == 117
    assert is_whole(whole)
    assert line.next_due_s() is None


def test_117_bytes_take_ten_milliseconds_and_a_little() -> None:
    """Ten bits a byte at 115200 baud: 86.8 us."""
    line = make_line(start_s=START_S)
    line.receive(LIVE, START_S)
    assert len(line.due(START_S + 0.01184)) < 117
    assert len(line.due(START_S + 0.01186)) > 0


def test_every_chunk_arrives_at_the_moment_of_its_last_byte() -> None:
    line = make_line(start_s=START_S)
    line.receive(LIVE, START_S)
    begin_s = START_S + len(LIVE) * BYTE_S + TURNAROUND_S
    received = 0
    while (due_s := line.next_due_s()) is not None:
        assert line.due(due_s - 1e-7) == b""
        received += len(line.due(due_s))
        assert due_s == pytest.approx(begin_s + received * BYTE_S)
    assert received == 117


def test_answers_to_requests_in_a_burst_follow_each_other_on_the_line() -> None:
    line = make_line(start_s=START_S)
    line.receive(STATUS * 3, START_S)
    assert len(line.due(START_S + 0.1)) == 18
    line.receive(LIVE + LIVE, START_S + 1)
    assert len(line.due(START_S + 1 + 234 * BYTE_S)) < 234


def test_silence_answers_nothing_until_normal_again() -> None:
    line = line_in("silence")
    assert answers(line, STATUS, 5) == [b""] * 5
    line.choose("normal", START_S + 20)
    line.receive(STATUS, START_S + 20)
    assert is_whole(line.due(START_S + 20))


@pytest.mark.parametrize("scenario", ["noise", "truncated"])
def test_a_line_fault_spoils_some_answers_and_leaves_others_whole(scenario: str) -> None:
    whole = [is_whole(reply) for reply in answers(line_in(scenario), LIVE, 200)]
    assert 100 < sum(whole) < 180


def test_truncated_answers_are_shorter() -> None:
    assert all(len(r) < 117 for r in answers(line_in("truncated", 1.0), LIVE, 50))


def test_late_answers_come_whole_after_their_time() -> None:
    line = line_in("late", 1.0)
    line.receive(LIVE, START_S)
    assert line.due(START_S + 0.19) == b""
    assert is_whole(line.due(START_S + 1.21))


def test_nack_refuses_with_both_reasons() -> None:
    replies = set(answers(line_in("nack", 1.0), STATUS, 50))
    assert {reply[:4] for reply in replies} == {b"\xaa\x00\x18\x00", b"\xaa\x00\x18\x01"}


def test_faults_repeat_with_their_seed() -> None:
    one, again, other = (answers(line_in("noise", seed=seed), LIVE, 50) for seed in (5, 5, 6))
    assert one == again
    assert one != other


def test_broadcast_text_comes_by_itself_and_in_front_of_answers_until_342_is_0() -> None:
    line = line_in("broadcast", 1.0)
    line.tick(START_S)
    text = line.due(START_S)
    assert b"EXT1:----" in text
    assert max(text) < 0x80
    line.receive(STATUS, START_S + 0.1)
    reply = line.due(START_S + 0.1)
    assert reply[:1] != b"\xaa"
    assert is_whole(reply[-6:])
    body = b"\xaa\x10" + struct.pack(">HHBH", 342, 1, 2, 0)
    line.receive(body + struct.pack("<H", crc16(body)), START_S + 0.2)
    line.due(START_S + 1)
    for n in range(20):
        line.tick(START_S + 1 + n)
    assert line.due(START_S + 30) == b""


def test_broadcast_waits_while_an_answer_is_on_its_way() -> None:
    line = make_line(start_s=START_S)
    line.bms.image[342] = 1
    line.receive(LIVE, START_S)
    line.tick(START_S + 0.001)
    assert is_whole(line.due(START_S + 0.02))


def test_sleep_swallows_one_frame() -> None:
    line = line_in("sleep")
    assert [bool(reply) for reply in answers(line, STATUS, 3)] == [False, True, True]


def test_unplugging_loses_what_is_on_its_way() -> None:
    line = make_line(start_s=START_S)
    line.receive(LIVE, START_S)
    line.hang_up()
    assert line.due(START_S + 1) == b""


def test_an_unknown_scenario_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"tsunami.*normal, silence"):
        line_in("tsunami")


def test_a_host_that_never_reads_costs_bounded_memory() -> None:
    line = make_line(start_s=START_S)
    for _ in range(2000):
        line.receive(LIVE, START_S)
    assert len(line.due(START_S + 3600)) <= 65_536


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_runs_for_ten_minutes(scenario: str) -> None:
    line = line_in(scenario)
    for n in range(1200):
        line.receive(LIVE, START_S + n / 2)
        line.tick(START_S + n / 2 + 0.1)
        line.due(START_S + n / 2 + 0.1)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_garbage_is_survived_and_a_request_after_a_pause_answered(chunks: list[bytes]) -> None:
    line = make_line(start_s=START_S, paced=False)
    now_s = START_S
    for chunk in chunks:
        line.receive(chunk, now_s)
        now_s += 0.001
    now_s += GAP_S + 4.0  # also over the silence of a reset that the garbage may have asked for
    line.bms.asleep = False
    line.tick(now_s)
    line.due(now_s)
    line.receive(STATUS, now_s)
    assert is_whole(line.due(now_s + 1.0))
