"""A keeper of the offline buffer with everything around it in the hands of a test."""

from __future__ import annotations

from pathlib import Path

from fake_clock import FakeClock
from fake_critical import BOOT, record_at
from fake_store import CLAIMER, open_store
from tinybms_buffer.bounds import StoreLimits
from tinybms_buffer.keeper import Keeper
from tinybms_buffer.store import Store
from tinybms_buffer.tracked import Memory
from tinybms_buffer.trouble import StorageOff
from tinybms_messages.critical import Critical, DeliveredBoot, MqttDelivered
from tinybms_messages.requests import Ack, CaughtUp, Claim, Claimed, RingBoot
from tinybms_messages.sequences import SequenceSet


class KeeperRig:
    """A keeper with its disk, a ring and an MQTT side, all under the test's control."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "buffer.db"
        self.clock = FakeClock()
        self.off: StorageOff | None = None
        self.ram_only = False
        self.silent = False
        self.opened = 0
        self.told: list[str] = []
        self.texts: list[str] = []
        self.memory: Memory | None = None
        self.ring: list[Critical] = []
        self.arrived = SequenceSet()
        self.seq = 0
        self.keeper = self.start()

    def start(self) -> Keeper:
        self.keeper = Keeper(
            clock=self.clock,
            open_store=self._open,
            tell=self._tell,
            memory=self.memory,
            save=self._save,
        )
        self._answer()
        return self.keeper

    def say(self, *, heard: bool = True, acknowledged: bool = False) -> Critical:
        """Acquisition makes a record; the bus and the MQTT broker take it or not."""
        self.seq += 1
        record = record_at(self.clock, self.seq)
        self.ring.append(record)
        if heard:
            self.keeper.take(record)
        if acknowledged:
            self.arrived.add(record.seq)
        return record

    def acknowledge(self) -> None:
        boot = DeliveredBoot.of(BOOT, self.arrived, most_ranges=99)
        self.keeper.delivered(MqttDelivered(boots=(boot,)))

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self._answer()
            self.keeper.tick()

    def claim(self, claimer: str = CLAIMER) -> Claimed:
        return self.keeper.claim(Claim(claimer=claimer))

    def replay(self) -> list[Critical]:
        """MQTT takes all that is stored."""
        records: list[Critical] = []
        while (claimed := self.claim()).records:
            records += [stored.record for stored in claimed.records]
            ids = tuple(stored.id for stored in claimed.records)
            self.keeper.ack(Ack(claimer=CLAIMER, store=claimed.store, ids=ids))
        return records

    def content(self) -> dict[str, tuple[int, bytes]]:
        return {
            file.name: (file.stat().st_mtime_ns, file.read_bytes())
            for file in self.folder.iterdir()
            if not file.name.endswith("-shm")
        }

    def _answer(self) -> None:
        request = self.keeper.tracker.wanted(self.clock.boottime_ns() / 1e9)
        if request is None:
            return
        if self.silent:
            self.keeper.tracker.silence(self.clock.boottime_ns() / 1e9)
            return
        inventory = (RingBoot(boot=BOOT, first=1, last=self.seq),) if self.ring else ()
        found = [one for one in self.ring if any(a <= one.seq <= b for a, b in request.ranges)]
        answer = CaughtUp(inventory=inventory, records=tuple(found[:100]))
        self.keeper.tracker.caught_up(answer, self.clock.boottime_ns() / 1e9)

    def _open(self, distrust: str) -> Store:
        self.opened += 1
        if self.off is not None:
            raise self.off
        path = None if self.ram_only else self.path
        return open_store(path, self.clock, distrust=distrust, limits=StoreLimits())

    def _tell(self, code: str, text: str, severity: str = "info") -> None:
        assert severity in {"info", "warning", "alarm"}
        self.told.append(code)
        self.texts.append(text)

    def _save(self, memory: Memory) -> None:
        self.memory = memory
