"""The simulated serial line: request bytes in, answer bytes out at the moment they would arrive.

Pure: `receive` and `tick` take the time, `due` gives the bytes that have arrived by then. Paced, a
byte takes ten bit times at 115200 baud; the answer begins when the request's last bit and the
turnaround are over, and comes in chunks of `CHUNK_BYTES`, each at the moment of its last byte.
"""

from collections import deque

from tinybms_sim import image as reg
from tinybms_sim.battery import LivingBattery
from tinybms_sim.device import SimulatedBms
from tinybms_sim.faults import LINE_SCENARIOS, LineFaults, broadcast_text
from tinybms_sim.image import Image, words_with
from tinybms_sim.plant import BATTERY_SCENARIOS, Plant
from tinybms_sim.wire import Frame, RequestReader

BYTE_S = 10 / 115_200
TURNAROUND_S = 0.001
CHUNK_BYTES = 16
MAX_QUEUED_BYTES = 65_536
SCENARIOS = ("normal", *LINE_SCENARIOS, "sleep", *BATTERY_SCENARIOS)
_BROADCAST_PERIODS_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_HALF_SECOND, _ASCII = 3, 1


class BmsLine:
    """A simulated BMS at the end of a serial line."""

    def __init__(self, bms: SimulatedBms, *, seed: int = 1, paced: bool = True) -> None:
        self.bms = bms
        self.faults = LineFaults(seed=seed)
        self.scenario = "normal"
        self.reader = RequestReader()
        self._byte_s = BYTE_S if paced else 0.0
        self._turnaround_s = TURNAROUND_S if paced else 0.0
        self._queue: deque[tuple[float, bytes]] = deque()
        self._queued_bytes = 0
        self._free_s = 0.0
        self._next_broadcast_s = 0.0

    def choose(self, scenario: str, now_s: float, rate: float | None = None) -> None:
        """Enter a scenario of `SCENARIOS`; raises ValueError for another name."""
        if scenario not in SCENARIOS:
            raise ValueError(f"unknown scenario {scenario!r}: one of {', '.join(SCENARIOS)}")
        self.scenario = scenario
        self.faults.choose(scenario, rate)
        self.bms.plant.set_condition(scenario if scenario in BATTERY_SCENARIOS else "", now_s)
        if scenario == "sleep":
            self.bms.asleep = True
        if scenario == "broadcast":
            self.bms.image[reg.BROADCAST_TIME] = _HALF_SECOND
            self.bms.image[reg.BROADCAST_PROTOCOL] = _ASCII

    def receive(self, data: bytes, now_s: float) -> None:
        """Bytes from the host."""
        for frame in self.reader.feed(data, now_s):
            self._serve(frame, now_s)

    def tick(self, now_s: float) -> None:
        """Let time pass: live values, broadcasts, requests that stay unfinished."""
        for frame in self.reader.expire(now_s):
            self._serve(frame, now_s)
        self.bms.refresh(now_s)
        self._broadcast(now_s)

    def due(self, now_s: float) -> bytes:
        """Bytes that have arrived at the host by now."""
        parts = []
        while self._queue and self._queue[0][0] <= now_s:
            parts.append(self._queue.popleft()[1])
        data = b"".join(parts)
        self._queued_bytes -= len(data)
        return data

    def next_due_s(self) -> float | None:
        """When the next bytes arrive; None while nothing is on its way."""
        return self._queue[0][0] if self._queue else None

    @property
    def broadcasting(self) -> bool:
        """Whether register 342 asks for unsolicited text."""
        return self.bms.image[reg.BROADCAST_TIME] != 0

    def hang_up(self) -> None:
        """The cable is pulled: what is on its way is lost."""
        self._queue.clear()
        self._queued_bytes = 0

    def _serve(self, frame: Frame, now_s: float) -> None:
        busy_until_s = self.bms.busy_until_s
        reply = self.bms.handle(frame, now_s)
        if reply is None:
            return
        delivery = self.faults.apply(reply)
        ready_s = now_s + frame.length * self._byte_s + self._turnaround_s + delivery.delay_s
        # The answer to a write itself comes at once; the flash write delays the answers after it.
        self._send(delivery.data, max(ready_s, busy_until_s))

    def _send(self, data: bytes, ready_s: float) -> None:
        if self._queued_bytes + len(data) > MAX_QUEUED_BYTES:
            return
        start_s = max(ready_s, self._free_s)
        step = CHUNK_BYTES if self._byte_s else max(len(data), 1)
        for begin in range(0, len(data), step):
            chunk = data[begin : begin + step]
            self._queue.append((start_s + (begin + len(chunk)) * self._byte_s, chunk))
        self._queued_bytes += len(data)
        self._free_s = start_s + len(data) * self._byte_s

    def _broadcast(self, now_s: float) -> None:
        image = self.bms.image
        code = image[reg.BROADCAST_TIME]
        if not 0 < code < len(_BROADCAST_PERIODS_S) or self.bms.asleep or self._queue:
            return
        if now_s < self._next_broadcast_s:
            return
        self._next_broadcast_s = now_s + _BROADCAST_PERIODS_S[code]
        text = broadcast_text(
            image.float32(reg.PACK_VOLTAGE),
            image.float32(reg.PACK_CURRENT),
            image.u32(reg.SOC) / 1e6,
            image[reg.STATUS],
        )
        self._send(text, now_s)


def make_line(
    *,
    start_s: float,
    overrides: dict[int, int] | None = None,
    seed: int = 1,
    firmware: int = 254,
    paced: bool = True,
) -> BmsLine:
    """A line with a living pack, or with the fixed image that overrides describe."""
    image = Image(words_with(overrides or {}, firmware))
    plant = Plant(
        battery=LivingBattery(seed=seed) if overrides is None else None,
        image=image,
        start_s=start_s,
        given=(overrides or {}).keys(),
    )
    return BmsLine(SimulatedBms(image, plant, start_s=start_s), seed=seed, paced=paced)
