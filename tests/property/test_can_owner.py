"""Whatever the owner asks of CAN, and whatever comes of the battery: the rules of sending hold."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from fake_can_bench import Bench
from fake_live import fake_alarms, fake_sample
from tinybms_can_out.owner import REST_S, ServiceRefused
from tinybms_victron.schedule import SLOTS_PER_S

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from((1, 4, 11, 35, 130, 590))),
        st.tuples(st.just("fresh"), st.integers(0, 3)),
        st.tuples(st.just("alarm"), st.integers(1, 2)),
        st.tuples(st.just("low"), st.just(0)),
        st.tuples(st.just("service"), st.sampled_from((1, 60, 600, 10_000))),
        st.tuples(st.sampled_from(("stop", "start", "end", "restart")), st.just(0)),
    ),
    max_size=14,
)


class Watched:
    """A bench whose every frame is judged when it leaves."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.granted_s: float | None = None
        self.stopped_s: float | None = None

    @property
    def now_s(self) -> float:
        return self.bench.now_ns() / 1e9

    def do(self, event: str, number: int) -> None:
        bench = self.bench
        match event:
            case "fresh":
                bench.take(bench.live())
            case "alarm":
                bench.take(bench.live(alarms=fake_alarms(high_temperature=number)))
            case "low":
                cells = (2.9,) * 16
                bench.take(
                    bench.live(
                        sample=fake_sample(boottime_ns=bench.now_ns(), cell_voltages_v=cells)
                    )
                )
            case "service":
                self._serve(number)
            case "stop":
                bench.owner.stop(bench.now_ns())
                self.stopped_s = self.stopped_s if self.stopped_s is not None else self.now_s
            case "start":
                bench.owner.start()
                self.stopped_s = None
            case "end":
                bench.owner.end_service()
                self.granted_s = None
            case "restart":
                bench.restart(bench.owner.wishes)
            case _:
                self._wait(number)
        self._judge()

    def _serve(self, duration_s: int) -> None:
        live, age_s = self.bench.core.newest(self.bench.now_ns())
        try:
            self.bench.owner.begin_service(live, age_s, duration_s, self.bench.now_ns())
        except ServiceRefused:
            return
        assert live is not None
        assert age_s is not None
        assert age_s < 10.0
        assert all(alarm.level == 0 for alarm in live.alarms)
        assert self.stopped_s is None
        self.granted_s = self.now_s

    def _wait(self, seconds: int) -> None:
        if seconds > 40:
            # The middle of a long wait is like its ends.
            self._run(2)
            self.bench.clock.advance(seconds - 4)
            seconds = 2
        self._run(seconds)

    def _run(self, seconds: int) -> None:
        for _ in range(seconds * SLOTS_PER_S):
            now_ns = self.bench.now_ns()
            self.bench.send(self.bench.core.limits(now_ns))
            self.bench.send(self.bench.core.slot(now_ns))
            self._judge()
            self.bench.clock.advance(1 / SLOTS_PER_S)

    def _judge(self) -> None:
        """Look at the frames of this very moment."""
        frames = [frame for _, frame in self.bench.sent]
        self.bench.sent.clear()
        if not frames:
            return
        age_s = self.bench.core.newest(self.bench.now_ns())[1]
        assert age_s is not None
        if self.stopped_s is not None:
            assert self.now_s - self.stopped_s <= REST_S + 1e-6
        if age_s > 30.0:
            assert self.granted_s is not None, "silence is only broken by the owner"
            assert self.now_s - self.granted_s <= 600.0 + 1e-6
        for frame in frames:
            if frame.id == 0x351:
                current_a = struct.unpack("<HhhH", frame.data)[1]
                assert current_a == 0 or (age_s <= 10.0 and self.stopped_s is None)
            if frame.id == 0x35A and age_s > 10.0:
                assert 1 in (frame.data[2] >> 6, frame.data[6] >> 6)


@settings(deadline=None, max_examples=60)
@given(events=EVENTS)
def test_frames_without_fresh_data_are_rare_short_and_without_charge(
    events: list[tuple[str, int]],
) -> None:
    watched = Watched()
    watched.do("fresh", 0)
    for event, number in events:
        watched.do(event, number)
