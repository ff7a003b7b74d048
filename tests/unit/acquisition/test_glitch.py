"""One odd sample is held back, two are the truth, and no limit waits for that."""

from typing import Final

import pytest
from msgspec.structs import replace

from fake_live import fake_sample
from tinybms_acquisition.glitch import GlitchFilter
from tinybms_messages.live import Sample

STEP_NS: Final = 100_000_000


class Stream:
    """Samples 0.1 s apart through one filter."""

    def __init__(self) -> None:
        self.filter = GlitchFilter()
        self.sample = fake_sample(boottime_ns=10**12)
        self.filter.take(self.sample)

    def next(self, after_ns: int = STEP_NS, /, **changes: object) -> Sample:
        self.sample = replace(
            fake_sample(), boottime_ns=self.sample.boottime_ns + after_ns, **changes
        )
        return self.sample


def cells(**changed: float) -> tuple[float, ...]:
    values = list(fake_sample().cell_voltages_v)
    for name, volts in changed.items():
        values[int(name[1:]) - 1] = volts
    return tuple(values)


def with_sum(values: tuple[float, ...]) -> dict[str, object]:
    return {"cell_voltages_v": values, "pack_voltage_v": sum(values)}


def test_a_steady_battery_passes_untouched() -> None:
    stream = Stream()
    sample = stream.next(pack_current_a=-200.0, soc_pct=63.0)
    result = stream.filter.take(sample)
    assert (result.sample, result.alternative, result.notes) == (sample, None, ())


def test_one_odd_cell_is_held_for_one_sample_and_given_to_the_limits() -> None:
    stream = Stream()
    odd = stream.next(cell_voltages_v=cells(c6=3.9))
    held = stream.filter.take(odd)
    assert held.sample.cell_voltages_v == cells()
    assert held.sample.boottime_ns == odd.boottime_ns
    assert held.alternative == odd
    assert "cell 6 jumped" in held.notes[0]
    normal = stream.next()
    after = stream.filter.take(normal)
    assert (after.sample, after.alternative) == (normal, None)


def test_the_second_reading_of_a_true_alarm_is_shown() -> None:
    stream = Stream()
    stream.filter.take(stream.next(**with_sum(cells(c6=3.9))))
    second = stream.next(**with_sum(cells(c6=3.91)))
    result = stream.filter.take(second)
    assert result.sample == second
    assert result.alternative is None
    assert "confirmed" in result.notes[0]


def test_the_other_cells_go_on_while_one_is_held() -> None:
    stream = Stream()
    held = stream.filter.take(stream.next(cell_voltages_v=cells(c6=3.9, c7=3.31)))
    assert held.sample.cell_voltages_v == cells(c7=3.31)


def test_nothing_is_held_longer_than_one_sample_even_when_it_keeps_jumping() -> None:
    stream = Stream()
    shown = []
    for turn in range(6):
        volts = 3.9 if turn % 2 == 0 else 2.4
        shown.append(stream.filter.take(stream.next(cell_voltages_v=cells(c1=volts))).sample)
    ages = [sample.cell_voltages_v[0] for sample in shown]
    assert ages[1] == 2.4
    assert len(set(ages)) > 1


def test_a_load_that_pulls_all_cells_down_is_no_glitch() -> None:
    stream = Stream()
    low = tuple(volts - 0.25 for volts in cells())
    sample = stream.next(**with_sum(low), pack_current_a=-300.0)
    assert stream.filter.take(sample).sample == sample


@pytest.mark.parametrize("pack_v", [19.0, 60.0, 54.0])
def test_a_pack_voltage_that_leaves_its_cells_is_held(pack_v: float) -> None:
    stream = Stream()
    odd = stream.next(pack_voltage_v=pack_v)
    held = stream.filter.take(odd)
    assert held.sample.pack_voltage_v == fake_sample().pack_voltage_v
    assert held.alternative == odd


def test_soc_that_falls_from_hundred_to_one_is_held_and_then_followed() -> None:
    stream = Stream()
    first = stream.filter.take(stream.next(soc_pct=1.0))
    assert first.sample.soc_pct == fake_sample().soc_pct
    assert any("SoC jumped" in note for note in first.notes)
    second = stream.filter.take(stream.next(soc_pct=1.0))
    assert second.sample.soc_pct == 1.0
    assert any("confirmed" in note for note in second.notes)


def test_a_probe_that_jumped_binds_the_limits_for_half_a_minute() -> None:
    stream = Stream()
    hot = {"external_temperature_1_c": 60.0, "battery_temperature_c": 60.0}
    first = stream.filter.take(stream.next(**hot))
    assert first.sample.battery_temperature_c == 23.5
    assert first.alternative is not None
    assert first.alternative.battery_temperature_c == 60.0
    second = stream.filter.take(stream.next(**hot))
    assert second.sample.battery_temperature_c == 60.0
    assert second.alternative is not None
    assert second.alternative.battery_temperature_c == 23.5
    for _ in range(14):
        result = stream.filter.take(stream.next(2_000_000_000, **hot))
        assert result.alternative is not None
    late = stream.filter.take(stream.next(2_500_000_000, **hot))
    assert late.alternative is None


def test_a_probe_that_comes_back_is_trusted_at_once() -> None:
    stream = Stream()
    hot = {"external_temperature_1_c": 60.0, "battery_temperature_c": 60.0}
    stream.filter.take(stream.next(**hot))
    assert stream.filter.take(stream.next()).alternative is None


def test_the_first_sample_after_a_gap_is_no_jump() -> None:
    stream = Stream()
    sample = stream.next(4_000_000_000, soc_pct=1.0, cell_voltages_v=cells(c6=3.9))
    result = stream.filter.take(sample)
    assert (result.sample, result.alternative) == (sample, None)


def test_a_probe_that_was_pulled_is_no_jump() -> None:
    stream = Stream()
    gone = stream.next(external_temperature_1_c=None, battery_temperature_c=24.6)
    assert stream.filter.take(gone).sample == gone
