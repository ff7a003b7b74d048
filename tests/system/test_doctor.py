"""tinybms-ctl status and doctor beside a whole gateway, as one thing after the other fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness_gateway import AS_NOBODY, GatewayFolder
from harness_mosquitto import Mosquitto
from harness_sim import SimBms, wait_until
from harness_stack import CONF, Stack
from tinybms_runtime.lock import ProcessLock, holder_pid
from tinybms_runtime.processes import NAMES

LINE = re.compile(r"[a-z_]+: (ok|warning|fault|running|hung|down|unknown)( |$)")
SIDE_WARNINGS = {"can_restart"}
"""An slcan adapter has no restart-ms, whatever else is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a command said, by name of the line, and its exit code."""

    code: int
    rows: dict[str, str]

    def word(self, name: str) -> str:
        """The state in a line; "" when there is no such line."""
        return self.rows.get(name, "").split(" ")[0]

    def with_word(self, *words: str) -> set[str]:
        """Names of the lines with one of these states."""
        return {name for name in self.rows if self.word(name) in words}

    @property
    def bad(self) -> set[str]:
        """Names of what is a fault, or a process that does not run."""
        return self.with_word("fault", "hung", "down")


def told(answer: subprocess.CompletedProcess[str]) -> Told:
    """The answer's lines; every one has the right form, and no name comes twice."""
    lines = answer.stdout.splitlines()
    assert lines, answer.stderr
    assert all(LINE.match(line) for line in lines), answer.stdout + answer.stderr
    rows = dict(line.split(": ", 1) for line in lines)
    assert len(rows) == len(lines), answer.stdout
    assert "Traceback" not in answer.stderr
    return Told(code=answer.returncode, rows=rows)


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


def expect(stack: Stack, bad: set[str], *, doctor_code: int, status_codes: set[int]) -> Told:
    """Wait until doctor calls just these bad; then both exit codes must fit. Doctor's answer."""
    doctor = told_when(stack, "doctor", lambda now: now.bad == bad)
    assert doctor.code == doctor_code, doctor.rows
    status = told(stack.ctl("status"))
    assert status.code in status_codes, status.rows
    return doctor


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
        well = expect(stack, set(), doctor_code=0, status_codes={0})
        assert well.with_word("warning") == SIDE_WARNINGS
        assert all(well.word(name) == "running" for name in (*NAMES, "supervisord"))
        _no_gx(stack)
        _no_bms(stack)
        _no_port(stack)
        _can_down(stack)
        _mqtt_broker_down(stack)


def _no_gx(stack: Stack) -> None:
    stack.gx.fault("gx_silent")
    doctor = expect(stack, {"gx"}, doctor_code=1, status_codes={1})
    assert "CAN-bus BMS (500 kbit/s)" in doctor.rows["gx"]
    stack.gx.fault("none")


def _no_bms(stack: Stack) -> None:
    stack.bms.scenario("silence")
    doctor = told_when(stack, "doctor", lambda now: now.word("bms") == "fault")
    assert (doctor.code, "check the cable" in doctor.rows["bms"]) == (1, True)
    status = told_when(stack, "status", lambda now: now.word("link") == "fault")
    assert status.code in {1, 2}
    assert "does not answer" in status.rows["link"]
    stack.bms.scenario("normal")
    stack.wait_until_well()


def _no_port(stack: Stack) -> None:
    stack.bms.unplug()
    doctor = told_when(stack, "doctor", lambda now: now.word("serial_port") == "fault")
    assert doctor.code == 1
    assert "not there" in doctor.rows["serial_port"]
    assert "bms" not in doctor.rows
    status = told_when(stack, "status", lambda now: now.word("link") == "fault")
    assert status.code in {1, 2}
    assert "cannot be opened" in status.rows["link"]
    stack.bms.replug()
    stack.wait_until_well()


def _can_down(stack: Stack) -> None:
    stack.gx.fault("adapter_gone")
    doctor = told_when(stack, "doctor", lambda now: now.word("can_interface") == "fault")
    assert doctor.code == 1
    assert doctor.bad == {"can_interface"}
    status = told_when(stack, "status", lambda now: now.word("can") == "fault")
    assert status.code == 1
    stack.gx.fault("none")
    stack.wait_until_well()


def _mqtt_broker_down(stack: Stack) -> None:
    stack.broker.stop()
    doctor = expect(stack, {"mqtt_connect", "mqtt_session"}, doctor_code=1, status_codes={1})
    assert "check mqtt.port" in doctor.rows["mqtt_connect"]
    assert told(stack.ctl("status")).word("mqtt") == "fault"
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
        orphaned = expect(stack, {"supervisord"}, doctor_code=0, status_codes={1})
        assert "tinybms-ctl up" in orphaned.rows["supervisord"]
        assert all(orphaned.word(name) == "running" for name in NAMES)


def _health_down(stack: Stack) -> None:
    supervisorctl(stack, "stop", "health")
    doctor = expect(stack, {"health"}, doctor_code=0, status_codes={1})
    assert "restart health" in doctor.rows["health"]
    supervisorctl(stack, "start", "health")
    stack.wait_until_well()


