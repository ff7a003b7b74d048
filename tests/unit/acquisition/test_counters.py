"""Energy and charge: what is counted, what is stored, and that no published total ever falls."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from fake_clock import FakeClock
from fake_context import FakeContext
from fake_live import fake_sample
from tinybms_acquisition.counterfile import CounterFiles
from tinybms_acquisition.counters import (
    RUN_BLOCK,
    ZERO,
    CounterBook,
    Start,
    Stored,
    Totals,
    from_bytes,
    newest,
    to_bytes,
)
from tinybms_messages.live import Counters, Sample

HUGE = (1e9, 1e9, 1e9, 1e9)


def sample(at_s: float, current_a: float, pack_v: float = 50.0, **changes: object) -> Sample:
    return replace(
        fake_sample(),
        boottime_ns=round(at_s * 1e9),
        pack_voltage_v=pack_v,
        pack_current_a=current_a,
        lifetime_s=round(at_s),
        **changes,
    )


def book(longest_step_s: float = 1.0) -> CounterBook:
    return CounterBook(Start(stored=None, known=True), longest_step_s=longest_step_s)


def run(counting: CounterBook, seconds: int, current_a: float, start_s: int = 0) -> None:
    for at_s in range(start_s, start_s + seconds + 1):
        counting.take(sample(at_s, current_a))


def test_an_hour_of_forty_amperes_at_fifty_volts() -> None:
    counting = book()
    run(counting, 3600, 40.0)
    counters = counting.published((HUGE,))
    assert counters.charged_energy_kwh == pytest.approx(2.0)
    assert counters.charged_ah == pytest.approx(40.0)
    assert counters.discharged_energy_kwh == 0.0
    assert counters.discharged_ah == 0.0


def test_discharge_is_counted_apart() -> None:
    counting = book()
    run(counting, 3600, -20.0)
    counters = counting.published((HUGE,))
    assert counters.discharged_energy_kwh == pytest.approx(1.0)
    assert counters.discharged_ah == pytest.approx(20.0)
    assert counters.charged_ah == 0.0


def test_a_gap_is_not_counted_as_energy_but_as_a_gap() -> None:
    counting = book()
    counting.take(sample(0, 50.0))
    counting.take(sample(600, 50.0))
    counters = counting.published((HUGE,))
    assert counters.charged_energy_kwh == 0.0
    assert counters.gap_s == 600.0


def test_nothing_is_published_above_a_ceiling_that_is_not_stored() -> None:
    counting = book()
    run(counting, 3600, 40.0)
    counters = counting.published(((0.5, 1.0, 10.0, 1.0), HUGE))
    assert counters.charged_energy_kwh == 0.5
    assert counters.charged_ah == 10.0


def test_after_a_crash_a_total_stands_still_and_gains_nothing() -> None:
    before = book()
    run(before, 3600, 40.0)
    stored = before.to_store("boot", (0.1, 0.1, 2.0, 2.0))
    after = CounterBook(Start(stored=stored, known=True), longest_step_s=1.0)
    assert after.published((HUGE,)).charged_energy_kwh == pytest.approx(2.1)
    run(after, 90, 40.0, 5000)
    assert after.published((HUGE,)).charged_energy_kwh == pytest.approx(2.1)
    run(after, 3510, 40.0, 5090)
    assert after.published((HUGE,)).charged_energy_kwh == pytest.approx(4.0, abs=0.001)


def test_extremes_and_the_time_since_full() -> None:
    counting = book()
    counting.take(sample(0, 0.0, 56.0, online_status="fully_charged"))
    counting.take(sample(1, 0.0, 50.0, cell_voltages_v=(3.1, 3.4)))
    counting.take(sample(90, 0.0, 52.0))
    counters = counting.published((HUGE,))
    assert (counters.min_voltage_seen_v, counters.max_voltage_seen_v) == (50.0, 56.0)
    assert counters.min_cell_voltage_seen_v == 3.1
    assert counters.max_cell_voltage_seen_v == 3.4
    assert counters.time_since_full_s == 90


def test_time_since_full_is_unknown_before_it_was_full_and_on_another_bms() -> None:
    counting = book()
    counting.take(sample(10, 0.0))
    assert counting.published((HUGE,)).time_since_full_s is None
    counting.take(sample(100, 0.0, online_status="fully_charged"))
    counting.take(replace(sample(101, 0.0), lifetime_s=5))
    assert counting.published((HUGE,)).time_since_full_s is None


def test_lost_totals_are_unknown_not_zero() -> None:
    counting = CounterBook(Start(stored=None, known=False), longest_step_s=1.0)
    run(counting, 10, 40.0)
    counters = counting.published((HUGE,))
    assert counters.charged_energy_kwh is None
    assert counters.charged_ah is None
    assert counters.min_voltage_seen_v == 50.0


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\x00" * 50,
        to_bytes(Stored(kernel_boot_id="b", actual=(5.0, 0, 0, 0), ceiling=ZERO)),
        to_bytes(Stored(kernel_boot_id="b", actual=(-1.0, 0, 0, 0), ceiling=ZERO)),
        to_bytes(Stored(kernel_boot_id="b", actual=ZERO, ceiling=(float("nan"), 0, 0, 0))),
        to_bytes(Stored(schema=9, kernel_boot_id="b", actual=ZERO, ceiling=ZERO)),
    ],
)
def test_damaged_files_are_recognised(damaged: bytes) -> None:
    assert from_bytes(damaged) is None


def test_the_run_folder_counts_only_in_the_same_run_of_the_machine() -> None:
    disk = Stored(kernel_boot_id="old", actual=(1, 1, 1, 1), ceiling=(2, 2, 2, 2))
    run_file = Stored(kernel_boot_id="now", actual=(1.5, 1, 1, 1), ceiling=(1.6, 2, 2, 2))
    assert newest(disk, run_file, "now") == run_file
    assert newest(disk, run_file, "later") == disk
    assert newest(None, run_file, "now") == run_file
    older = Stored(kernel_boot_id="now", actual=(0.5, 1, 1, 1), ceiling=(1.6, 2, 2, 2))
    assert newest(disk, older, "now") == disk


class Process:
    """Counter files of one process life; `clock` goes on over lives."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.context = FakeContext(folder, clock)
        self.files = CounterFiles(self.context.typed(), longest_step_s=1.0)

    def run(self, seconds: int, current_a: float = 100.0) -> Counters:
        for _ in range(seconds):
            self.context.clock.advance(1.0)
            now_s = self.context.clock.boottime_ns() / 1e9
            self.files.book.take(sample(now_s, current_a))
            self.files.store(now_s)
        return self.files.counters()

    def stop(self) -> None:
        self.files.close(self.context.clock.boottime_ns() / 1e9)


