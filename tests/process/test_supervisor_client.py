"""Calls to a real supervisord, to a mute one and to none: an answer or an error within a second."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness_sim import wait_until
from tinybms_ctl.restarting import added, removed, replaced
from tinybms_health.supervision import Answer, Supervision
from tinybms_health.watchdog import Action, Deed
from tinybms_runtime.clock import SystemClock
from tinybms_runtime.loop import Loop
from tinybms_runtime.supervisor import (
    Changes,
    SupervisorClient,
    SupervisorError,
    SupervisorUnreachableError,
)

CONF = """
[unix_http_server]
file={folder}/supervisor.sock
[supervisord]
nodaemon=true
pidfile={folder}/supervisord.pid
logfile={folder}/supervisord.log
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:good]
command=sleep 1000
stdout_logfile={folder}/good.log
[program:bad]
command=sh -c 'test ! -e {folder}/cured || exec sleep 1000; exec false'
startretries=0
stdout_logfile={folder}/bad.log
"""


@contextmanager
def started(run_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisord with its socket in `run_dir`, ended at the end."""
    conf = run_dir / "supervisord.conf"
    conf.write_text(CONF.format(folder=run_dir))
    program = Path(sys.executable).parent / "supervisord"
    with (run_dir / "output").open("wb") as output:
        process = subprocess.Popen(
            [str(program), "-n", "-c", str(conf)], stdout=output, stderr=output
        )
    yield process
    process.send_signal(signal.SIGCONT)
    process.terminate()
    process.wait(20)


@pytest.fixture
def supervisord(run_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    with started(run_dir) as process:
        yield process


@pytest.fixture
def client(run_dir: Path) -> Iterator[SupervisorClient]:
    client = SupervisorClient(run_dir / "supervisor.sock", timeout_s=0.5)
    yield client
    client.close()


def state(client: SupervisorClient, name: str) -> str:
    try:
        return client.programs()[name].state
    except SupervisorUnreachableError:
        return "no answer"


def test_it_tells_pids_and_states(
    supervisord: subprocess.Popen[bytes], client: SupervisorClient
) -> None:
    wait_until(lambda: state(client, "good") == "RUNNING", 10, "the good program")
    wait_until(lambda: state(client, "bad") == "FATAL", 10, "the end of the bad one")
    programs = client.programs()
    assert Path(f"/proc/{programs['good'].pid}").exists()
    assert programs["bad"].pid == 0
    connections = client.connections
    assert client.pid() == supervisord.pid
    assert client.connections == connections


def test_each_supervisord_is_a_connection_of_its_own(
    supervisord: subprocess.Popen[bytes], run_dir: Path, client: SupervisorClient
) -> None:
    wait_until(lambda: state(client, "good") == "RUNNING", 10, "the good program")
    before = client.connections
    client.shutdown()
    supervisord.wait(20)
    assert state(client, "good") == "no answer"
    with started(run_dir):
        wait_until(lambda: state(client, "good") == "RUNNING", 10, "the next supervisord")
        assert client.connections > before


@pytest.mark.usefixtures("supervisord")
def test_a_kill_ends_even_a_stopped_program_and_it_comes_back(client: SupervisorClient) -> None:
    wait_until(lambda: state(client, "good") == "RUNNING", 10, "the good program")
    pid = client.programs()["good"].pid
    os.kill(pid, signal.SIGSTOP)
    client.kill("good")
    wait_until(lambda: client.programs()["good"].pid not in {0, pid}, 10, "its successor")


@pytest.mark.usefixtures("supervisord")
def test_a_fatal_program_can_be_started_again(client: SupervisorClient) -> None:
    wait_until(lambda: state(client, "bad") == "FATAL", 10, "the end of the bad program")
    client.start("bad")
    wait_until(lambda: state(client, "bad") in {"STARTING", "BACKOFF", "FATAL"}, 5, "its start")


@pytest.mark.usefixtures("supervisord")
def test_what_supervisord_refuses_is_said_and_the_next_call_works(client: SupervisorClient) -> None:
    wait_until(lambda: state(client, "good") == "RUNNING", 10, "the good program")
    with pytest.raises(SupervisorError, match="BAD_NAME"):
        client.kill("unknown")
    assert client.programs()


def test_a_stopped_supervisord_is_hung(
    supervisord: subprocess.Popen[bytes], client: SupervisorClient
) -> None:
    wait_until(lambda: state(client, "good") == "RUNNING", 10, "the good program")
    supervisord.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(SupervisorUnreachableError) as raised:
        client.programs()
    assert raised.value.hung
    assert time.monotonic() - begun < 2
    supervisord.send_signal(signal.SIGCONT)
    wait_until(lambda: state(client, "good") == "RUNNING", 5, "an answer")


def test_nobody_there_is_down(client: SupervisorClient) -> None:
    with pytest.raises(SupervisorUnreachableError) as raised:
        client.programs()
    assert not raised.value.hung


def test_a_socket_file_without_a_listener_is_down(run_dir: Path, client: SupervisorClient) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(run_dir / "supervisor.sock"))
    with pytest.raises(SupervisorUnreachableError) as raised:
        client.pid()
    assert not raised.value.hung


