"""With every peer down, an hour of all logs together stays far below a megabyte."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from fake_slcan import FakeSlcan
from harness_gateway import GatewayFolder
from harness_hour import running
from harness_net import LOOPBACK
from tinybms_acquisition.service import AcquisitionService
from tinybms_broker.service import BrokerService
from tinybms_buffer.service import build as build_buffer
from tinybms_can_out.service import CanOutService
from tinybms_health.service import HealthService
from tinybms_mqtt_out.service import build as build_mqtt_out
from tinybms_runtime.processes import NAMES
from tinybms_runtime.runner import Build

HOUR_S = 3600.0
LINES_AT_MOST = 10
"""One for each outage and each thing that begins; what is tried in vain meanwhile has none."""
NOBODYS_PORT = 1
A_FAIR_SHARE = 1_000_000 // len(NAMES)
BUILDS: Mapping[str, Build] = {
    "broker": BrokerService,
    "acquisition": AcquisitionService,
    "can_out": CanOutService,
    "mqtt_out": build_mqtt_out,
    "buffer": build_buffer,
    "health": HealthService,
}


@pytest.fixture
def short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let health's thread ask supervisord in a time that is to it what half a second is to us."""
    monkeypatch.setattr("tinybms_health.supervision.PERIOD_S", 0.001)


@pytest.mark.usefixtures("short_polls")
@pytest.mark.parametrize("name", NAMES)
def test_an_hour_without_any_peer_fills_no_log(run_dir: Path, name: str) -> None:
    gateway = GatewayFolder(
        run_dir,
        {
            "acquisition": {"port": str(run_dir / "no-port")},
            "can": {"interface": "slcan", "channel": str(run_dir / "no-adapter")},
            "mqtt": {"host": LOOPBACK, "port": NOBODYS_PORT},
            "health": {"listen": f"{LOOPBACK}:{NOBODYS_PORT}"},
        },
    )
    with running(gateway, name, BUILDS[name]) as (let_pass, written):
        let_pass(HOUR_S)
        assert len(written.lines) <= LINES_AT_MOST, written.lines[-20:]
        assert written.size < A_FAIR_SHARE


@pytest.mark.usefixtures("short_polls")
@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"broker", "buffer"}])
def test_an_hour_with_peers_that_are_there_but_mute_fills_no_log(run_dir: Path, name: str) -> None:
    with (
        FakeSlcan(run_dir / "mute-bms", answers=False),
        FakeSlcan(run_dir / "mute-adapter", answers=False),
        socket.create_server((LOOPBACK, 0), backlog=1000) as server,
    ):
        port = server.getsockname()[1]
        gateway = GatewayFolder(
            run_dir,
            {
                "acquisition": {"port": str(run_dir / "mute-bms")},
                "can": {"interface": "slcan", "channel": str(run_dir / "mute-adapter")},
                "mqtt": {"host": LOOPBACK, "port": port},
                "health": {"listen": f"{LOOPBACK}:{port}"},
            },
        )
        with running(gateway, name, BUILDS[name]) as (let_pass, written):
            let_pass(HOUR_S)
            assert 0 < len(written.lines) <= LINES_AT_MOST, written.lines[-20:]
            assert written.size < A_FAIR_SHARE
