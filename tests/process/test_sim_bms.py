"""The simulated BMS as a real process on a real pty."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial

from harness_sim import SimBms, wait_until

STATUS = bytes.fromhex("AA 18 7F 1A")
STATUS_IDLE = bytes.fromhex("AA 18 97 00 CF CB")
LIVE = bytes.fromhex("AA 03 00 00 00 38 5D C3")
LIVE_BYTES = 117
BYTE_S = 10 / 115_200
ANSWER_S = 3.0


@contextmanager
def port(sim: SimBms) -> Iterator[serial.Serial]:
    with serial.Serial(str(sim.link), 115_200, timeout=ANSWER_S) as opened:
        yield opened


def ask(opened: serial.Serial, request: bytes, length: int) -> bytes:
    opened.write(request)
    return opened.read(length)


def test_it_answers_on_its_link_and_leaves_nothing_behind(run_dir: Path) -> None:
    sim = SimBms(run_dir, registers={50: 0x97})
    with sim, port(sim) as opened:
        assert ask(opened, STATUS, 6) == STATUS_IDLE
        reply = ask(opened, LIVE, LIVE_BYTES)
        assert (len(reply), reply[:3]) == (LIVE_BYTES, b"\xaa\x03\x70")
    assert not os.path.lexists(sim.link)
    assert not sim.control.exists()


def test_the_answer_takes_at_least_the_time_of_its_bits(run_dir: Path) -> None:
    with SimBms(run_dir) as sim, port(sim) as opened:
        for _ in range(5):
            asked_s = time.monotonic()
            assert len(ask(opened, LIVE, LIVE_BYTES)) == LIVE_BYTES
            assert time.monotonic() - asked_s >= (LIVE_BYTES + len(LIVE)) * BYTE_S


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_cleanly(run_dir: Path, number: signal.Signals) -> None:
    sim = SimBms(run_dir)
    with sim:
        os.kill(sim.pid, number)
        wait_until(lambda: not os.path.lexists(sim.link), 5.0, "link gone")
        assert sim.stop() == 0


def test_registers_are_held_over_the_control_socket(run_dir: Path) -> None:
    with SimBms(run_dir, registers={38: 0, 39: 0}) as sim, port(sim) as opened:
        sim.set_words({42: 200, 43: 0x8000})
        reply = ask(opened, LIVE, LIVE_BYTES)
        assert reply[3 + 84 : 3 + 88] == bytes((0, 200, 0x80, 0))
        sim.command("set 36 0x1EB8")
        assert ask(opened, LIVE, LIVE_BYTES)[3 + 72 : 3 + 74] == b"\x1e\xb8"


def test_scenarios_change_while_it_runs(run_dir: Path) -> None:
    with SimBms(run_dir, registers={50: 0x97}, scenario="silence") as sim, port(sim) as opened:
        opened.timeout = 0.2
        assert ask(opened, STATUS, 6) == b""
        sim.scenario("normal")
        opened.timeout = ANSWER_S
        assert ask(opened, STATUS, 6) == STATUS_IDLE
        assert sim.status()["requests"] == 2
        with pytest.raises(AssertionError, match="unknown scenario"):
            sim.scenario("tsunami")
        with pytest.raises(AssertionError, match="unknown command"):
            sim.command("dance")


def test_unplugging_hangs_up_and_replugging_gives_the_port_back(run_dir: Path) -> None:
    with SimBms(run_dir, registers={50: 0x97}) as sim:
        with port(sim) as opened:
            assert ask(opened, STATUS, 6) == STATUS_IDLE
            sim.unplug()
            assert not os.path.lexists(sim.link)
            with pytest.raises(serial.SerialException):
                ask(opened, STATUS, 6)
        sim.replug()
        with port(sim) as opened:
            assert ask(opened, STATUS, 6) == STATUS_IDLE


def test_closing_and_opening_the_port_keeps_it_raw(run_dir: Path) -> None:
    with SimBms(run_dir, registers={50: 0x97}) as sim:
        for _ in range(3):
            descriptor = os.open(sim.link, os.O_RDWR | os.O_NOCTTY)
            os.write(descriptor, STATUS)
            got = b""
            while len(got) < 6:
                got += os.read(descriptor, 6)
            os.close(descriptor)
            assert got == STATUS_IDLE


def test_broadcast_text_comes_unasked(run_dir: Path) -> None:
    with SimBms(run_dir, scenario="broadcast") as sim, port(sim) as opened:
        assert opened.read_until(b"EXT1:----").endswith(b"EXT1:----")


def test_an_orphaned_link_is_taken_over(run_dir: Path) -> None:
    first = SimBms(run_dir, registers={50: 0x97})
    first.start()
    os.kill(first.pid, signal.SIGKILL)
    first.stop()
    assert os.path.lexists(first.link)
    with SimBms(run_dir, registers={50: 0x97}) as sim, port(sim) as opened:
        assert ask(opened, STATUS, 6) == STATUS_IDLE


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--scenario", "tsunami"], "unknown scenario"),
        (["--registers", "nothing-here.json"], "nothing-here.json"),
    ],
)
def test_bad_options_are_refused_with_their_reason(
    run_dir: Path, options: list[str], said: str
) -> None:
    command = [sys.executable, "-P", "-m", "tinybms_sim", "bms", "--link", str(run_dir / "bms")]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert list(run_dir.iterdir()) == []


def test_a_file_in_the_place_of_the_link_is_left_alone(run_dir: Path) -> None:
    file = run_dir / "bms"
    file.write_text("precious")
    command = [sys.executable, "-P", "-m", "tinybms_sim", "bms", "--link", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is not a link" in done.stderr
    assert file.read_text() == "precious"
