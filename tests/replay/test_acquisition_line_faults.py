"""Ten minutes of traffic under each fault of the line, the line side real and the clock injected.

The battery's values never change, so that any other value in a snapshot is a wrong one. The
simulated BMS answers at once (unpaced); only late answers take their time.
"""

import random
from collections.abc import Callable
from typing import Final

import pytest

from fake_live import fake_sample
from tinybms_acquisition.battery import Battery
from tinybms_acquisition.counters import CounterBook, Start
from tinybms_acquisition.line import UNASKED
from tinybms_acquisition.modes import Modes
from tinybms_acquisition.pipeline import Pipeline, Snapshot
from tinybms_acquisition.poller import Poller, Turn
from tinybms_acquisition.quiet import QuietMode
from tinybms_acquisition.sample import Moment
from tinybms_acquisition.socsync import SocSync
from tinybms_charge.parameters import charge_parameters
from tinybms_charge.soc_sync import from_bytes
from tinybms_charge.state import ChargeState
from tinybms_config.model import Config
from tinybms_messages.live import Sample
from tinybms_messages.status import CanStatus
from tinybms_protocol.errors import LineErrorKind
from tinybms_sim.line import BmsLine, make_line

TEN_MINUTES_S: Final = 600.0
PACK: Final = {
    **{cell: 33_000 + 11 * cell for cell in range(16)},
    38: 0x0000,
    39: 0xC148,
    42: 0xFF33,
    43: 0x8000,
    48: 302,
    50: 0x93,
}
CELLS_V: Final = tuple(round(3.3 + 0.0011 * cell, 4) for cell in range(16))


class Traffic:
    """The acquisition's pure side and the simulated BMS on one clock."""

    def __init__(self, seed: int, *, living: bool = False, interval_s: float = 0.1) -> None:
        self.now_s = 1000.0
        overrides = None if living else dict(PACK)
        self.line: BmsLine = make_line(
            start_s=self.now_s, overrides=overrides, seed=seed, paced=False
        )
        self.poller = Poller(interval_s)
        self.snapshots: list[Snapshot] = []
        self.largest_gap_s = 0.0
        self._chunks = random.Random(seed)
        self.pipeline = Pipeline(
            battery=Battery(None),
            book=CounterBook(Start(stored=None, known=True), longest_step_s=1.0),
            parameters=charge_parameters(Config()),
            charge_state=ChargeState(),
            state_at_ns=None,
            modes=Modes(),
            soc=SocSync(from_bytes(None, kernel_boot_id="", boottime_ns=0), allowed=False),
        )
        self.poller.connect(self.now_s)

    def run(self, seconds: float, each: Callable[[float], None] = lambda _now_s: None) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            each(self.now_s)
            self._take(self.poller.step(self.now_s))
            self.line.tick(self.now_s)
            self._deliver()
            self.now_s += min(max(self._next_s() - self.now_s, 0.0005), 0.05)

    def _next_s(self) -> float:
        arrival_s = self.line.next_due_s()
        due_s = self.poller.due_s(self.now_s)
        return due_s if arrival_s is None else min(due_s, arrival_s)

    def _deliver(self) -> None:
        """What has arrived, in chunks of any size, as a USB adapter would deliver it."""
        data = self.line.due(self.now_s)
        while data:
            size = self._chunks.randint(1, 64)
            chunk, data = data[:size], data[size:]
            self.now_s += 0.0005
            self._take(self.poller.receive(chunk, self.now_s))

    def _take(self, turn: Turn) -> None:
        if turn.output:
            self.line.receive(turn.output, self.now_s)
        for block in turn.blocks:
            moment = Moment(boottime_ns=round(block.taken_s * 1e9), wall_ns=0, time_ok=True)
            snapshot = self.pipeline.take(block, moment, len(self.snapshots) + 1)
            if snapshot is None:
                continue
            if self.snapshots:
                before_ns = self.snapshots[-1].sample.boottime_ns
                gap_s = (snapshot.sample.boottime_ns - before_ns) / 1e9
                assert gap_s > 0
                self.largest_gap_s = max(self.largest_gap_s, gap_s)
            self.snapshots.append(snapshot)
        if turn.lost:
            self.pipeline.line_lost()


def values(sample: Sample) -> tuple[object, ...]:
    return (
        sample.cell_voltages_v,
        sample.pack_voltage_v,
        sample.pack_current_a,
        sample.soc_pct,
        sample.soh_pct,
        sample.cell_temperatures_c,
        sample.battery_temperature_c,
        sample.internal_temperature_c,
        sample.online_status,
    )


WANTED: Final = values(
    fake_sample(
        cell_voltages_v=CELLS_V,
        pack_voltage_v=52.932,
        pack_current_a=-12.5,
        soc_pct=62.34,
        soh_pct=98.0,
        battery_temperature_c=-20.5,
        external_temperature_1_c=-20.5,
        external_temperature_2_c=None,
        internal_temperature_c=30.2,
        online_status="discharging",
    )
)


