"""tinybms-ctl as a real process: configuration, folders, and a gateway that is all down."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness_gateway import AS_NOBODY, BusProbe, GatewayFolder
from harness_net import wait_for_port
from harness_sim import wait_until
from tinybms_ctl.system import command_line
from tinybms_messages.status import Heartbeat
from tinybms_messages.topics import HEARTBEAT
from tinybms_runtime.lock import ProcessLock, holder_pid
from tinybms_runtime.processes import NAMES


def ctl(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TINYBMS_C")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "tinybms_ctl", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        env={**environment, **environ},
        check=False,
    )


def test_a_good_configuration_is_ok(run_dir: Path) -> None:
    gateway = GatewayFolder(run_dir, {})
    answer = ctl("config", "check", str(gateway.config_file))
    assert (answer.returncode, answer.stdout) == (0, f"{gateway.config_file}: ok\n")


def test_every_fault_of_a_configuration_is_printed_with_exit_code_78(run_dir: Path) -> None:
    file = run_dir / "bad.toml"
    file.write_text('[mqtt]\nport = 99999\n[can]\nbitrate = "fast"\nspeed = 1\n')
    answer = ctl("config", "check", str(file))
    assert answer.returncode == 78
    for word in (str(file), "mqtt.port", "99999", "can.bitrate", "fast", "can.speed"):
        assert word in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_missing_file_is_a_configuration_error(run_dir: Path) -> None:
    answer = ctl("config", "check", TINYBMS_CONFIG=str(run_dir / "none.toml"))
    assert answer.returncode == 78
    assert "none.toml" in answer.stderr


def test_an_environment_that_differs_is_a_warning(run_dir: Path) -> None:
    gateway = GatewayFolder(run_dir, {})
    answer = ctl("config", "check", str(gateway.config_file), TINYBMS_RUN_DIR="/run/other")
    assert answer.returncode == 0
    assert "warning: gateway.run_dir" in answer.stdout


def test_up_refuses_a_bad_configuration_and_makes_nothing(run_dir: Path) -> None:
    file = run_dir / "bad.toml"
    file.write_text(f'[gateway]\nrun_dir = "{run_dir}/run"\n[can]\nx = 1\n')
    answer = ctl("up", "--config", str(file))
    assert answer.returncode == 78
    assert not (run_dir / "run").exists()


def test_up_says_which_folder_it_cannot_make(run_dir: Path) -> None:
    (run_dir / "file").write_text("")
    file = run_dir / "gateway.toml"
    file.write_text(f'[gateway]\nrun_dir = "{run_dir}/file/run"\n')
    answer = ctl("up", "--config", str(file))
    assert answer.returncode == 75
    assert f"{run_dir}/file" in answer.stderr


def test_status_with_everything_down_says_so_with_exit_code_2(run_dir: Path) -> None:
    gateway = GatewayFolder(run_dir, {"health": {"listen": "127.0.0.1:9"}})
    answer = ctl("status", "--config", str(gateway.config_file))
    assert answer.returncode == 2
    lines = answer.stdout.splitlines()
    assert all(re.match(r"[a-z_]+: [a-z]+( |$)", line) for line in lines)
    for name in (*NAMES, "supervisord"):
        assert any(line.startswith(f"{name}: down") for line in lines)
    assert any(line.startswith("data: fault") for line in lines)


def test_status_as_json_is_the_document(run_dir: Path) -> None:
    gateway = GatewayFolder(run_dir, {"health": {"listen": "127.0.0.1:9"}})
    answer = ctl("status", "--json", "--config", str(gateway.config_file))
    document = json.loads(answer.stdout)
    assert answer.returncode == 2
    assert (document["status"], document["observer"]) == ("down", "tinybms-ctl")
    assert set(document["processes"]) == set(NAMES)


def test_status_works_when_the_folders_do_not_exist(run_dir: Path) -> None:
    file = run_dir / "gateway.toml"
    file.write_text(f'[gateway]\nrun_dir = "{run_dir}/none"\n[health]\nlisten = "127.0.0.1:9"\n')
    answer = ctl("status", "--config", str(file))
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr


def test_status_of_a_bad_configuration_is_2_with_the_reason(run_dir: Path) -> None:
    file = run_dir / "gateway.toml"
    file.write_text("[can]\nx = 1\n")
    answer = ctl("status", "--config", str(file))
    assert answer.returncode == 2
    assert "can.x" in answer.stderr


def test_status_without_health_finds_the_others_by_lock_and_bus(run_dir: Path) -> None:
    with GatewayFolder(run_dir, {"health": {"listen": "127.0.0.1:9"}}) as gateway:
        processes = {name: gateway.start(name) for name in ("broker", "buffer")}
        wait_until(
            lambda: all(holder_pid(gateway.paths.lock(name)) for name in processes), 10, "locks"
        )
        answer = ctl("status", "--config", str(gateway.config_file))
        assert answer.returncode == 2
        for name, process in processes.items():
            assert f"{name}: running pid {process.pid}" in answer.stdout
        assert "buffer_store: ok idle" in answer.stdout
        assert "health: down" in answer.stdout


def test_a_stopped_process_is_hung(run_dir: Path) -> None:
    with GatewayFolder(run_dir, {"health": {"listen": "127.0.0.1:9"}}) as gateway:
        process = gateway.start("broker")
        wait_until(lambda: bool(holder_pid(gateway.paths.lock("broker"))), 10, "the lock")
        process.send_signal(signal.SIGSTOP)
        answer = ctl("status", "--config", str(gateway.config_file))
        assert f"broker: hung pid {process.pid}" in answer.stdout


def test_a_health_that_takes_connections_but_is_silent_is_hung(
    run_dir: Path, free_port: Callable[[], int]
) -> None:
    """Its loop beats, as a stand-in's heartbeat shows, but nobody gets an answer."""
    port = free_port()
    gateway = GatewayFolder(run_dir, {"health": {"listen": f"127.0.0.1:{port}"}})
    lock = ProcessLock(gateway.paths.lock("health"))
    lock.acquire()
    beat = Heartbeat(state="ok", pid=os.getpid(), uptime_s=60.0, lag_ms=0, cpu_s=0, rss_bytes=1)
    with (
        gateway,
        socket.create_server(("127.0.0.1", port)),
        BusProbe(gateway.paths, "health") as bus,
    ):
        gateway.start("broker")
        wait_until(lambda: bool(holder_pid(gateway.paths.lock("broker"))), 10, "the broker")

        def beats_and_is_hung() -> bool:
            bus.publish(HEARTBEAT, beat)
            bus.wait_for(lambda: False, 0.1)
            answer = ctl("status", "--config", str(gateway.config_file))
            line = next(one for one in answer.stdout.splitlines() if one.startswith("health: "))
            heard = re.search(r"last heartbeat ([0-9.]+) s ago", line)
            return line.startswith("health: hung") and heard is not None and float(heard[1]) < 10

        wait_until(beats_and_is_hung, 20, "a heartbeat that was heard, and hung")
    lock.release()


