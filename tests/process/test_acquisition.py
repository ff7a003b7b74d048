"""The acquisition process on a real pty against the simulated TinyBMS, seen from the bus."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fake_bms_frames import float_words, long_words
from harness_gateway import BusProbe, GatewayFolder
from harness_sim import SimBms
from tinybms_messages.codec import Message
from tinybms_messages.live import LiveData, Sample
from tinybms_messages.status import GatewayEvent, Heartbeat
from tinybms_messages.topics import (
    BMS_SETTINGS,
    GATEWAY_EVENT,
    HEARTBEAT,
    LIVE_DATA,
    MQTT_REGISTER_VALUE,
)

COLD_PACK = {
    **dict.fromkeys(range(16), 32_500),
    **dict(zip((38, 39), float_words(-123.4), strict=True)),
    **dict(zip((46, 47), long_words(41_250_000), strict=True)),
    42: -205,
    43: -198,
    48: -150,
    50: 0x93,
}
FOURTEEN_CELLS = {2 + cell: 39_800 - 10 * cell for cell in range(14)} | {307: 14, 50: 0x97}


class Rig:
    """A broker, acquisition and a probe that listens to everything."""

    def __init__(self, gateway: GatewayFolder, probe: BusProbe) -> None:
        self.gateway = gateway
        self.probe = probe

    def start(self) -> int:
        """Start acquisition; its pid."""
        return self.gateway.start("acquisition").pid

    @property
    def lives(self) -> list[LiveData]:
        lives: list[LiveData] = self.probe.bodies(LIVE_DATA)
        return lives

    @property
    def samples(self) -> list[Sample]:
        """The samples of all messages that carry one, repeats too."""
        return [live.sample for live in self.lives if live.sample]

    def beats(self) -> list[Message[Heartbeat]]:
        """Heartbeats of acquisition."""
        messages = self.probe.messages["HEARTBEAT"]
        return [message for message in messages if message.header.source == "acquisition"]

    def wait_for_new_sample(self) -> LiveData:
        """Wait for the first message with a sample from now on."""
        before = len(self.lives)
        self.wait(lambda: any(live.sample for live in self.lives[before:]))
        return next(live for live in self.lives[before:] if live.sample)

    @property
    def last(self) -> LiveData:
        return self.lives[-1]

    def wait(self, done: Callable[[], bool], timeout_s: float = 15.0) -> None:
        assert self.probe.wait_for(done, timeout_s), self.lives[-1:]

    def wait_for_sample(self, newer_than_ns: int = 0) -> LiveData:
        """Wait for a sample that is younger than the one named."""

        def there() -> bool:
            sample = self.lives[-1].sample if self.lives else None
            return sample is not None and sample.boottime_ns > newer_than_ns

        self.wait(there)
        return self.last

    def wait_for_link(self, state: str) -> None:
        self.wait(lambda: bool(self.lives) and self.last.link.state == state)

    def listen_for(self, seconds: float) -> list[LiveData]:
        """Messages of the next seconds."""
        before = len(self.lives)
        self.probe.wait_for(lambda: False, seconds)
        return self.lives[before:]

    def events(self) -> list[str]:
        return [event.code for event in self.probe.bodies(GATEWAY_EVENT)]


@contextmanager
def rig_of(run_dir: Path, port: Path, **keys: object) -> Iterator[Rig]:
    tables: dict[str, dict[str, object]] = {"acquisition": {"port": str(port), **keys}}
    if keys.get("quiet_mode"):
        tables["can"] = {"enabled": False}
    with GatewayFolder(run_dir, tables) as gateway, BusProbe(gateway.paths) as probe:
        probe.listen(LIVE_DATA, MQTT_REGISTER_VALUE, BMS_SETTINGS, GATEWAY_EVENT, HEARTBEAT)
        gateway.start("broker")
        rig = Rig(gateway, probe)
        rig.wait(lambda: bool(probe.bodies(HEARTBEAT)))
        yield rig


def sample_of(live: LiveData) -> Sample:
    assert live.sample is not None
    return live.sample


def test_a_cold_pack_under_load_shows_its_true_values(run_dir: Path) -> None:
    with SimBms(run_dir, registers=COLD_PACK) as sim, rig_of(run_dir, sim.link) as rig:
        rig.start()
        sample = sample_of(rig.wait_for_sample())
        assert sample.cell_voltages_v == (3.25,) * 16
        assert sample.pack_voltage_v == pytest.approx(52.0, abs=1e-4)
        assert sample.pack_current_a == pytest.approx(-123.4, abs=1e-4)
        assert sample.soc_pct == 41.25
        assert sample.battery_temperature_c == -20.5
        assert sample.external_temperature_2_c == -19.8
        assert sample.internal_temperature_c == -15.0
        assert sample.online_status == "discharging"
        assert sim.status()["flash_writes"] == 0


def test_a_pack_of_fourteen_cells(run_dir: Path) -> None:
    with SimBms(run_dir, registers=FOURTEEN_CELLS) as sim, rig_of(run_dir, sim.link) as rig:
        rig.start()
        sample = sample_of(rig.wait_for_sample())
        assert sample.cell_voltages_v == tuple(round(3.98 - 0.001 * n, 4) for n in range(14))
        assert sample.pack_voltage_v == pytest.approx(55.629, abs=1e-4)


def test_register_values_follow_the_snapshot_of_their_cycle(run_dir: Path) -> None:
    with SimBms(run_dir) as sim, rig_of(run_dir, sim.link) as rig:
        rig.start()
        rig.wait(lambda: len(rig.probe.messages["MQTT_REGISTER_VALUE"]) >= 20)
        lives = {m.header.seq: m for m in rig.probe.messages["LIVE_DATA"]}
        # Of LIVE_DATA a slow reader gets the newest only: some cycles have lost theirs.
        messages = rig.probe.messages["MQTT_REGISTER_VALUE"]
        whole = [message for message in messages if message.body.live_seq in lives]
        assert len(whole) >= 10
        for message in whole:
            live = lives[message.body.live_seq]
            assert live.header.boottime_ns <= message.header.boottime_ns
            sample = sample_of(live.body)
            assert sample.seq == message.body.live_seq
            assert sample.wall_ns == message.body.wall_ns
            values = {value.key: value.value for value in message.body.values}
            assert values["cell_voltage_01"] == sample.cell_voltages_v[0]
        rig.wait(lambda: bool(rig.probe.bodies(BMS_SETTINGS)))
        settings = rig.probe.bodies(BMS_SETTINGS)[0]
        assert settings.settings_words[7] == 16


def test_silence_repeats_the_same_sample_and_says_no_answer(run_dir: Path) -> None:
    with SimBms(run_dir) as sim, rig_of(run_dir, sim.link) as rig:
        rig.start()
        rig.wait_for_sample()
        sim.scenario("silence")
        rig.listen_for(1.0)
        repeats = rig.listen_for(4.2)
        assert len(repeats) >= 4
        assert len({sample_of(live).boottime_ns for live in repeats}) == 1
        assert len({sample_of(live).seq for live in repeats}) == 1
        assert rig.last.link.state == "no_answer"
        assert rig.last.link.timeouts >= 2
        sim.scenario("normal")
        rig.wait_for_sample(sample_of(repeats[-1]).boottime_ns)
        assert rig.last.link.state == "online"
        assert rig.events().count("bms_silent") == 1


def test_an_unplugged_port_is_opened_again(run_dir: Path) -> None:
    with SimBms(run_dir) as sim, rig_of(run_dir, sim.link) as rig:
        pid = rig.start()
        rig.wait_for_sample()
        sim.unplug()
        rig.wait_for_link("no_port")
        assert str(sim.link) in rig.last.link.detail
        last_ns = sample_of(rig.last).boottime_ns
        assert all(sample_of(live).boottime_ns == last_ns for live in rig.listen_for(1.5))
        sim.replug()
        rig.wait_for_sample(last_ns)
        assert rig.last.link.reopened == 1
        assert rig.gateway.processes["acquisition"].pid == pid


def test_a_link_that_moves_to_another_port_is_followed(run_dir: Path) -> None:
    with (
        SimBms(run_dir, name="one") as one,
        SimBms(run_dir, name="two", registers=COLD_PACK) as two,
    ):
        port = run_dir / "port"
        port.symlink_to(one.link.readlink())
        with rig_of(run_dir, port) as rig:
            rig.start()
            rig.wait_for_sample()
            one.scenario("silence")
            (run_dir / "new").symlink_to(two.link.readlink())
            (run_dir / "new").replace(port)
            rig.wait(lambda: rig.samples[-1].cell_voltages_v[0] == 3.25, 5.0)


def test_a_missing_port_costs_nothing_and_is_said_once(run_dir: Path) -> None:
    with rig_of(run_dir, run_dir / "nowhere") as rig:
        rig.start()
        rig.wait_for_link("no_port")
        rig.wait(lambda: len(rig.beats()) >= 2)
        first = rig.beats()[-1]
        rig.listen_for(5)
        last = rig.beats()[-1]
        seconds = (last.header.boottime_ns - first.header.boottime_ns) / 1e9
        assert (last.body.cpu_s - first.body.cpu_s) / seconds < 0.02
        assert rig.last.sample is None
        log = rig.gateway.log("acquisition").read_text(encoding="utf-8")
        assert log.count("port_lost") == 1


def test_the_wrong_battery_gives_no_data_and_says_why(run_dir: Path) -> None:
    serial = "0123456789abcdef01234567"
    with SimBms(run_dir) as sim, rig_of(run_dir, sim.link, bms_serial=serial) as rig:
        rig.start()
        rig.wait_for_link("wrong_battery")
        assert serial in rig.last.link.detail
        assert all(live.sample is None for live in rig.listen_for(2))


def test_old_firmware_gives_no_data_and_says_why(run_dir: Path) -> None:
    with (
        SimBms(run_dir, options=("--firmware", "230")) as sim,
        rig_of(run_dir, sim.link) as rig,
    ):
        rig.start()
        rig.wait_for_link("wrong_battery")
        assert "too old" in rig.last.link.detail
        assert all(live.sample is None for live in rig.listen_for(1))


def test_a_fault_comes_with_its_cause_in_the_same_message(run_dir: Path) -> None:
    with SimBms(run_dir) as sim, rig_of(run_dir, sim.link) as rig:
        rig.start()
        rig.wait_for_sample()
        sim.scenario("over_voltage")

        def in_fault() -> list[LiveData]:
            return [v for v in rig.lives if v.sample and v.sample.online_status == "fault"]

        rig.wait(lambda: bool(in_fault()))
        first = in_fault()[0]
        assert [fault.number for fault in first.faults if fault.kind == "fault"] == [0x03]
        assert first.limits is not None
        assert first.limits.charge_current_a == 0.0
        rig.wait(lambda: "bms_fault" in rig.events())
        told: list[GatewayEvent] = rig.probe.bodies(GATEWAY_EVENT)
        assert any("over-voltage" in event.text for event in told)


def test_an_empty_pack_without_gx_is_left_alone(run_dir: Path) -> None:
    with SimBms(run_dir) as sim, rig_of(run_dir, sim.link, quiet_mode=True) as rig:
        rig.start()
        rig.wait_for_sample()
        assert [live.asleep for live in rig.lives] == [False] * len(rig.lives)
        sim.scenario("empty")
        rig.wait_for_link("asleep")
        assert rig.last.asleep
        before = sim.status()["requests"]
        rig.listen_for(3)
        assert sim.status()["requests"] - before <= 1


def test_counters_and_limits_go_on_after_sigkill(run_dir: Path) -> None:
    charging = {**COLD_PACK, **dict(zip((38, 39), float_words(600.0), strict=True))}
    charging |= {42: 200, 43: 200, 50: 0x91}
    with SimBms(run_dir, registers=charging) as sim, rig_of(run_dir, sim.link) as rig:
        rig.start()

        def charge_current_a() -> float:
            limits = rig.last.limits if rig.lives else None
            return limits.charge_current_a if limits else 0.0

        rig.wait(lambda: charge_current_a() > 3.0)
        for _ in range(3):
            rig.gateway.kill("acquisition")
            rig.probe.wait_for(lambda: False, 0.1)
            before = len(rig.lives)
            limit_a, counters = charge_current_a(), rig.last.counters
            rig.start()
            after = rig.wait_for_new_sample()
            assert after.limits is not None
            assert after.limits.charge_current_a >= limit_a - 0.1
            for live in rig.lives[before:]:
                assert (live.counters.charged_ah or 0) >= (counters.charged_ah or 0)
                assert (live.counters.charged_energy_kwh or 0) >= (counters.charged_energy_kwh or 0)
        assert (rig.last.counters.charged_ah or 0) > 0.3


def test_a_stopped_process_takes_no_old_answer_for_a_new_one(run_dir: Path) -> None:
    with SimBms(run_dir, registers=COLD_PACK) as sim, rig_of(run_dir, sim.link) as rig:
        rig.start()
        rig.wait_for_sample()
        process = rig.gateway.processes["acquisition"]
        for turn in range(4):
            process.send_signal(signal.SIGSTOP)
            rig.probe.wait_for(lambda: False, 0.03 + 0.01 * turn)
            sim.set_words({50: 0x97 if turn % 2 else 0x93})
            changed_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            rig.probe.wait_for(lambda: False, 0.5)
            process.send_signal(signal.SIGCONT)
            rig.wait_for_sample(changed_ns)
            rig.listen_for(0.3)
            fresh = {s.online_status for s in rig.samples if s.boottime_ns > changed_ns}
            assert fresh == {"idle" if turn % 2 else "discharging"}


def test_data_come_when_the_broker_comes_late(run_dir: Path) -> None:
    with (
        SimBms(run_dir) as sim,
        GatewayFolder(run_dir, {"acquisition": {"port": str(sim.link)}}) as gateway,
        BusProbe(gateway.paths) as probe,
    ):
        probe.listen(LIVE_DATA)
        gateway.start("acquisition")
        probe.wait_for(lambda: False, 1.0)
        gateway.start("broker")
        rig = Rig(gateway, probe)
        rig.wait_for_sample()
        assert gateway.stop("acquisition") == 0