def test_a_mute_listener_with_a_full_queue_is_hung(run_dir: Path, client: SupervisorClient) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(run_dir / "supervisor.sock"))
        mute.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(run_dir / "supervisor.sock"))
            with pytest.raises(SupervisorUnreachableError) as raised:
                client.pid()
            assert raised.value.hung


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 500 no\r\n\r\n", b"\x00\xff", b"SSH-2.0\r\n"])
def test_another_server_on_the_socket_is_an_error_in_words(
    run_dir: Path, client: SupervisorClient, answer: bytes
) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(run_dir / "supervisor.sock"))
        other.listen(4)
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(other.fileno()), answer.hex()],
            pass_fds=[other.fileno()],
        )
        try:
            with pytest.raises(SupervisorError):
                client.pid()
        finally:
            process.kill()
            process.wait()


SERVE = """
import socket, sys
server = socket.socket(fileno=int(sys.argv[1]))
while True:
    client, _ = server.accept()
    client.recv(4096)
    client.sendall(bytes.fromhex(sys.argv[2]))
    client.close()
"""


def test_a_changed_file_is_read_again_and_takes_effect_program_by_program(
    supervisord: subprocess.Popen[bytes], client: SupervisorClient, run_dir: Path
) -> None:
    wait_until(lambda: state(client, "good") == "RUNNING", 10, "the good program")
    assert client.reread() == Changes(added=(), changed=(), removed=())
    text = CONF.format(folder=run_dir).replace("=sleep 1000", "=sleep 1001")
    text = text.replace("[program:bad]", "[program:fresh]").replace("false", "sleep 1002")
    (run_dir / "supervisord.conf").write_text(text)
    assert client.reread() == Changes(added=("fresh",), changed=("good",), removed=("bad",))
    assert replaced(client, "good") != 0
    assert added(client, "fresh") != 0
    removed(client, "bad")
    programs = client.programs()
    assert {name: one.state for name, one in programs.items()} == (
        {"good": "RUNNING", "fresh": "RUNNING"}
    )
    assert Path(f"/proc/{programs['good'].pid}/cmdline").read_bytes() == b"sleep\x001001\x00"
    assert client.reread() == Changes(added=(), changed=(), removed=())
    assert supervisord.poll() is None


@contextmanager
def asked_by_health(run_dir: Path) -> Iterator[tuple[Supervision, Loop, list[Answer]]]:
    """The thread of health that asks, and all the answers it was given."""
    loop = Loop(SystemClock(trust_clock=True))
    answers: list[Answer] = []
    supervision = Supervision(
        run_dir / "supervisor.sock",
        loop,
        on_answer=answers.append,
        on_failed=lambda action, error: pytest.fail(f"{action}: {error}"),
    )
    supervision.start()
    try:
        yield supervision, loop, answers
    finally:
        supervision.stop()
        loop.close()


def pid_in(answers: list[Answer], name: str) -> int:
    programs = answers[-1].programs if answers else None
    return programs[name].pid if programs else 0


@pytest.mark.usefixtures("supervisord")
def test_the_end_of_a_program_is_asked_about_at_once_and_often(run_dir: Path) -> None:
    with asked_by_health(run_dir) as (_, loop, answers):
        assert loop.run_until(lambda: pid_in(answers, "good") != 0, 10)
        pid = pid_in(answers, "good")
        loop.run_until(lambda: False, 0.2)
        answers.clear()
        os.kill(pid, signal.SIGKILL)
        assert loop.run_until(lambda: pid_in(answers, "good") not in {0, pid}, 10)
        loop.run_until(lambda: False, 1.5)
        assert 6 <= len(answers) <= 100, "neither once a second nor without any pause"


@pytest.mark.usefixtures("supervisord")
def test_health_has_a_fatal_program_started_again(run_dir: Path, client: SupervisorClient) -> None:
    wait_until(lambda: state(client, "bad") == "FATAL", 10, "the end of the bad program")
    (run_dir / "cured").touch()
    with asked_by_health(run_dir) as (supervision, loop, answers):
        supervision.order(Action(deed=Deed.START, name="bad", text="once more"))
        assert loop.run_until(lambda: pid_in(answers, "bad") != 0, 10)
