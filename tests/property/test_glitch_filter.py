"""Whatever comes, a reading is held for one sample at most and never kept from the limits."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fake_live import fake_sample
from tinybms_acquisition.glitch import GlitchFilter
from tinybms_messages.live import Sample

FIELDS = (
    "cell_voltages_v",
    "pack_voltage_v",
    "soc_pct",
    "external_temperature_1_c",
    "external_temperature_2_c",
    "internal_temperature_c",
)


@st.composite
def samples(draw: st.DrawFn) -> list[Sample]:
    count = draw(st.integers(1, 30))
    at_ns = 10**12
    found = []
    for _ in range(count):
        at_ns += draw(st.sampled_from([10**8, 10**9, 4 * 10**9]))
        cells_v = draw(st.lists(st.floats(0, 6), min_size=4, max_size=4))
        temperatures_c = [draw(st.none() | st.floats(-60, 150)) for _ in ("one", "two", "board")]
        found.append(
            replace(
                fake_sample(),
                boottime_ns=at_ns,
                cell_voltages_v=tuple(cells_v),
                cells_balancing=(False,) * 4,
                pack_voltage_v=draw(st.floats(-1, 90)),
                soc_pct=draw(st.floats(0, 100)),
                external_temperature_1_c=temperatures_c[0],
                external_temperature_2_c=temperatures_c[1],
                internal_temperature_c=temperatures_c[2],
                battery_temperature_c=next((t for t in temperatures_c if t is not None), None),
            )
        )
    return found


@given(raw=samples())
def test_a_held_reading_reaches_the_limits_and_is_shown_with_the_next_sample(
    raw: list[Sample],
) -> None:
    glitches = GlitchFilter()
    held_before: set[str] = set()
    for sample in raw:
        result = glitches.take(sample)
        held = {name for name in FIELDS if getattr(result.sample, name) != getattr(sample, name)}
        assert result.sample.boottime_ns == sample.boottime_ns
        assert not held or result.alternative == sample
        assert not held & held_before
        held_before = held