def test_down_without_supervisord_says_so(run_dir: Path) -> None:
    gateway = GatewayFolder(run_dir, {})
    answer = ctl("down", "--config", str(gateway.config_file))
    assert answer.returncode == 1
    assert "no supervisord" in answer.stderr


def test_up_refuses_while_the_process_in_supervisords_pid_file_lives(run_dir: Path) -> None:
    gateway = GatewayFolder(run_dir, {})
    words = [sys.executable, "-c", "import time; time.sleep(60)", "supervisord"]
    with subprocess.Popen(words) as stand_in:
        try:
            wait_until(lambda: "supervisord" in command_line(stand_in.pid), 5, "the process")
            stand_in.send_signal(signal.SIGSTOP)
            gateway.paths.supervisor_pid_file.write_text(f"{stand_in.pid}\n")
            answer = ctl("up", "--config", str(gateway.config_file))
            assert answer.returncode == 75
            assert str(stand_in.pid) in answer.stderr
        finally:
            stand_in.kill()


def as_stranger(run_dir: Path) -> list[str]:
    """Let a command run without rights in the run folder; the rest of the folder is readable."""
    run_dir.chmod(0o755)
    (run_dir / "gateway.toml").chmod(0o644)
    if os.getuid() == 0:
        (run_dir / "run").chmod(0o750)
        return list(AS_NOBODY)
    (run_dir / "run").chmod(0)
    return []


def status_as_stranger(gateway: GatewayFolder) -> subprocess.CompletedProcess[str]:
    words = as_stranger(gateway.folder)
    try:
        return subprocess.run(
            [*words, sys.executable, "-P", "-m", "tinybms_ctl", "status"],
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "TINYBMS_CONFIG": str(gateway.config_file)},
            check=False,
        )
    finally:
        gateway.paths.run_dir.chmod(0o750)


@pytest.mark.long
def test_a_user_without_rights_is_told_so(run_dir: Path) -> None:
    gateway = GatewayFolder(run_dir, {"health": {"listen": "127.0.0.1:9"}})
    answer = status_as_stranger(gateway)
    assert answer.returncode == 2, answer.stderr
    assert "supervisord: unknown" in answer.stdout
    assert "gateway's user" in answer.stdout


@pytest.mark.long
def test_a_user_without_rights_sees_what_health_tells(
    run_dir: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    with GatewayFolder(run_dir, {"health": {"listen": f"127.0.0.1:{port}"}}) as gateway:
        gateway.start("broker")
        process = gateway.start("health")
        assert wait_for_port(port, 10)
        wait_until(
            lambda: f"running pid {process.pid}" in status_as_stranger(gateway).stdout, 15, ""
        )


@pytest.mark.parametrize("words", [("demo", "--help"), ("status", "--help"), ("--help",)])
def test_help_is_there(words: tuple[str, ...]) -> None:
    assert ctl(*words).returncode == 0
