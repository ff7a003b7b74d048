"""mqtt_out raises the alarm when health is stopped: nobody else would."""

from __future__ import annotations

import signal
from pathlib import Path

from harness_gateway import BusProbe, GatewayFolder
from harness_net import LOOPBACK, free_port
from tinybms_messages.topics import GATEWAY_EVENT


def test_a_stopped_health_is_said_as_an_alarm_and_its_return_too(run_dir: Path) -> None:
    tables: dict[str, dict[str, object]] = {
        "health": {"listen": f"{LOOPBACK}:{free_port()}"},
        "mqtt": {"port": free_port()},
    }
    with GatewayFolder(run_dir, tables) as gateway, BusProbe(gateway.paths) as probe:
        probe.listen(GATEWAY_EVENT)
        for name in ("broker", "mqtt_out", "health"):
            gateway.start(name)

        def said(code: str) -> bool:
            return any(event.code == code for event in probe.bodies(GATEWAY_EVENT))

        assert not probe.wait_for(lambda: said("health_silent"), 4.0)
        gateway.processes["health"].send_signal(signal.SIGSTOP)
        assert probe.wait_for(lambda: said("health_silent"), 25.0)
        event = next(e for e in probe.bodies(GATEWAY_EVENT) if e.code == "health_silent")
        assert event.severity == "alarm"
        gateway.processes["health"].send_signal(signal.SIGCONT)
        assert probe.wait_for(lambda: said("health_back"), 10.0)
