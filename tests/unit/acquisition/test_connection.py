"""The port's life on a real loop and real ptys: lost, found again, and searched for."""

import fcntl
import os
import select
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tinybms_acquisition.connection as connection_module
from fake_bms_frames import nack, read_reply
from fake_context import FakeContext
from tinybms_acquisition.connection import Connection
from tinybms_acquisition.line import UNASKED
from tinybms_acquisition.poller import Poller, Turn
from tinybms_acquisition.ports import SerialPort
from tinybms_config.model import Acquisition, Config
from tinybms_protocol.errors import LineErrorKind
from tinybms_protocol.poll_plan import BLOCKS, BlockName
from tinybms_protocol.timing import READ_TIMEOUT_S
from tinybms_runtime.clock import SystemClock
from tinybms_runtime.loop import Loop

TRIES = 5
"""A machine that stands still for longer than an answer may take costs one."""


class Pty:
    """A port at a path, and its far end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open()

    def open(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.path.symlink_to(os.ttyname(slave))
        os.close(slave)

    def hang_up(self) -> None:
        self.path.unlink()
        os.close(self.master)


class Bench(FakeContext):
    """A context with a loop; what the connection tells is kept."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        system_clock: Any = SystemClock()
        self.clock = system_clock
        self.loop = Loop(system_clock)
        self.config = Config(acquisition=Acquisition(port=str(folder / "bms")))
        self.turns: list[Turn] = []
        self.closed = 0
        self.connection = Connection(self.typed(), Poller(0.1), self)

    def on_turn(self, turn: Turn) -> None:
        self.turns.append(turn)

    def on_closed(self) -> None:
        self.closed += 1

    def wait_open(self, *, wanted: bool = True) -> None:
        assert self.loop.run_until(lambda: self.connection.is_open is wanted, 10)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.connection.close("", retry=False)
    bench.loop.close()


def test_a_port_that_comes_and_goes_is_followed(bench: Bench, tmp_path: Path) -> None:
    bench.connection.open()
    assert not bench.connection.is_open
    pty = Pty(tmp_path / "bms")
    bench.wait_open()
    version = BLOCKS[BlockName.VERSION].request.encode()
    assert bench.loop.run_until(lambda: bool(select.select([pty.master], [], [], 0)[0]), 10)
    assert os.read(pty.master, 100) == version
    pty.hang_up()
    bench.wait_open(wanted=False)
    assert bench.closed == 1
    pty.open()
    bench.wait_open()
    assert bench.connection.reopened == 1
    os.close(pty.master)


def test_an_outage_is_told_once_at_its_begin_and_once_at_its_end(
    bench: Bench, tmp_path: Path
) -> None:
    bench.connection.open()
    assert not bench.loop.run_until(lambda: bench.connection.is_open, 1.0)
    assert bench.codes == ["port_lost"]
    pty = Pty(tmp_path / "bms")
    assert bench.loop.run_until(lambda: bool(bench.turns), 10)
    assert bench.codes == ["port_lost", "port_opened"]
    os.close(pty.master)


def test_a_guessed_adapter_without_the_battery_is_left_for_the_next(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ptys = [Pty(tmp_path / name) for name in ("one", "two")]
    paths = [str(pty.path) for pty in ptys]
    monkeypatch.setattr(connection_module, "candidates", lambda *_args, **_keys: paths)
    bench.connection.open()
    bench.wait_open()
    first = bench.connection.path
    bench.connection.search_on()
    assert not bench.connection.is_open
    bench.wait_open()
    assert {first, bench.connection.path} == set(paths)
    for pty in ptys:
        os.close(pty.master)


def test_the_configured_port_is_kept_whatever_answers(bench: Bench, tmp_path: Path) -> None:
    pty = Pty(tmp_path / "bms")
    bench.connection.open()
    bench.connection.search_on()
    assert bench.connection.is_open
    os.close(pty.master)


class Answering:
    """A bench whose port is open, and what it reads from now on."""

    def __init__(self, bench: Bench, pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench, self.pty = bench, pty
        self.readings: list[bytes] = []
        self.ports: list[SerialPort] = []
        bench.connection.open()
        self.asked()
        read = SerialPort.read

        def noted(port: SerialPort) -> bytes:
            data = read(port)
            self.readings.append(data)
            self.ports.append(port)
            return data

        monkeypatch.setattr(SerialPort, "read", noted)

    def asked(self) -> bytes:
        """The next request."""
        master = self.pty.master
        assert self.bench.loop.run_until(lambda: bool(select.select([master], [], [], 0)[0]), 10)
        return os.read(master, 100)

    def wait_for_bytes(self, count: int) -> None:
        """Until the kernel has so many for the port: a pty takes a moment."""
        fd = self.ports[-1].fileno()
        while int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), "little") < count:
            time.sleep(0)

    def turns(self, count: int) -> list[Turn]:
        """The turns, when there are so many."""
        assert self.bench.loop.run_until(lambda: len(self.bench.turns) >= count, 10)
        return self.bench.turns


@pytest.fixture
def answering(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    pty = Pty(tmp_path / "bms")
    yield Answering(bench, pty, monkeypatch)
    os.close(pty.master)


def version_reply() -> bytes:
    return read_reply([0] * BLOCKS[BlockName.VERSION].count)


def test_an_answer_in_many_pieces_is_read_once(answering: Answering) -> None:
    reply = version_reply()
    for start in range(0, len(reply), 5):
        os.write(answering.pty.master, reply[start : start + 5])
        answering.bench.loop.run_until(lambda: False, 0.001)
    assert answering.turns(1)[0].blocks
    assert [data for data in answering.readings if data] == [reply]


def test_a_refusal_shorter_than_the_answer_is_heard_long_before_the_deadline(
    answering: Answering,
) -> None:
    os.write(answering.pty.master, nack(0x03, 0x00))
    began_s = time.monotonic()
    assert answering.turns(1)[0].failed is LineErrorKind.NACK_COMMAND
    assert time.monotonic() - began_s < READ_TIMEOUT_S


def test_an_answer_whose_rest_comes_after_its_time_is_still_put_together(
    answering: Answering,
) -> None:
    reply, bench = version_reply(), answering.bench

    def whole() -> bool:
        return any(turn.blocks for turn in bench.turns)

    for _ in range(TRIES):
        answering.readings.clear()
        os.write(answering.pty.master, reply[:5])
        assert bench.loop.run_until(lambda: reply[:5] in answering.readings, 10)
        os.write(answering.pty.master, reply[5:])
        if bench.loop.run_until(whole, READ_TIMEOUT_S):
            break
        answering.asked()
    assert whole()


def test_bytes_that_nobody_asked_for_do_not_pass_for_the_next_answer(
    answering: Answering,
) -> None:
    os.write(answering.pty.master, version_reply())
    answering.turns(1)
    os.write(answering.pty.master, b"junk")
    answering.wait_for_bytes(4)
    answering.asked()
    line = answering.bench.connection.poller.line
    assert line.errors == {UNASKED: 1}
    assert b"junk" in answering.readings
