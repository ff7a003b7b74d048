"""The buffer's first form: it runs, says that it holds nothing, and writes no file."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from harness_gateway import BusProbe, GatewayFolder
from tinybms_messages.status import BufferStatus
from tinybms_messages.topics import BUFFER_STATUS, HEARTBEAT


@pytest.mark.parametrize(("enabled", "state"), [(True, "idle"), (False, "disabled")])
def test_it_reports_each_second_that_it_holds_nothing(
    run_dir: Path, enabled: bool, state: str
) -> None:
    with (
        GatewayFolder(run_dir, {"buffer": {"enabled": enabled}}) as gateway,
        BusProbe(gateway.paths) as probe,
    ):
        probe.listen(BUFFER_STATUS, HEARTBEAT)
        gateway.start("broker")
        gateway.start("buffer")
        assert probe.wait_for(lambda: len(probe.bodies(BUFFER_STATUS)) >= 3)
        assert set(map(repr, probe.bodies(BUFFER_STATUS))) == {repr(BufferStatus(state=state))}
        assert probe.wait_for(lambda: any(beat.state == state for beat in probe.bodies(HEARTBEAT)))
        assert list(gateway.paths.state_dir.iterdir()) == []
        assert gateway.stop("buffer") == 0


def test_it_lives_without_a_broker_and_runs_with_less_priority(run_dir: Path) -> None:
    with GatewayFolder(run_dir, {}) as gateway, BusProbe(gateway.paths) as probe:
        probe.listen(BUFFER_STATUS)
        process = gateway.start("buffer")
        assert not probe.wait_for(lambda: process.poll() is not None, 1.0)
        nice = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[16])
        assert nice == 10
        gateway.start("broker")
        assert probe.wait_for(lambda: bool(probe.bodies(BUFFER_STATUS)))
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
