"""The work loop: timers on a grid, no bursts after a stall, descriptors, hand-over by threads."""

import os
import threading
from collections.abc import Iterator

import pytest
import zmq

from fake_clock import FakeClock
from tinybms_runtime.clock import SystemClock
from tinybms_runtime.loop import LONGEST_WAIT_S, Loop


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def loop(clock: FakeClock) -> Iterator[Loop]:
    loop = Loop(clock)
    yield loop
    loop.close()


def turn(loop: Loop) -> None:
    """Let the loop do what is due now."""
    loop.from_thread(lambda: None)
    turns = iter((False, True))
    loop.run_until(lambda: next(turns), timeout_s=1.0)


def test_a_periodic_timer_keeps_its_grid(loop: Loop, clock: FakeClock) -> None:
    ran_at: list[int] = []
    loop.every(1.0, lambda: ran_at.append(clock.boottime_ns()))
    for _ in range(8):
        turn(loop)
        clock.advance(0.3)
    assert [round((at - ran_at[0]) / 1e9, 1) for at in ran_at] == [0.0, 1.2, 2.1]


def test_slots_missed_in_a_stall_are_skipped(loop: Loop, clock: FakeClock) -> None:
    runs: list[None] = []
    loop.every(1.0, lambda: runs.append(None))
    turn(loop)
    clock.advance(60.0)
    for _ in range(5):
        turn(loop)
    assert len(runs) == 2


def test_a_stall_shows_as_lag_once(loop: Loop, clock: FakeClock) -> None:
    loop.every(1.0, lambda: None)
    turn(loop)
    clock.advance(3.5)
    turn(loop)
    assert loop.take_worst_lag_ms() == pytest.approx(2500.0)
    assert loop.take_worst_lag_ms() == 0.0


def test_a_single_timer_runs_once_and_a_cancelled_one_never(loop: Loop, clock: FakeClock) -> None:
    ran: list[str] = []
    loop.after(1.0, lambda: ran.append("kept"))
    loop.after(1.0, lambda: ran.append("cancelled")).cancel()
    for _ in range(4):
        clock.advance(1.0)
        turn(loop)
    assert ran == ["kept"]


def test_a_timer_may_cancel_itself_and_another(loop: Loop, clock: FakeClock) -> None:
    ran: list[str] = []
    other = loop.every(1.0, lambda: ran.append("other"), first_s=1.0)

    def once() -> None:
        ran.append("once")
        own.cancel()
        other.cancel()

    own = loop.every(1.0, once, first_s=0.5)
    for _ in range(6):
        clock.advance(0.5)
        turn(loop)
    assert ran == ["once"]


def test_a_patient_timer_joins_what_wakes_the_loop_and_keeps_its_rate(
    loop: Loop, clock: FakeClock
) -> None:
    start_ns = clock.boottime_ns()
    ran_at: list[float] = []
    loop.every(
        1.0, lambda: ran_at.append(round((clock.boottime_ns() - start_ns) / 1e9, 1)), early_s=0.25
    )
    for _ in range(50):
        turn(loop)
        clock.advance(0.1)
    assert ran_at == [0.0, 0.8, 1.8, 2.8, 3.8, 4.8]


def test_the_first_time_of_a_patient_timer_is_never_early(loop: Loop, clock: FakeClock) -> None:
    runs: list[None] = []
    loop.every(1.0, lambda: runs.append(None), first_s=0.2, early_s=0.25)
    turn(loop)
    clock.advance(0.1)
    turn(loop)
    assert runs == []
    clock.advance(0.1)
    turn(loop)
    assert len(runs) == 1


def test_a_patient_timer_comes_on_time_when_nothing_else_wakes_the_loop(
    loop: Loop, clock: FakeClock
) -> None:
    runs: list[None] = []
    loop.every(1.0, lambda: runs.append(None), early_s=0.25)
    turn(loop)
    clock.advance(0.7)
    turn(loop)
    assert len(runs) == 1
    clock.advance(0.3)
    turn(loop)
    assert len(runs) == 2
    assert loop.take_worst_lag_ms() == 0.0


