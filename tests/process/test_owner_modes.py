"""The owner's modes from the command line to the limits, over a real acquisition on a pty."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness_gateway import BusProbe, GatewayFolder
from harness_sim import SimBms
from tinybms_messages.live import LiveData
from tinybms_messages.topics import GATEWAY_EVENT, LIVE_DATA


class Rig:
    """Acquisition beside a battery, and a probe on the bus."""

    def __init__(self, gateway: GatewayFolder, probe: BusProbe) -> None:
        self.gateway = gateway
        self.probe = probe

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "tinybms_ctl", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "TINYBMS_CONFIG": str(self.gateway.config_file)},
            check=False,
        )

    @property
    def live(self) -> LiveData:
        message = self.probe.last(LIVE_DATA)
        assert message is not None
        body: LiveData = message.body
        return body

    def codes(self) -> list[str]:
        return [event.code for event in self.probe.bodies(GATEWAY_EVENT)]


@pytest.fixture
def rig(run_dir: Path) -> Iterator[Rig]:
    with SimBms(run_dir / "sim") as bms:
        tables: dict[str, dict[str, object]] = {
            "acquisition": {"port": str(bms.link)},
            "can": {"enabled": False},
            "charge": {"max_charge_current_a": 2.0, "max_discharge_current_a": 50.0},
        }
        with GatewayFolder(run_dir, tables) as gateway, BusProbe(gateway.paths) as probe:
            probe.listen(LIVE_DATA, GATEWAY_EVENT)
            gateway.start("broker")
            gateway.start("acquisition")
            rig = Rig(gateway, probe)
            assert probe.wait_for(lambda: probe.last(LIVE_DATA) is not None)
            yield rig


def test_modes_lower_the_limits_are_shown_and_end(rig: Rig) -> None:
    assert rig.probe.wait_for(lambda: rig.live.limits is not None)
    done = rig.ctl("mode", "discharge-off", "--for", "2h")
    assert (done.returncode, done.stdout) == (0, "discharge off, 2 h left\n"), done.stderr
    assert rig.probe.wait_for(lambda: discharge_a(rig) == 0.0)
    live = rig.live
    assert live.limits is not None
    assert live.limits.discharge_reasons[0].code == "owner_mode"
    assert "the owner (discharge off, 2 h left)" in live.limits.discharge_reasons[0].text
    assert [mode.mode.value for mode in live.modes] == ["discharge_off"]

    both = rig.ctl("mode", "charge-current", "1.5", "--for", "30m", "--json")
    assert [row["mode"] for row in json.loads(both.stdout)] == ["discharge_off", "charge_current"]
    shown = json.loads(rig.ctl("mode", "show", "--json").stdout)
    assert [(row["mode"], row["limit_a"]) for row in shown] == [
        ("discharge_off", None),
        ("charge_current", 1.5),
    ]
    status = json.loads(rig.ctl("status", "--json").stdout)
    assert [mode["mode"] for mode in status["modes"]] == ["discharge_off", "charge_current"]
    lines = rig.ctl("status").stdout.splitlines()
    assert any(line.startswith("owner: ok discharge off, 2 h left; charge") for line in lines)

    cleared = rig.ctl("mode", "clear", "discharge-off")
    assert cleared.stdout == "charge current at most 1.5 A, 30 min left\n"
    assert rig.probe.wait_for(lambda: discharge_a(rig) == 50.0)
    assert rig.ctl("mode", "charge-off", "--for", "1s").returncode == 0
    assert rig.probe.wait_for(lambda: charge_a(rig) == 0.0)
    assert rig.probe.wait_for(lambda: [one.mode for one in rig.live.modes] == ["charge_current"])
    assert rig.probe.wait_for(
        lambda: (rig.codes().count("mode_set"), rig.codes().count("mode_over")) == (3, 2)
    )
    none = rig.ctl("mode", "clear")
    assert none.stdout.startswith("no mode is set"), none.stderr


def charge_a(rig: Rig) -> float | None:
    limits = rig.live.limits
    return None if limits is None else limits.charge_current_a


def discharge_a(rig: Rig) -> float | None:
    limits = rig.live.limits
    return None if limits is None else limits.discharge_current_a


def test_a_killed_acquisition_comes_back_with_the_modes_before_its_first_limits(rig: Rig) -> None:
    assert rig.probe.wait_for(lambda: rig.live.limits is not None)
    assert rig.ctl("mode", "discharge-off", "--for", "1h").returncode == 0
    assert rig.probe.wait_for(lambda: discharge_a(rig) == 0.0)
    rig.gateway.kill("acquisition")
    seen = len(rig.probe.bodies(LIVE_DATA))
    rig.gateway.start("acquisition")
    assert rig.probe.wait_for(
        lambda: any(live.limits for live in rig.probe.bodies(LIVE_DATA)[seen:])
    )
    after = [live.limits for live in rig.probe.bodies(LIVE_DATA)[seen:] if live.limits]
    assert {limits.discharge_current_a for limits in after} == {0.0}
    log = rig.gateway.log("acquisition")
    assert rig.probe.wait_for(lambda: '"still asked for: discharge off' in log.read_text())


def test_wrong_orders_are_refused_in_words(rig: Rig) -> None:
    bad_time = rig.ctl("mode", "charge-off", "--for", "soon")
    assert (bad_time.returncode, "'soon'" in bad_time.stderr) == (2, True)
    too_long = rig.ctl("mode", "charge-off", "--for", "8d")
    assert (too_long.returncode, "604800 s" in too_long.stderr) == (2, True)
    unknown = rig.ctl("mode", "clear", "party")
    assert (unknown.returncode, "top-balance" in unknown.stderr) == (2, True)
    assert rig.ctl("mode", "charge-off").returncode == 2
    rig.gateway.stop("acquisition")
    silent = rig.ctl("mode", "charge-off", "--for", "1h")
    assert silent.returncode == 1
    assert "acquisition does not answer" in silent.stderr
