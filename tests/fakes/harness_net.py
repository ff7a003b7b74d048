"""Network helpers for tests; everything stays on the loopback interface."""

import contextlib
import os
import random
import socket
import time

LOOPBACK = "127.0.0.1"
PORTS = range(20_000, 32_000)
"""Below those that the kernel gives to outgoing connections, which would take a port that a test
keeps closed for seconds."""
_rng = random.Random(os.getpid())  # not the global one: each test begins that with the same seed


def free_port() -> int:
    """Return a TCP port that nobody uses now. Workers of one test run never get the same one."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ours = PORTS[worker % workers :: workers]
    while True:
        port = _rng.choice(ours)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port


def wait_for_port(port: int, timeout_s: float) -> bool:
    """Tell whether a server accepts connections on the port before the time is over."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return True
        time.sleep(0.01)
    return False
