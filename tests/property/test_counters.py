"""However often and whenever a process is killed, no published total falls."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fake_clock import FakeClock
from fake_context import FakeContext
from fake_live import fake_sample
from tinybms_acquisition.counterfile import CounterFiles
from tinybms_acquisition.counters import TOTALS

LIVES = st.lists(
    st.tuples(
        st.lists(st.floats(-700, 700), max_size=40),
        st.sampled_from(["kill", "power cut", "stop", "kill before storing"]),
    ),
    min_size=2,
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(lives=LIVES)
def test_no_total_falls_over_any_sequence_of_deaths(
    lives: list[tuple[list[float], str]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        seen = dict.fromkeys(TOTALS, 0.0)
        clock = FakeClock()
        for number, (currents_a, end) in enumerate(lives):
            context = FakeContext(Path(name), clock)
            files = CounterFiles(context.typed(), longest_step_s=1.0)
            for current_a in currents_a:
                clock.advance(1.0)
                now_s = clock.boottime_ns() / 1e9
                sample = replace(
                    fake_sample(), boottime_ns=clock.boottime_ns(), pack_current_a=current_a
                )
                files.book.take(sample)
                counters = files.counters()
                for total in TOTALS:
                    value = getattr(counters, total)
                    assert value is not None
                    assert value >= seen[total], total
                    seen[total] = value
                if end == "kill before storing" and current_a is currents_a[-1]:
                    break
                files.store(now_s)
            if end == "stop":
                files.close(clock.boottime_ns() / 1e9)
            if end == "power cut":
                context.paths.run_file("counters").unlink(missing_ok=True)
                clock = FakeClock(boottime_s=20.0, kernel_boot_id=f"boot {number}")
