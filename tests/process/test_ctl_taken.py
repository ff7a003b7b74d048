"""Ports that another program has are named before the gateway is started."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness_net import LOOPBACK, free_port
from tinybms_config.parse import parse
from tinybms_ctl.taken import taken

HOLD = "import sys; port = open(sys.argv[1], 'rb', buffering=0); print('open', flush=True); input()"


def sentences(listen: str, port: str) -> list[str]:
    text = f"""
        [acquisition]
        port = "{port}"
        [can]
        interface = "slcan"
        channel = "{port}"
        [health]
        listen = "{listen}"
    """
    text = "\n".join(line.strip() for line in text.splitlines())
    return list(taken(parse(text, {}).config))


@contextmanager
def held(path: str) -> Iterator[int]:
    """Another process that has the file open; its pid."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        yield holder.pid


@pytest.fixture
def port() -> Iterator[str]:
    far, near = pty.openpty()
    name = os.ttyname(near)
    os.close(near)
    yield name
    os.close(far)


def test_what_is_free_is_not_named(port: str) -> None:
    assert sentences(f"{LOOPBACK}:{free_port()}", port) == []


def test_a_port_where_somebody_listens_is_named() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        listen = f"{LOOPBACK}:{server.getsockname()[1]}"
        (said,) = sentences(listen, "/dev/nothing")
    assert said.startswith(f"health.listen = {listen}: Address already in use")


def test_a_serial_port_that_is_open_elsewhere_is_named_with_who_has_it(port: str) -> None:
    with held(port) as pid:
        said = sentences(f"{LOOPBACK}:{free_port()}", port)
    assert [one.partition(" = ")[0] for one in said] == ["acquisition.port", "can.channel"]
    assert all(f"(pid {pid})" in one for one in said)