def test_the_very_first_start_begins_at_zero(tmp_path: Path) -> None:
    process = Process(tmp_path, FakeClock())
    assert process.files.counters().charged_energy_kwh == 0.0
    assert process.context.events == []
    assert process.run(720).charged_energy_kwh == pytest.approx(1.0, abs=0.01)


def test_a_clean_stop_loses_and_invents_nothing(tmp_path: Path) -> None:
    clock = FakeClock()
    first = Process(tmp_path, clock)
    before = first.run(600)
    first.stop()
    assert Process(tmp_path, clock).files.counters() == replace(before, time_since_full_s=None)


def test_a_killed_process_goes_on_within_one_small_block(tmp_path: Path) -> None:
    clock = FakeClock()
    before = Process(tmp_path, clock).run(600).charged_energy_kwh
    after = Process(tmp_path, clock).files.counters().charged_energy_kwh
    assert before is not None
    assert after is not None
    assert before <= after <= before + 2 * RUN_BLOCK[0]


def test_a_power_cut_goes_on_within_one_block_of_the_disk(tmp_path: Path) -> None:
    clock = FakeClock()
    first = Process(tmp_path, clock)
    before = first.run(600).charged_energy_kwh
    first.context.paths.run_file("counters").unlink()
    after = Process(tmp_path, FakeClock(kernel_boot_id="next")).files.counters().charged_energy_kwh
    assert before is not None
    assert after is not None
    assert before <= after <= before + 0.1


@pytest.mark.parametrize("damage", [b"garbage", None])
def test_damaged_or_lost_counters_are_unknown_and_stay_so(
    tmp_path: Path, damage: bytes | None
) -> None:
    first = Process(tmp_path, FakeClock())
    first.run(600)
    first.stop()
    file = first.context.paths.state_file("counters")
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)
    for _ in range(2):
        again = Process(tmp_path, FakeClock(kernel_boot_id="next"))
        assert again.run(60).charged_energy_kwh is None
        assert again.context.codes == ["counters_lost"]
    if damage is not None:
        assert file.with_name(f"{file.name}.damaged").read_bytes() == damage


def test_a_damaged_disk_file_is_repaired_from_the_run_folder(tmp_path: Path) -> None:
    clock = FakeClock()
    first = Process(tmp_path, clock)
    before = first.run(600).charged_energy_kwh
    first.context.paths.state_file("counters").write_bytes(b"garbage")
    again = Process(tmp_path, clock)
    assert before is not None
    assert (again.run(1).charged_energy_kwh or 0) >= before
    assert from_bytes(first.context.paths.state_file("counters").read_bytes()) is not None


def test_a_full_disk_makes_totals_stand_still_and_says_so_once(tmp_path: Path) -> None:
    process = Process(tmp_path, FakeClock())
    process.run(60)
    process.context.paths.state_dir.rename(tmp_path / "away")
    process.run(600)
    stuck = process.files.counters().charged_energy_kwh
    assert process.run(60).charged_energy_kwh == stuck
    assert process.context.codes == ["counters_not_stored"]
    (tmp_path / "away").rename(process.context.paths.state_dir)
    after = process.run(120).charged_energy_kwh
    assert stuck is not None
    assert after is not None
    assert after > stuck + 0.5


def test_the_disk_is_written_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times_s = []
    process = Process(tmp_path, FakeClock())
    store = process.files._store_on_disk

    def count(now_s: float, block: Totals) -> None:
        times_s.append(now_s)
        store(now_s, block)

    monkeypatch.setattr(process.files, "_store_on_disk", count)
    process.run(1200, 10.0)
    assert 1 <= len(times_s) <= 8
