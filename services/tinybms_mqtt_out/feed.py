"""From bus messages to publications: cycles, ageing, full sets. Knows no socket and no timer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from tinybms_charge.ageing import Aged, aged
from tinybms_charge.parameters import ChargeParameters
from tinybms_messages.header import Header
from tinybms_messages.latest import LatestLive
from tinybms_messages.live import LiveData, Sample
from tinybms_messages.registers import BmsSettings, RegisterValue, RegisterValues
from tinybms_mqtt_out.cycle import CycleJoin, Held
from tinybms_mqtt_out.model import Snapshot
from tinybms_mqtt_out.payload import Stamp
from tinybms_mqtt_out.publication import Publication
from tinybms_mqtt_out.values import Values

Offer = Callable[[Publication], None]

NO_NEW_SAMPLE_S: Final = 1.0
"""Age of the sample from which limits and alarms are published without a new one."""


class Feed:
    """What the battery says, as messages for `offer`; `boottime_ns` is the caller's clock."""

    def __init__(
        self, *, values: Values, parameters: ChargeParameters, kernel_boot_id: str, offer: Offer
    ) -> None:
        self.values = values
        self._parameters = parameters
        self._offer = offer
        self._latest = LatestLive(kernel_boot_id=kernel_boot_id)
        self._join = CycleJoin()
        self._cycle: tuple[str | None, int] | None = None
        self._measured = True
        self._full_set_wanted = False
        self._registers: dict[str, RegisterValue] = {}

    @property
    def newest(self) -> LiveData | None:
        """The newest LIVE_DATA, with or without a sample."""
        return self._latest.newest

    @property
    def awaits_registers(self) -> bool:
        """Whether the register values of the present cycle have not come yet."""
        return not self._measured

    def aged(self, boottime_ns: int) -> Aged:
        """Limits, alarms and state of the data as they hold now."""
        return aged(self._shown_live(), self._latest.age_s(boottime_ns), self._parameters)

    def live(self, header: Header, body: LiveData, boottime_ns: int) -> None:
        """Publish what a snapshot makes due; a repeat of the same sample makes nothing due."""
        if not self._latest.offer(header, body):
            return
        self._begin_cycle(boottime_ns)
        for held in self._join.live(header.boot, header.seq):
            self._take(held, boottime_ns)

    def registers(self, header: Header, body: RegisterValues, boottime_ns: int) -> None:
        """Publish register values, once the LIVE_DATA of their cycle has come."""
        held = self._join.registers(Held(boot=header.boot, time_ok=header.time_ok, body=body))
        if held is not None:
            self._take(held, boottime_ns)

    def settings(self, header: Header, body: BmsSettings, boottime_ns: int) -> None:
        """Publish settings that are new; numbered like the newest LIVE_DATA."""
        seq = self._cycle[1] if self._cycle is not None else 0
        stamp = Stamp(
            seq=seq,
            boot=header.boot,
            timestamp_ms=body.wall_ns // 1_000_000,
            time_ok=header.time_ok,
        )
        self._send(self.values.registers(body.values, stamp, boottime_ns / 1e9))

    def registers_are_late(self, boottime_ns: int) -> None:
        """Publish the cycle's measured values without waiting longer for its register values."""
        snapshot = self._snapshot(boottime_ns)
        if not self._measured and snapshot is not None:
            self._publish_measured(snapshot, boottime_ns)

    def tick(self, boottime_ns: int) -> None:
        """Publish aged limits and alarms while no new sample comes."""
        sample, age_s = self._sample(), self._latest.age_s(boottime_ns)
        if sample is None or age_s is None or age_s < NO_NEW_SAMPLE_S:
            return
        shown, stamp, now_s = self.aged(boottime_ns), self._stamp(sample), boottime_ns / 1e9
        snapshot = self._snapshot_of(sample, shown)
        if self._full_set_wanted and shown.data_state == "fresh":
            self._full_set_wanted = False
            self._send(self.values.computed(snapshot, stamp, now_s))
            self._publish_measured(snapshot, boottime_ns)
        if shown.send:
            self._send(self.values.limits_and_alarms(snapshot, stamp, now_s))
        elif shown.alarm_level > 0:
            self._send(self.values.cable_alarm(snapshot, stamp, now_s))

    def full_set(self, boottime_ns: int) -> None:
        """Publish everything that is known; old values are not shown as new ones.

        The next sample brings the measured values, so that their numbers keep rising; when none
        comes soon, those of the last one go out.
        """
        self.values.force_all()
        self._full_set_wanted = True
        if self.aged(boottime_ns).data_state == "fresh":
            self._send(self.values.known_registers(boottime_ns / 1e9))
        self.tick(boottime_ns)

    def fresh_snapshot(self, boottime_ns: int) -> Snapshot | None:
        """What the battery says now, None unless its data are fresh."""
        fresh = self.aged(boottime_ns).data_state == "fresh"
        return self._snapshot(boottime_ns) if fresh else None

    def _begin_cycle(self, boottime_ns: int) -> None:
        sample = self._sample()
        if sample is None or self._cycle == (self._latest.boot, sample.seq):
            return
        snapshot = self._snapshot(boottime_ns)
        if snapshot is None:
            return
        self._cycle = (self._latest.boot, sample.seq)
        self._measured = self._full_set_wanted = False
        self._registers = {}
        self.values.set_cell_count(sample.cell_count)
        self._send(self.values.computed(snapshot, self._stamp(sample), boottime_ns / 1e9))

    def _take(self, held: Held, boottime_ns: int) -> None:
        now_s, body = boottime_ns / 1e9, held.body
        snapshot = self._snapshot(boottime_ns)
        of_this_cycle = self._cycle == (held.boot, body.live_seq)
        if of_this_cycle and snapshot is not None:
            self._registers = {value.key: value for value in body.values}
            stamp = self._stamp(snapshot.sample)
            if not self._measured:
                self._publish_measured(snapshot, boottime_ns)
        else:
            stamp = Stamp(
                seq=body.live_seq,
                boot=held.boot,
                timestamp_ms=body.wall_ns // 1_000_000,
                time_ok=held.time_ok,
            )
        self._send(self.values.registers(body.values, stamp, now_s))

    def _publish_measured(self, snapshot: Snapshot, boottime_ns: int) -> None:
        self._measured = True
        stamp = self._stamp(snapshot.sample)
        self._send(self.values.measured(snapshot, self._registers, stamp, boottime_ns / 1e9))

    def _send(self, publications: Iterable[Publication]) -> None:
        for publication in publications:
            self._offer(publication)

    def _shown_live(self) -> LiveData | None:
        """The newest snapshot with a sample; whether the BMS sleeps says the newest of all."""
        newest, sampled = self._latest.newest, self._latest.with_sample
        if newest is None or sampled is None or newest.asleep == sampled.asleep:
            return sampled or newest
        return msgspec.structs.replace(sampled, asleep=newest.asleep)

    def _sample(self) -> Sample | None:
        sampled = self._latest.with_sample
        return None if sampled is None else sampled.sample

    def _snapshot(self, boottime_ns: int) -> Snapshot | None:
        """What may be shown of the sample now, None when it is lost or there is none."""
        sample = self._sample()
        shown = self.aged(boottime_ns)
        return self._snapshot_of(sample, shown) if sample is not None and shown.send else None

    def _snapshot_of(self, sample: Sample, shown: Aged) -> Snapshot:
        live = self._latest.with_sample or LiveData()
        return Snapshot(live=live, sample=sample, limits=shown.limits, alarms=shown.alarms)

    def _stamp(self, sample: Sample) -> Stamp:
        return Stamp(
            seq=sample.seq,
            boot=self._latest.boot or "",
            timestamp_ms=sample.wall_ns // 1_000_000,
            time_ok=sample.time_ok,
        )
