"""From blocks to snapshots: completeness, limits beside doubtful readings, faults, registers."""

from itertools import count
from typing import Final

import pytest

from fake_bms_frames import live_words, log_words, settings_words, version_words
from tinybms_acquisition.battery import Battery
from tinybms_acquisition.counters import CounterBook, Start
from tinybms_acquisition.modes import Modes
from tinybms_acquisition.pipeline import Pipeline, Snapshot
from tinybms_acquisition.poller import BlockRead
from tinybms_acquisition.sample import Moment
from tinybms_acquisition.socsync import SocSync
from tinybms_charge.parameters import charge_parameters
from tinybms_charge.soc_sync import from_bytes
from tinybms_charge.state import ChargeState
from tinybms_config.model import Config
from tinybms_protocol.poll_plan import BlockName

WALL_NS: Final = 1_790_000_000_000_000_000


class Rig:
    """A pipeline whose blocks come each 0.1 s."""

    def __init__(self, state: ChargeState | None = None, *, cells: int = 16) -> None:
        self.battery = Battery(None)
        self.pipeline = Pipeline(
            battery=self.battery,
            book=CounterBook(Start(stored=None, known=True), longest_step_s=1.0),
            parameters=charge_parameters(Config()),
            charge_state=state or ChargeState(),
            state_at_ns=None,
            modes=Modes(),
            soc=SocSync(from_bytes(None, kernel_boot_id="", boottime_ns=0), allowed=False),
        )
        self.cells = cells
        self.seqs = count(1)
        self.now_ns = 10**12

    def give(self, name: BlockName, words: tuple[int, ...]) -> Snapshot | None:
        self.now_ns += 100_000_000
        now_s = self.now_ns / 1e9
        block = BlockRead(
            name=name, words=words, taken_s=now_s, asked_s=now_s - 0.012, ended_s=now_s
        )
        moment = Moment(boottime_ns=self.now_ns, wall_ns=WALL_NS, time_ok=True)
        return self.pipeline.take(block, moment, next(self.seqs))

    def introduce(self) -> None:
        self.give(BlockName.VERSION, version_words())
        self.give(BlockName.SETTINGS, settings_words(cells=self.cells))

    def live(self, words: tuple[int, ...] | None = None) -> Snapshot:
        snapshot = self.give(BlockName.LIVE, words or live_words((3.3,) * self.cells))
        assert snapshot is not None
        return snapshot

    def settle(self, seconds: int = 200) -> Snapshot:
        for _ in range(seconds * 10):
            snapshot = self.live()
        return snapshot

    @property
    def codes(self) -> list[str]:
        return [note.code for note in self.pipeline.take_notes()]


def test_nothing_comes_out_before_the_battery_is_known() -> None:
    rig = Rig()
    assert rig.give(BlockName.LIVE, live_words()) is None
    rig.give(BlockName.SETTINGS, settings_words())
    assert rig.give(BlockName.LIVE, live_words()) is None
    rig.introduce()
    assert rig.live().sample.cell_count == 16


def test_the_first_snapshot_is_complete() -> None:
    rig = Rig()
    rig.introduce()
    snapshot = rig.live(live_words(current_a=-12.5, soc_pct=61.5))
    assert snapshot.sample.pack_current_a == -12.5
    assert snapshot.sample.soc_pct == 61.5
    assert snapshot.limits.charge_current_a == 0.0
    assert snapshot.limits.discharge_current_a == 100.0
    assert snapshot.identity.capacity_ah == 280.0
    assert {alarm.level for alarm in snapshot.alarms} == {0}


def test_limits_go_on_with_the_time_between_samples() -> None:
    rig = Rig()
    rig.introduce()
    first = rig.live()
    later = rig.settle(5)
    assert later.limits.charge_current_a > first.limits.charge_current_a + 1


def test_a_doubtful_cell_lowers_the_limits_at_once_and_is_not_shown() -> None:
    rig = Rig()
    rig.introduce()
    calm = rig.settle()
    odd = rig.live(live_words((3.3,) * 5 + (3.7,) + (3.3,) * 10, pack_v=16 * 3.3))
    assert odd.sample.max_cell_voltage_v == 3.3
    assert calm.limits.charge_current_a == 60.0
    assert odd.limits.charge_current_a == 0.0
    assert {alarm.level for alarm in odd.alarms} == {0}
    assert rig.codes == ["doubtful_reading"]