def test_a_patient_timer_that_ran_early_does_not_run_again_at_its_old_time(
    loop: Loop, clock: FakeClock
) -> None:
    runs: list[None] = []
    timer = loop.every(1.0, lambda: runs.append(None), early_s=0.25)
    for _ in range(3):
        turn(loop)
        clock.advance(0.4)
    assert len(runs) == 2
    timer.cancel()
    for _ in range(5):
        turn(loop)
        clock.advance(0.4)
    assert len(runs) == 2


def test_a_descriptor_is_announced_until_it_is_read(loop: Loop) -> None:
    reader, writer = os.pipe()
    read: list[bytes] = []
    loop.watch(reader, lambda: read.append(os.read(reader, 1)))
    os.write(writer, b"ab")
    assert loop.run_until(lambda: len(read) == 2, timeout_s=5.0)
    loop.unwatch(reader)
    os.write(writer, b"c")
    turn(loop)
    assert read == [b"a", b"b"]
    os.close(reader)
    os.close(writer)


@pytest.fixture
def pair() -> Iterator[tuple["zmq.Socket[bytes]", "zmq.Socket[bytes]"]]:
    with (
        zmq.Context() as context,
        context.socket(zmq.PAIR) as left,
        context.socket(zmq.PAIR) as right,
    ):
        left.bind("inproc://pair")
        right.connect("inproc://pair")
        yield left, right


Pair = tuple["zmq.Socket[bytes]", "zmq.Socket[bytes]"]


def test_a_socket_is_watched_like_a_descriptor(loop: Loop, pair: Pair) -> None:
    left, right = pair
    got: list[bytes] = []
    loop.watch(right, lambda: got.append(right.recv(zmq.NOBLOCK)))
    left.send(b"x")
    assert loop.run_until(lambda: got == [b"x"], timeout_s=5.0)
    loop.unwatch(right)
    left.send(b"y")
    turn(loop)
    assert got == [b"x"]


def test_messages_that_were_left_over_are_announced_again(loop: Loop, pair: Pair) -> None:
    left, right = pair
    got: list[bytes] = []
    for number in range(5):
        left.send(b"%d" % number)
    loop.watch(right, lambda: got.append(right.recv(zmq.NOBLOCK)))
    for count in range(1, 6):
        turn(loop)
        assert len(got) == count
    loop.unwatch(right)


def test_a_message_whose_news_was_taken_by_sending_is_found(loop: Loop, pair: Pair) -> None:
    left, right = pair
    got: list[bytes] = []
    loop.watch(right, lambda: got.append(right.recv(zmq.NOBLOCK)))
    turn(loop)
    left.send(b"x")
    # What a send does when it looks for commands: the news is taken, the message stays.
    assert right.getsockopt(zmq.EVENTS)
    turn(loop)
    assert got == []
    loop.look_at(right)
    turn(loop)
    assert got == [b"x"]
    loop.unwatch(right)


def test_a_message_that_nothing_told_of_waits_a_second_at_most(
    loop: Loop, clock: FakeClock, pair: Pair
) -> None:
    left, right = pair
    got: list[bytes] = []
    loop.watch(right, lambda: got.append(right.recv(zmq.NOBLOCK)))
    turn(loop)
    left.send(b"x")
    assert right.getsockopt(zmq.EVENTS)
    clock.advance(LONGEST_WAIT_S)
    turn(loop)
    assert got == [b"x"]
    loop.unwatch(right)


def test_a_descriptor_that_can_be_written_is_announced_when_asked_for(loop: Loop) -> None:
    reader, writer = os.pipe()
    turns: list[None] = []
    loop.watch(writer, lambda: turns.append(None))
    turn(loop)
    assert turns == []
    loop.watch(writer, lambda: turns.append(None), write=True)
    turn(loop)
    assert len(turns) == 1
    loop.unwatch(writer)
    os.close(reader)
    os.close(writer)


def test_another_thread_wakes_the_loop() -> None:
    loop = Loop(SystemClock())
    worker = threading.Thread(target=lambda: loop.from_thread(loop.stop))
    worker.start()
    loop.run()
    worker.join()
    loop.close()


def test_work_until_a_time_out_says_that_it_failed() -> None:
    loop = Loop(SystemClock())
    assert not loop.run_until(lambda: False, timeout_s=0.02)
    loop.close()