def _broker_down(stack: Stack) -> None:
    """Acquisition is asked directly, so the line is known to be well all the same."""
    supervisorctl(stack, "stop", "broker")
    doctor = told_when(stack, "doctor", lambda now: now.word("broker") == "down")
    assert (doctor.code, doctor.word("bms")) == (1, "ok")
    status = told_when(stack, "status", lambda now: now.word("broker") == "down")
    assert status.code in {1, 2}
    supervisorctl(stack, "start", "broker")
    stack.wait_until_well()


class StackWithFatal(Stack):
    """A gateway whose mqtt_out ends at once and is given up by supervisord."""

    def _start_command(self) -> list[str]:
        text = CONF.read_text(encoding="utf-8")
        head, rest = text.split("[program:mqtt_out]", 1)
        rest = rest.replace("python -P -m tinybms_mqtt_out", "false", 1)
        rest = rest.replace("startretries=1000", "startretries=0", 1)
        conf = self.folder / "supervisord.conf"
        conf.write_text(f"{head}[program:mqtt_out]{rest}", encoding="utf-8")
        return [*super()._start_command()[:-1], str(conf)]


@pytest.mark.long
@pytest.mark.timeout(120)
def test_a_program_in_fatal_is_a_fault_with_its_name(run_dir: Path) -> None:
    with StackWithFatal(run_dir) as stack:
        stack.wait_for(lambda: (stack.status() or {}).get("status") == "partial", 30.0)

        def fatal(now: Told) -> bool:
            return "FATAL" in now.rows["mqtt_out"]

        doctor = told_when(stack, "doctor", fatal)
        assert (doctor.code, doctor.word("mqtt_out")) == (1, "down")
        assert "logs mqtt_out" in doctor.rows["mqtt_out"]
        assert doctor.bad == {"mqtt_out"}
        status = told_when(stack, "status", fatal)
        assert (status.code, status.word("mqtt_out")) == (1, "down")


def gateway_alone(run_dir: Path, **tables: dict[str, object]) -> GatewayFolder:
    """A gateway of which only single processes are started; health and GX are away."""
    base: dict[str, dict[str, object]] = {
        "can": {"enabled": False},
        "mqtt": {"enabled": False},
        "health": {"listen": "127.0.0.1:9"},
    }
    return GatewayFolder(run_dir, {**base, **tables})