@pytest.mark.parametrize(
    ("scenario", "kinds", "least"),
    [
        ("normal", set[str](), 5900),
        ("noise", {LineErrorKind.CRC, LineErrorKind.LENGTH, LineErrorKind.TIMEOUT}, 1500),
        ("truncated", {LineErrorKind.TIMEOUT}, 1500),
        ("late", {UNASKED, LineErrorKind.TIMEOUT}, 800),
        ("nack", {LineErrorKind.NACK_COMMAND, LineErrorKind.NACK_CRC}, 3000),
        ("broadcast", {LineErrorKind.JUNK}, 5000),
    ],
)
def test_ten_minutes_of_a_line_fault_let_no_wrong_value_out(
    scenario: str, kinds: set[str], least: int
) -> None:
    traffic = Traffic(seed=7)
    traffic.run(5)
    traffic.line.choose(scenario, traffic.now_s)
    traffic.run(TEN_MINUTES_S)
    assert {values(snapshot.sample) for snapshot in traffic.snapshots} == {WANTED}
    assert len(traffic.snapshots) >= least
    assert kinds <= set(traffic.poller.line.errors)
    before = len(traffic.snapshots)
    traffic.line.choose("normal", traffic.now_s)
    traffic.run(5)
    assert len(traffic.snapshots) - before >= 30


@pytest.mark.parametrize("scenario", ["silence", "sleep"])
def test_ten_minutes_of_silence_and_sleep_end_with_good_data(scenario: str) -> None:
    traffic = Traffic(seed=7)
    traffic.run(5)
    for _ in range(10):
        traffic.line.choose(scenario, traffic.now_s)
        traffic.run(TEN_MINUTES_S / 20)
        traffic.line.choose("normal", traffic.now_s)
        traffic.run(TEN_MINUTES_S / 20)
    assert {values(snapshot.sample) for snapshot in traffic.snapshots} == {WANTED}
    assert len(traffic.snapshots) >= 2500
    assert traffic.poller.line.errors[LineErrorKind.TIMEOUT] > 0


def test_ten_minutes_of_plugging_in_and_out() -> None:
    traffic = Traffic(seed=7)
    for _ in range(60):
        traffic.run(7.5)
        traffic.line.hang_up()
        traffic.pipeline.line_lost()
        traffic.now_s += 2.5
        traffic.poller.connect(traffic.now_s)
    assert {values(snapshot.sample) for snapshot in traffic.snapshots} == {WANTED}
    assert len(traffic.snapshots) >= 60 * 65


def test_all_faults_mixed_for_ten_minutes() -> None:
    traffic = Traffic(seed=11)
    chooser = random.Random(11)
    change_s = 0.0

    def change(now_s: float) -> None:
        nonlocal change_s
        if now_s >= change_s:
            change_s = now_s + chooser.uniform(0.5, 8.0)
            faults = ["noise", "truncated", "late", "nack", "broadcast", "silence", "normal"]
            traffic.line.choose(chooser.choice(faults), now_s)

    traffic.run(TEN_MINUTES_S, change)
    assert {values(snapshot.sample) for snapshot in traffic.snapshots} == {WANTED}
    assert len(traffic.snapshots) >= 1000


@pytest.mark.parametrize(("scenario", "oldest_s"), [("normal", 0.11), ("late", 1.4)])
def test_no_sample_is_older_than_the_line_may_be_late(scenario: str, oldest_s: float) -> None:
    """The battery's lifetime counter shows when a reading was really taken."""
    traffic = Traffic(seed=3)

    def tell_time(now_s: float) -> None:
        tenths = round(now_s * 10)
        traffic.line.bms.override({32: tenths & 0xFFFF, 33: tenths >> 16})

    traffic.line.choose(scenario, traffic.now_s)
    traffic.run(120, tell_time)
    ages_s = [
        snapshot.sample.boottime_ns / 1e9 - snapshot.sample.lifetime_s / 10
        for snapshot in traffic.snapshots
    ]
    assert len(ages_s) >= 100
    assert max(ages_s) < oldest_s


class EmptyPack:
    """Traffic with an empty pack and quiet mode on, CAN enabled, with a GX or without."""

    def __init__(self) -> None:
        self.traffic = Traffic(seed=5, living=True, interval_s=0.5)
        self.quiet = QuietMode(enabled=True, can_enabled=True, now_s=self.traffic.now_s)
        self.gx = False
        self.slept_s = 0.0
        self._last_s = self.traffic.now_s
        self.traffic.line.choose("empty", self.traffic.now_s)

    def run(self, seconds: float) -> int:
        """Let time pass; the number of requests that the BMS got meanwhile."""
        before = self.traffic.line.bms.requests
        self.traffic.run(seconds, self._each)
        return self.traffic.line.bms.requests - before

    def _each(self, now_s: float) -> None:
        if self.traffic.line.bms.asleep:
            self.slept_s += now_s - self._last_s
        self._last_s = now_s
        if self.traffic.snapshots:
            sample = self.traffic.snapshots[-1].sample
            self.quiet.note_sample(sample, self.traffic.pipeline.active_ids, 2.9)
        age_s = 0.2 if self.gx else None
        self.quiet.note_can(CanStatus(state="sending", keepalive_age_s=age_s), now_s)
        if self.traffic.poller.quiet and not self.quiet.is_quiet(now_s):
            self.traffic.poller.look_now(now_s)
        self.traffic.poller.quiet = self.quiet.is_quiet(now_s)


def test_an_empty_pack_may_sleep_when_no_gx_is_heard_and_is_polled_when_one_is() -> None:
    pack = EmptyPack()
    assert pack.run(590) > 1000
    pack.run(20)
    assert pack.run(600) <= 40
    slept_s = pack.slept_s
    assert slept_s > 400
    pack.gx = True
    assert pack.run(5) > 8
    assert pack.run(60) > 100
    assert pack.slept_s - slept_s < 5
    pack.gx = False
    pack.run(620)
    assert pack.run(120) <= 8


def test_an_empty_pack_is_polled_as_long_as_a_gx_is_heard() -> None:
    pack = EmptyPack()
    pack.gx = True
    pack.run(700)
    assert pack.run(60) > 100
