"""tinybms-ctl status and doctor beside a whole gateway, as one thing after the other fails."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness_doctor import Told, told
from harness_sim import wait_until
from harness_stack import CONF, Stack
from tinybms_runtime.processes import NAMES

SIDE_WARNINGS = {"can_restart"}
"""An slcan adapter has no restart-ms, whatever else is."""


def told_when(stack: Stack, command: str, done: Callable[[Told], bool]) -> Told:
    """Ask until the answer is as expected; the last answer is in the error when it never is."""
    last = [told(stack.ctl(command))]

    def look() -> bool:
        if not done(last[-1]):
            last.append(told(stack.ctl(command)))
        return done(last[-1])

    try:
        wait_until(look, 25.0, "the expected answer")
    except AssertionError as error:
        raise AssertionError(f"{command}: {last[-1].code} {last[-1].rows}") from error
    return last[-1]


def expect(
    stack: Stack, bad: set[str], *, doctor_code: int, line: str = "", says: str = "ok"
) -> Told:
    """Wait until doctor calls just these bad; its answer.

    Then status must say so too: its `line` begins with `says`.
    """
    doctor = told_when(stack, "doctor", lambda now: now.bad == bad)
    assert doctor.code == doctor_code, doctor.rows
    if line:
        status_with(stack, line, says)
    return doctor


def status_with(stack: Stack, line: str, says: str) -> Told:
    """What status says as soon as its `line` begins so; the exit code must fit to all its lines."""
    status = told_when(stack, "status", lambda now: now.rows[line].startswith(says))
    without_data = status.word("data") == "fault"
    well = status.with_word("ok", "running") == set(status.rows)
    assert status.code == (2 if without_data else 0 if well else 1), status.rows
    return status


def supervisorctl(stack: Stack, *words: str) -> None:
    """Let supervisord do something, as an owner can."""
    program = Path(sys.executable).parent / "supervisorctl"
    command = [str(program), "-c", str(CONF), *words]
    subprocess.run(command, check=True, capture_output=True, timeout=30, env=stack.environment())


@pytest.mark.long
@pytest.mark.timeout(180)
def test_one_thing_after_the_other_fails(run_dir: Path) -> None:
    with Stack(run_dir) as stack:
        stack.wait_until_well()
        well = expect(stack, set(), doctor_code=0, line="data", says="ok fresh")
        assert told(stack.ctl("status")).code == 0
        assert well.with_word("warning") == SIDE_WARNINGS
        assert all(well.word(name) == "running" for name in (*NAMES, "supervisord"))
        _no_gx(stack)
        _no_bms(stack)
        _no_port(stack)
        _can_down(stack)
        _mqtt_broker_down(stack)


def _no_gx(stack: Stack) -> None:
    stack.gx.fault("gx_silent")
    doctor = expect(stack, {"gx"}, doctor_code=1, line="can", says="warning")
    assert "CAN-bus BMS (500 kbit/s)" in doctor.rows["gx"]
    assert "no GX is heard" in told(stack.ctl("status")).rows["can"]
    stack.gx.fault("none")


def _no_bms(stack: Stack) -> None:
    stack.bms.scenario("silence")
    doctor = told_when(stack, "doctor", lambda now: now.word("bms") == "fault")
    assert (doctor.code, "check the cable" in doctor.rows["bms"]) == (1, True)
    status = status_with(stack, "link", "fault")
    assert "does not answer" in status.rows["link"]
    stack.bms.scenario("normal")
    stack.wait_until_well()


def _no_port(stack: Stack) -> None:
    stack.bms.unplug()
    doctor = told_when(stack, "doctor", lambda now: now.word("serial_port") == "fault")
    assert doctor.code == 1
    assert "not there" in doctor.rows["serial_port"]
    assert "bms" not in doctor.rows
    status = status_with(stack, "link", "fault")
    assert "cannot be opened" in status.rows["link"]
    stack.bms.replug()
    stack.wait_until_well()


def _can_down(stack: Stack) -> None:
    stack.gx.fault("adapter_gone")
    doctor = told_when(stack, "doctor", lambda now: now.word("can_interface") == "fault")
    assert doctor.code == 1
    assert doctor.bad == {"can_interface"}
    assert "not there" in doctor.rows["can_interface"]
    status = status_with(stack, "can", "fault")
    assert status.code == 1
    stack.gx.fault("none")
    stack.wait_until_well()


def _mqtt_broker_down(stack: Stack) -> None:
    stack.broker.stop()
    bad = {"mqtt_connect", "mqtt_session"}
    doctor = expect(stack, bad, doctor_code=1, line="mqtt", says="fault")
    assert "check mqtt.port" in doctor.rows["mqtt_connect"]
    stack.broker.start()
    stack.wait_until_well()


@pytest.mark.long
@pytest.mark.timeout(180)
def test_one_process_after_the_other_is_gone(run_dir: Path) -> None:
    with Stack(run_dir) as stack:
        stack.wait_until_well()
        _health_down(stack)
        _broker_down(stack)
        stack.kill("supervisord")
        bad = {"supervisord"}
        orphaned = expect(stack, bad, doctor_code=0, line="supervisord", says="down")
        assert "tinybms-ctl up" in orphaned.rows["supervisord"]
        assert all(orphaned.word(name) == "running" for name in NAMES)


def _health_down(stack: Stack) -> None:
    supervisorctl(stack, "stop", "health")
    doctor = expect(stack, {"health"}, doctor_code=0, line="health", says="down")
    assert "restart health" in doctor.rows["health"]
    supervisorctl(stack, "start", "health")
    stack.wait_until_well()


def _broker_down(stack: Stack) -> None:
    """Acquisition is asked directly, so the line is known to be well all the same."""
    supervisorctl(stack, "stop", "broker")
    doctor = told_when(stack, "doctor", lambda now: now.word("broker") == "down")
    assert (doctor.code, doctor.word("bms")) == (1, "ok")
    status_with(stack, "broker", "down")
    supervisorctl(stack, "start", "broker")
    stack.wait_until_well()


class StackWithFatal(Stack):
    """A gateway whose mqtt_out ends at once, until `cured` exists; supervisord gives it up."""

    @property
    def cured(self) -> Path:
        """What the program misses."""
        return self.folder / "cured"

    def _start_command(self) -> list[str]:
        text = CONF.read_text(encoding="utf-8")
        head, rest = text.split("[program:mqtt_out]", 1)
        real = "python -P -m tinybms_mqtt_out"
        rest = rest.replace(real, f"sh -c 'test -e {self.cured} && exec {real}'", 1)
        rest = rest.replace("startretries=1000", "startretries=0", 1)
        conf = self.folder / "supervisord.conf"
        conf.write_text(f"{head}[program:mqtt_out]{rest}", encoding="utf-8")
        return [*super()._start_command()[:-1], str(conf)]


@pytest.mark.long
@pytest.mark.timeout(120)
def test_a_program_in_fatal_is_a_fault_until_its_cause_is_gone(run_dir: Path) -> None:
    with StackWithFatal(run_dir) as stack:
        stack.wait_for(lambda: (stack.status() or {}).get("status") == "partial", 30.0)

        def fatal(now: Told) -> bool:
            return "FATAL" in now.rows["mqtt_out"]

        doctor = told_when(stack, "doctor", lambda now: fatal(now) and now.bad == {"mqtt_out"})
        assert (doctor.code, doctor.word("mqtt_out")) == (1, "down")
        assert "logs mqtt_out" in doctor.rows["mqtt_out"]
        status = told_when(stack, "status", fatal)
        assert (status.code, status.word("mqtt_out")) == (1, "down")
        stack.cured.touch()
        stack.wait_until_well(90)
        events = told_events(stack)
        assert "supervisord gave mqtt_out up (FATAL): asked to start it again" in events
        assert told(stack.ctl("doctor")).bad == set()


def told_events(stack: Stack) -> str:
    """What tinybms-ctl events prints."""
    answer = stack.ctl("events")
    assert answer.returncode == 0, answer.stderr
    return answer.stdout
