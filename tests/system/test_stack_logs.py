"""A whole gateway without any of its peers, for an hour: the logs stay small."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness_sim import wait_until
from harness_stack import Stack, now_s

OUTAGE_S = float(os.environ.get("TINYBMS_OUTAGE_S", "3600"))
BYTES_AN_HOUR = 1_000_000


@pytest.mark.soak
@pytest.mark.timeout(OUTAGE_S + 300)
def test_an_hour_without_battery_adapter_and_mqtt_broker_fills_no_log(run_dir: Path) -> None:
    with Stack(run_dir) as stack:
        stack.wait_until_well()
        before = stack.pids()
        stack.bms.unplug()
        stack.gx.fault("adapter_gone")
        stack.broker.stop()
        since_s = now_s()
        wait_until(lambda: now_s() - since_s > OUTAGE_S, OUTAGE_S + 60, "the hour")
        sizes = {file.name: file.stat().st_size for file in stack.paths.log_dir.iterdir()}
        print(sizes)
        assert sum(sizes.values()) < BYTES_AN_HOUR * OUTAGE_S / 3600, sizes
        assert stack.pids() == before
        stack.broker.start()
        stack.gx.fault("none")
        stack.bms.replug()
        stack.wait_until_well(120)