def ctl(gateway: GatewayFolder, command: str, *before: str) -> Told:
    """Run tinybms-ctl, perhaps behind other words (as another user)."""
    answer = subprocess.run(
        [*before, sys.executable, "-P", "-m", "tinybms_ctl", command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        env={**os.environ, "TINYBMS_CONFIG": str(gateway.config_file)},
        check=False,
    )
    return told(answer)


def test_a_wrong_password_is_named(run_dir: Path) -> None:
    users, secret = run_dir / "users", run_dir / "secret"
    subprocess.run(["mosquitto_passwd", "-c", "-b", users, "gateway", "right"], check=True)
    users.chmod(0o644)
    secret.write_text("wrong\n")
    folder = run_dir / "mosquitto"
    folder.mkdir()
    with Mosquitto(folder, extra_config=f"password_file {users}", anonymous=False) as broker:
        mqtt: dict[str, object] = {
            "port": broker.port,
            "username": "gateway",
            "password_file": str(secret),
        }
        gateway = gateway_alone(run_dir, mqtt=mqtt)
        with gateway:
            for name in ("broker", "mqtt_out"):
                gateway.start(name)
            wait_until(lambda: ctl(gateway, "doctor").word("mqtt_session") == "fault", 20, "")
            doctor, status = ctl(gateway, "doctor"), ctl(gateway, "status")
            assert (doctor.code, doctor.word("mqtt_login")) == (1, "fault")
            assert "mqtt.password_file" in doctor.rows["mqtt_login"]
            assert doctor.word("mqtt_connect") == "ok"
            assert (status.code, status.word("mqtt")) == (2, "fault")
            assert "not authori" in status.rows["mqtt"].lower()


def test_everything_down_is_a_fault_and_the_bms_is_asked_by_doctor_itself(run_dir: Path) -> None:
    with SimBms(run_dir / "sim", name="bms") as bms:
        gateway = gateway_alone(run_dir, acquisition={"port": str(bms.link)})
        doctor = ctl(gateway, "doctor")
        assert (doctor.code, doctor.word("supervisord")) == (1, "down")
        assert "tinybms-ctl up" in doctor.rows["supervisord"]
        assert (doctor.word("acquisition"), doctor.word("bms")) == ("down", "ok")
        assert "answered doctor itself" in doctor.rows["bms"]
        assert ctl(gateway, "status").code == 2
        left = list(gateway.paths.run_dir.iterdir())
        assert left == [], "root's doctor would leave what the gateway's user can't open"


def test_doctor_asks_nothing_on_a_port_that_has_an_owner(run_dir: Path) -> None:
    with SimBms(run_dir / "sim", name="bms") as bms:
        gateway = gateway_alone(run_dir, acquisition={"port": str(bms.link)})
        owner = ProcessLock(gateway.paths.lock("acquisition"))
        owner.acquire()
        try:
            doctor = ctl(gateway, "doctor")
        finally:
            owner.release()
        assert "bms" not in doctor.rows
        assert bms.status()["requests"] == 0
        assert "answered doctor itself" in ctl(gateway, "doctor").rows["bms"]
        assert bms.status()["requests"] > 0


HOLD_PORT = """
import serial, sys, time
port = serial.Serial(sys.argv[1], exclusive=True)
print("held", flush=True)
time.sleep(120)
"""


def test_a_port_that_another_program_holds_is_named_with_that_program(run_dir: Path) -> None:
    with SimBms(run_dir / "sim", name="bms") as bms:
        rival = subprocess.Popen(
            [sys.executable, "-c", HOLD_PORT, str(bms.link)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert rival.stdout is not None
            assert rival.stdout.readline() == "held\n"
            with gateway_alone(run_dir, acquisition={"port": str(bms.link)}) as gateway:
                stopped = ctl(gateway, "doctor")
                for name in ("broker", "acquisition"):
                    gateway.start(name)
                lock = gateway.paths.lock("acquisition")
                wait_until(lambda: holder_pid(lock) is not None, 10, "acquisition")
                started = ctl(gateway, "doctor")
        finally:
            rival.kill()
            rival.communicate()
        for doctor in (stopped, started):
            assert (doctor.code, doctor.word("serial_owner")) == (1, "fault")
            assert f"(pid {rival.pid})" in doctor.rows["serial_owner"]
            assert "bms" not in doctor.rows


def closed_to_the_gateway(gateway: GatewayFolder, port: Path) -> tuple[str, ...]:
    """Make the port one that the gateway's user may not open; words that run a program as it."""
    if os.getuid() != 0:
        port.resolve().chmod(0)
        return ()
    gateway.folder.chmod(0o755)
    port.parent.chmod(0o755)
    gateway.config_file.chmod(0o644)
    for folder in (gateway.paths.run_dir, gateway.paths.state_dir, gateway.paths.log_dir):
        os.chown(folder, 65534, 65534)
    port.resolve().chmod(0o600)
    return AS_NOBODY


@pytest.mark.long
def test_a_port_that_the_gateways_user_may_not_open_is_named(run_dir: Path) -> None:
    with SimBms(run_dir / "sim", name="bms") as bms:
        gateway = gateway_alone(run_dir, acquisition={"port": str(bms.link)})
        before = closed_to_the_gateway(gateway, bms.link)
        processes = [
            subprocess.Popen(
                [*before, sys.executable, "-P", "-m", f"tinybms_{name}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "TINYBMS_CONFIG": str(gateway.config_file)},
            )
            for name in ("broker", "acquisition")
        ]
        try:
            lock = gateway.paths.lock("acquisition")
            wait_until(lambda: holder_pid(lock) is not None, 10, "acquisition")
            wait_until(
                lambda: ctl(gateway, "doctor").word("serial_rights") == "fault", 20, "the fault"
            )
            doctor, status = ctl(gateway, "doctor"), ctl(gateway, "status")
            own = ctl(gateway, "doctor", *before)
        finally:
            for process in processes:
                process.terminate()
                process.wait(10)
        for answer in (doctor, own):
            assert answer.code == 1
            assert "usermod" in answer.rows["serial_rights"]
            assert "bms" not in answer.rows
        assert (status.code, status.word("link")) == (2, "fault")
        assert "Permission denied" in status.rows["link"]


@pytest.mark.long
def test_a_stranger_is_told_that_doctor_could_not_look(run_dir: Path) -> None:
    gateway = gateway_alone(run_dir)
    run_dir.chmod(0o755)
    gateway.config_file.chmod(0o644)
    gateway.paths.run_dir.chmod(0o750 if os.getuid() == 0 else 0)
    before = AS_NOBODY if os.getuid() == 0 else ()
    try:
        doctor, status = ctl(gateway, "doctor", *before), ctl(gateway, "status", *before)
    finally:
        gateway.paths.run_dir.chmod(0o750)
    assert (doctor.code, doctor.word("rights")) == (3, "warning")
    assert "gateway's user" in doctor.rows["rights"]
    assert "broker" not in doctor.rows
    assert status.code == 2
    assert status.with_word("unknown") >= {"supervisord", *NAMES}


def test_a_refused_configuration_is_exit_code_3_with_the_reason(run_dir: Path) -> None:
    file = run_dir / "gateway.toml"
    file.write_text("[can]\nx = 1\n")
    answer = subprocess.run(
        [sys.executable, "-P", "-m", "tinybms_ctl", "doctor", "--config", str(file)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (answer.returncode, answer.stdout) == (3, "")
    assert "can.x" in answer.stderr
