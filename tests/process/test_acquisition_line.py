"""Every fault of a real serial line: nothing wrong is published, and the counters tell of it."""

from pathlib import Path

import pytest

from harness_gateway import BusProbe, GatewayFolder
from harness_sim import SimBms
from tinybms_messages.live import LiveData
from tinybms_messages.topics import LIVE_DATA

PACK = {
    **{cell: 33_000 + 11 * cell for cell in range(16)},
    36: 0x4F5C,
    37: 0x4254,
    42: 215,
    43: 0x8000,
    48: 302,
    50: 0x97,
}
SECONDS = 4.0


@pytest.mark.parametrize(
    ("scenario", "kinds"),
    [
        ("noise", {"crc", "timeout"}),
        ("truncated", {"timeout"}),
        ("late", {"unasked"}),
        ("nack", {"nack_command", "nack_crc"}),
        ("broadcast", {"junk"}),
    ],
)
def test_no_wrong_value_leaves_and_the_fault_is_counted(
    run_dir: Path, scenario: str, kinds: set[str]
) -> None:
    with (
        SimBms(run_dir, registers=PACK) as sim,
        GatewayFolder(run_dir, {"acquisition": {"port": str(sim.link)}}) as gateway,
        BusProbe(gateway.paths) as probe,
    ):
        probe.listen(LIVE_DATA)
        gateway.start("broker")
        gateway.start("acquisition")

        def lives() -> list[LiveData]:
            found: list[LiveData] = probe.bodies(LIVE_DATA)
            return found

        assert probe.wait_for(lambda: any(live.sample for live in lives()), 15)
        sim.scenario(scenario)
        probe.wait_for(lambda: False, SECONDS)
        assert probe.wait_for(lambda: kinds <= set(lives()[-1].link.line_errors), 20)
        sim.scenario("normal")
        times_ns = {live.sample.boottime_ns for live in lives() if live.sample}
        assert len(times_ns) >= 5
        assert {
            (
                live.sample.cell_voltages_v,
                live.sample.pack_voltage_v,
                live.sample.battery_temperature_c,
                live.sample.external_temperature_2_c,
                live.sample.internal_temperature_c,
                live.sample.online_status,
                live.sample.soc_pct,
            )
            for live in lives()
            if live.sample
        } == {
            (
                tuple(round(3.3 + 0.0011 * cell, 4) for cell in range(16)),
                53.0775,
                21.5,
                None,
                30.2,
                "idle",
                62.34,
            )
        }
        newest_ns = max(times_ns)
        assert probe.wait_for(
            lambda: any(v.sample and v.sample.boottime_ns > newest_ns for v in lives()), 15
        )
        assert gateway.stop("acquisition") == 0
