"""can_out's core with a clock that the test moves, driven as the service drives it."""

from __future__ import annotations

from collections import Counter

from fake_clock import FakeClock
from fake_live import fake_live, fake_sample
from tinybms_can_out.core import CanFrame, CanOut
from tinybms_can_out.owner import Owner, Wishes
from tinybms_charge.parameters import charge_parameters
from tinybms_config.model import Config
from tinybms_messages.header import Header
from tinybms_messages.live import LiveData
from tinybms_victron.schedule import SLOTS_PER_S


class Bench:
    """A core, a clock, and the loop's beat as the service runs it."""

    def __init__(self, config: Config | None = None) -> None:
        self.clock = FakeClock()
        self.parameters = charge_parameters(config or Config())
        self.sent: list[tuple[float, CanFrame]] = []
        self._seq = 0
        self.restart()

    def restart(self, wishes: Wishes | None = None) -> None:
        """A new core, as after a restart of the process that kept `wishes`."""
        boot = self.clock.kernel_boot_id
        self.owner = Owner(self.parameters, wishes or Wishes(kernel_boot_id=boot))
        self.core = CanOut(
            device="pack1",
            parameters=self.parameters,
            kernel_boot_id=boot,
            owner=self.owner,
        )

    def now_ns(self) -> int:
        return self.clock.boottime_ns()

    def live(self, **changes: object) -> LiveData:
        sample = fake_sample(boottime_ns=self.now_ns())
        return fake_live(**{"sample": sample, **changes})

    def take(self, live: LiveData, *, kernel_boot_id: str | None = None) -> None:
        self._seq += 1
        header = Header(
            source="acquisition",
            boot="0" * 16,
            seq=self._seq,
            wall_ns=0,
            boottime_ns=self.now_ns(),
            kernel_boot_id=kernel_boot_id or self.clock.kernel_boot_id,
            time_ok=True,
        )
        self.core.take(header, live)
        self.send(self.core.urgent(self.now_ns()))

    def send(self, frames: tuple[CanFrame, ...]) -> None:
        for frame in frames:
            self.sent.append((self.now_ns() / 1e9, frame))
            self.core.sent(frame, self.now_ns())

    def run(self, seconds: float) -> None:
        """Let time pass with the slots each ninth of a second and 0x351 each second."""
        for step in range(round(seconds * SLOTS_PER_S)):
            if step % SLOTS_PER_S == 0:
                self.send(self.core.limits(self.now_ns()))
            self.send(self.core.slot(self.now_ns()))
            self.clock.advance(1 / SLOTS_PER_S)

    def ids(self) -> Counter[int]:
        return Counter(frame.id for _, frame in self.sent)

    def seconds_silent(self, seconds: float) -> bool:
        """Whether nothing goes out in that time."""
        before = len(self.sent)
        self.run(seconds)
        return len(self.sent) == before

    def last(self, frame_id: int) -> bytes:
        return next(frame.data for _, frame in reversed(self.sent) if frame.id == frame_id)
