"""The leak check finds each kind of leak, and nothing when all is put away."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

from harness_leaks import Leaks


def _finds(leaks: Leaks, expected: list[str]) -> bool:
    """Poll: the kernel shows the command of a new process a moment after it has started."""
    deadline = time.monotonic() + 5.0
    while (found := leaks.wait_until_gone(timeout_s=0.0)) != expected:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return found == expected


def test_nothing_is_found_when_all_is_put_away() -> None:
    leaks = Leaks(include_orphans=True)
    subprocess.run(["true"], check=True)
    with socket.create_server(("127.0.0.1", 0)):
        pass
    assert leaks.wait_until_gone(timeout_s=2.0) == []


def test_a_thread_is_found() -> None:
    leaks = Leaks(include_orphans=False)
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="forgotten")
    thread.start()
    assert leaks.wait_until_gone(timeout_s=0.0) == ["thread forgotten"]
    release.set()
    thread.join()
    assert leaks.wait_until_gone(timeout_s=2.0) == []


def test_a_listening_socket_is_found_and_a_connected_one_is_not() -> None:
    leaks = Leaks(include_orphans=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert len(leaks.wait_until_gone(timeout_s=0.0)) == 1
        with socket.create_connection(server.getsockname()):
            assert len(leaks.wait_until_gone(timeout_s=0.0)) == 1


def test_a_child_is_found_and_ended() -> None:
    leaks = Leaks(include_orphans=False)
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert _finds(leaks, [f"process {child.pid} sleep 60"])
        leaks.end_processes()
        assert _finds(leaks, [])
    finally:
        child.kill()
        child.wait()


def test_an_orphan_is_found() -> None:
    leaks = Leaks(include_orphans=True)
    script = "import subprocess; print(subprocess.Popen(['sleep', '60'], stdout=2).pid)"
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    orphan = int(done.stdout)
    try:
        assert _finds(leaks, [f"process {orphan} sleep 60"])
    finally:
        os.kill(orphan, signal.SIGKILL)
    assert _finds(leaks, [])