def test_a_true_high_cell_raises_its_alarm_with_the_second_sample() -> None:
    rig = Rig()
    rig.introduce()
    rig.settle()
    words = live_words((3.3,) * 5 + (3.8,) + (3.3,) * 10)
    rig.live(words)
    snapshot = rig.live(words)
    assert snapshot.sample.max_cell_voltage_v == 3.8
    assert snapshot.limits.charge_current_a == 0.0
    for _ in range(100):
        snapshot = rig.live(words)
    levels = {alarm.name.value: alarm.level for alarm in snapshot.alarms}
    assert levels["high_voltage"] == 2


def test_a_reading_that_is_held_back_is_not_shown_by_its_registers() -> None:
    rig = Rig()
    rig.introduce()
    rig.live()
    odd = rig.live(live_words(soc_pct=1.0))
    assert not any(value.address < 56 for value in odd.values)
    assert any(value.address == 46 for value in rig.live().values)


def test_a_fault_is_named_in_the_cycle_that_sees_it() -> None:
    rig = Rig()
    rig.introduce()
    rig.settle()
    rig.give(BlockName.EVENTS, log_words((0x06, 999_999)))
    snapshot = rig.live(live_words(status=0x9B))
    assert [fault.number for fault in snapshot.faults] == [0x06]
    assert snapshot.limits.charge_current_a == 0.0
    assert "bms_fault" in rig.codes
    rig.live()
    assert "bms_fault_over" in rig.codes


def test_the_register_values_are_those_of_the_cycle() -> None:
    rig = Rig()
    rig.introduce()
    first = rig.live()
    addresses = {value.address for value in first.values}
    assert {0, 15, 36, 46, 300} <= addresses
    rig.give(BlockName.STATISTICS, (7,) * 18)
    rig.give(BlockName.LIMITS_MIN, (0,) * 44)
    second = {value.key: value.value for value in rig.live().values}
    assert second["charging_count"] == 7
    assert "fully_charged_voltage" not in second
    third = {value.address for value in rig.live().values}
    assert third == {address for address in addresses if address < 56}


def test_after_an_interruption_nothing_comes_out_until_the_battery_is_known_again() -> None:
    rig = Rig()
    rig.introduce()
    rig.live()
    rig.pipeline.line_lost()
    assert rig.give(BlockName.LIVE, live_words()) is None
    rig.introduce()
    rig.live()


def test_a_swapped_battery_starts_afresh() -> None:
    rig = Rig()
    rig.introduce()
    calm = rig.settle()
    assert calm.limits.charge_current_a == 60.0
    rig.pipeline.line_lost()
    rig.give(BlockName.VERSION, version_words(serial=(9, 9, 9, 9, 9, 9)))
    rig.give(BlockName.SETTINGS, settings_words())
    assert "battery_changed" in rig.codes
    assert rig.live().limits.charge_current_a == 0.0


def test_a_new_number_of_cells_is_announced() -> None:
    rig = Rig()
    rig.introduce()
    rig.live()
    for _ in range(10):
        rig.give(BlockName.SETTINGS, settings_words(cells=15))
    assert rig.codes == ["cell_count_changed"]
    assert rig.live(live_words((3.3,) * 15)).sample.cell_count == 15


def test_a_refused_battery_is_said_once() -> None:
    rig = Rig()
    for _ in range(3):
        rig.give(BlockName.VERSION, version_words(firmware=200))
    assert rig.codes == ["battery_refused"]
    assert rig.give(BlockName.LIVE, live_words()) is None


@pytest.mark.parametrize("cells", range(4, 17))
def test_packs_of_four_to_sixteen_cells(cells: int) -> None:
    rig = Rig(cells=cells)
    rig.introduce()
    voltages_v = tuple(3.3 + 0.001 * number for number in range(cells))
    sample = rig.live(live_words(voltages_v)).sample
    assert sample.cell_voltages_v == pytest.approx(voltages_v)
