"""The simulated GX as a real process: a slcan adapter on a real pty."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial

from harness_sim import SimGx, wait_until

LIMITS = b"t351828025802E803B801\r"
KEEPALIVE = b"t30580000000000000000"
IDENTIFICATION = b"t30781234567856494300"


@contextmanager
def adapter(sim: SimGx) -> Iterator[serial.Serial]:
    with serial.Serial(str(sim.link), 115_200, timeout=3.0, write_timeout=0.5) as opened:
        opened.write(b"C\rS6\rO\r")
        assert opened.read(3) == b"\r\r\r"
        yield opened


def next_line(opened: serial.Serial) -> bytes:
    return bytes(opened.read_until(b"\r")).rstrip(b"\r")


def test_it_shows_what_it_receives_and_sends_as_a_gx_each_second(run_dir: Path) -> None:
    sim = SimGx(run_dir)
    with sim:
        with adapter(sim) as opened:
            opened.write(LIMITS)
            heard = [next_line(opened) for _ in range(5)]
            heard.remove(b"z")  # the second of the GX may come before or after the frame
            assert heard == [KEEPALIVE, IDENTIFICATION] * 2
        sim.wait_for(lambda gx: any(d["connected"] for d in gx.displays()))
        (frame,) = sim.frames(0x351)
        assert frame["fields"] == {"cvl_v": 55.2, "ccl_a": 60.0, "dcl_a": 100.0, "dvl_v": 44.0}
        shown = next(d for d in sim.displays() if d["connected"])
        assert shown["display"]["/Info/MaxChargeVoltage"] == 55.2
        assert shown["frames"] == {"0x351": 1}
    assert not os.path.lexists(sim.link)
    assert not sim.control.exists()


def test_a_battery_that_falls_silent_is_lost_after_three_seconds(run_dir: Path) -> None:
    with SimGx(run_dir) as sim, adapter(sim) as opened:
        opened.write(LIMITS)
        sim.wait_for(lambda gx: any(d["connected"] for d in gx.displays()))
        sim.wait_for(lambda gx: not gx.displays()[-1]["connected"])
        last = sim.displays()[-1]
        assert last["t"] - sim.frames(0x351)[0]["t"] > 3.0
        assert last["display"] == {}
        assert any("battery lost" in p for d in sim.displays() for p in d["problems"])


def test_wrong_frames_are_told(run_dir: Path) -> None:
    with SimGx(run_dir) as sim, adapter(sim) as opened:
        opened.write(b"t3051" + b"00\rT0000035120102\rt351400000000\r")
        sim.wait_for(lambda gx: len([p for d in gx.displays() for p in d["problems"]]) == 3)
        problems = " ".join(p for d in sim.displays() for p in d["problems"])
        assert "not a frame of a BMS" in problems
        assert "29-bit" in problems
        assert "4 bytes instead of 8" in problems


def test_a_wrong_bit_rate_is_told_and_nothing_is_heard(run_dir: Path) -> None:
    with SimGx(run_dir) as sim, adapter(sim) as opened:
        opened.write(b"C\rS5\rO\r" + LIMITS)
        sim.wait_for(lambda gx: any("S5" in p for d in gx.displays() for p in d["problems"]))
        assert sim.frames() == []


@pytest.mark.parametrize("options", [("--no-gx",), ("--fault", "gx_silent")])
def test_without_a_gx_no_keepalive_comes_but_frames_are_taken(
    run_dir: Path, options: tuple[str, ...]
) -> None:
    with SimGx(run_dir, options=options) as sim, adapter(sim) as opened:
        opened.write(LIMITS)
        assert next_line(opened) == b"z"
        opened.timeout = 1.5
        assert next_line(opened) == b""
        assert len(sim.frames(0x351)) == 1


def test_a_full_adapter_refuses_frames_until_the_fault_ends(run_dir: Path) -> None:
    with SimGx(run_dir, options=("--no-gx",)) as sim, adapter(sim) as opened:
        sim.fault("tx_full")
        opened.write(LIMITS)
        assert opened.read(1) == b"\a"
        sim.fault("none")
        opened.write(LIMITS)
        assert next_line(opened) == b"z"


def test_an_adapter_that_does_not_read_blocks_the_writer(run_dir: Path) -> None:
    with SimGx(run_dir, options=("--no-gx",)) as sim, adapter(sim) as opened:
        sim.fault("queue_full")
        with pytest.raises(serial.SerialTimeoutException):
            opened.write(LIMITS * 100_000)
        assert sim.status()["received"] == 0
        sim.fault("none")
        sim.wait_for(lambda gx: gx.status()["received"] > 100)


def test_an_unplugged_adapter_hangs_up_and_comes_back_closed(run_dir: Path) -> None:
    with SimGx(run_dir) as sim:
        with adapter(sim) as opened:
            sim.fault("adapter_gone")
            assert not os.path.lexists(sim.link)
            with pytest.raises(serial.SerialException):
                opened.write(LIMITS)
        sim.fault("none")
        assert sim.status()["open"] is False
        with adapter(sim) as opened:
            opened.write(LIMITS)
            wait_until(lambda: sim.status()["received"] == 1, 5.0, "frame after replugging")


def test_times_are_those_of_the_boot_clock(run_dir: Path) -> None:
    with SimGx(run_dir) as sim, adapter(sim) as opened:
        before_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        opened.write(LIMITS)
        sim.wait_for(lambda gx: bool(gx.frames(0x351)))
        after_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        assert before_s - 1e-3 <= sim.frames(0x351)[0]["t"] <= after_s + 1e-3
