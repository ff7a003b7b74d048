"""tinybms-ctl status and doctor where next to nothing of the gateway runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness_doctor import Told, told
from harness_gateway import AS_NOBODY, GatewayFolder
from harness_mosquitto import Mosquitto, users_file
from harness_sim import SimBms, wait_until
from tinybms_runtime.lock import ProcessLock, holder_pid
from tinybms_runtime.processes import NAMES


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
    users = users_file(run_dir / "users", "gateway", "right")
    secret = run_dir / "secret"
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
