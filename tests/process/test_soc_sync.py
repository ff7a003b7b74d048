"""SoC set at a full charge, over a real pty: written once, read back, noted; and when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fake_bms_frames import float_words, long_words
from harness_gateway import BusProbe, GatewayFolder
from harness_sim import SimBms
from tinybms_charge.state import ChargeMode, ChargeState, Cycle, to_bytes
from tinybms_messages.live import LiveData
from tinybms_messages.topics import GATEWAY_EVENT, LIVE_DATA
from tinybms_runtime.clock import SystemClock

SOC_ADDRESSES = (46, 47)


def soc_words(soc_pct: float) -> dict[int, int]:
    return dict(zip(SOC_ADDRESSES, long_words(round(soc_pct * 1e6)), strict=True))


FULL_PACK = {
    **dict.fromkeys(range(16), 34_500),
    **dict(zip((36, 37), float_words(55.2), strict=True)),
    **dict(zip((38, 39), float_words(3.0), strict=True)),
    **soc_words(95.0),
    42: 250,
    43: 250,
    50: 0x91,
}
ALMOST_FULL = ChargeState(
    cell_count=16,
    pack_voltage_v=55.2,
    charge_voltage_v=55.2,
    charge_current_a=60.0,
    cycle=Cycle(mode=ChargeMode.ABSORB, mode_s=900.0, tail_s=177.0, since_full_s=1e5),
)
"""Three seconds before the small current of the pack counts as the end of the charge."""


class Rig:
    """Acquisition beside a pack that is about to be full."""

    def __init__(self, gateway: GatewayFolder, probe: BusProbe, bms: SimBms) -> None:
        self.gateway = gateway
        self.probe = probe
        self.bms = bms

    def start(self) -> None:
        """Start acquisition with the memory of a charge that is nearly over."""
        clock = SystemClock(trust_clock=True)
        kept = to_bytes(
            ALMOST_FULL, kernel_boot_id=clock.kernel_boot_id, boottime_ns=clock.boottime_ns()
        )
        self.gateway.paths.run_file("charge-state").write_bytes(kept)
        self.gateway.start("acquisition")

    def wait_for(self, code: str) -> str:
        """Text of the first event with this code."""
        self.probe.wait_for(lambda: code in self.codes(), 30.0)
        texts = [event.text for event in self.probe.bodies(GATEWAY_EVENT) if event.code == code]
        assert texts, self.gateway.log("acquisition").read_text()
        return str(texts[0])

    def codes(self) -> list[str]:
        return [event.code for event in self.probe.bodies(GATEWAY_EVENT)]

    @property
    def live(self) -> LiveData | None:
        message = self.probe.last(LIVE_DATA)
        return None if message is None else message.body

    def boot(self) -> str:
        """Which start of acquisition the newest LIVE_DATA comes from."""
        message = self.probe.last(LIVE_DATA)
        return "" if message is None else message.header.boot

    def in_state(self, state: str) -> bool:
        live = self.live
        return live is not None and live.limits is not None and live.limits.system_state == state

    def soc_pct(self) -> float | None:
        live = self.live
        return None if live is None or live.sample is None else live.sample.soc_pct

    def soc_writes(self) -> int:
        writes: int = self.bms.status()["soc_writes"]
        return writes

    def ctl(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "tinybms_ctl", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "TINYBMS_CONFIG": str(self.gateway.config_file)},
            check=False,
        )
        return done.stdout


@contextmanager
def rig_of(folder: Path, *, allow_writes: bool) -> Iterator[Rig]:
    with SimBms(folder / "sim", registers=FULL_PACK) as bms:
        tables: dict[str, dict[str, object]] = {
            "acquisition": {"port": str(bms.link), "allow_writes": allow_writes},
            "can": {"enabled": False},
        }
        with GatewayFolder(folder, tables) as gateway, BusProbe(gateway.paths) as probe:
            probe.listen(LIVE_DATA, GATEWAY_EVENT)
            gateway.start("broker")
            rig = Rig(gateway, probe, bms)
            rig.start()
            yield rig


def test_at_a_full_charge_soc_is_written_once_read_back_and_told(run_dir: Path) -> None:
    with rig_of(run_dir, allow_writes=True) as rig:
        assert "from 95.0 % to 100 %" in rig.wait_for("soc_set")
        assert rig.probe.wait_for(lambda: rig.soc_pct() == 100.0)
        live = rig.live
        assert live is not None
        assert live.soc_unsynchronised_days == pytest.approx(0.0, abs=1e-3)
        assert rig.soc_writes() == 1
        assert rig.bms.status()["flash_writes"] == 0
        seqs = [body.sample.soc_pct for body in rig.probe.bodies(LIVE_DATA) if body.sample]
        assert set(seqs) == {95.0, 100.0}, "always the BMS's own value"
        rig.gateway.kill("acquisition")
        rig.bms.set_words(soc_words(95.0))
        rig.start()
        assert "less than a day ago" in rig.wait_for("soc_not_set")
        assert rig.soc_writes() == 1


def test_nothing_is_written_that_cannot_be_noted_first(run_dir: Path) -> None:
    # Where the new copy of the note would be made lies a folder: it can't be written.
    note = run_dir / "state" / "pack1-soc-sync.new"
    note.mkdir(parents=True)
    with rig_of(run_dir, allow_writes=True) as rig:
        assert rig.probe.wait_for(lambda: rig.in_state("float_descent"), 30.0)
        assert "could not be set" in rig.wait_for("soc_not_set")
        log = rig.gateway.log("acquisition")
        assert rig.probe.wait_for(lambda: "without a place to note it" in log.read_text())
        assert rig.soc_writes() == 0


def test_without_permission_nothing_is_written(run_dir: Path) -> None:
    with rig_of(run_dir, allow_writes=False) as rig:
        assert rig.probe.wait_for(lambda: rig.in_state("float_descent"), 30.0)
        seen = len(rig.probe.bodies(LIVE_DATA))
        assert rig.probe.wait_for(lambda: len(rig.probe.bodies(LIVE_DATA)) > seen + 15)
        assert rig.soc_writes() == 0
        assert rig.soc_pct() == 95.0
        status = json.loads(rig.ctl("status", "--json"))
        assert 0 < status["soc_unsynchronised_days"] < 1
        assert rig.ctl("soc", "resume").endswith("acquisition.allow_writes is false\n")


def test_what_cannot_be_verified_is_said_and_never_tried_again_by_itself(run_dir: Path) -> None:
    with rig_of(run_dir, allow_writes=True) as rig:
        rig.bms.set_words(soc_words(95.0))
        assert "46/47" in rig.wait_for("soc_set_failed")
        assert rig.soc_writes() == 1
        assert rig.probe.wait_for(
            lambda: rig.live is not None and any("soc resume" in a for a in rig.live.advisories)
        )
        rig.gateway.kill("acquisition")
        before = rig.boot()
        rig.start()
        assert rig.probe.wait_for(
            lambda: rig.boot() != before and rig.in_state("float_descent"), 30
        )
        seen = len(rig.probe.bodies(LIVE_DATA))
        assert rig.probe.wait_for(lambda: len(rig.probe.bodies(LIVE_DATA)) > seen + 10)
        assert rig.soc_writes() == 1
        assert "next full charge" in rig.ctl("soc", "resume")
        assert rig.probe.wait_for(lambda: "soc_resumed" in rig.codes())
        assert rig.probe.wait_for(lambda: rig.live is not None and rig.live.advisories == ())
