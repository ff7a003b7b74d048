"""When a critical value is a record: SoC and limits by their dead bands, alarms and events always.

Pure: the caller says what holds now and gets the records, numbered without gaps from 1. Nothing is
a record before the first valid sample; SoC is one only when it was measured anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tinybms_acquisition.sample import Moment
from tinybms_charge.ageing import Aged
from tinybms_messages.critical import EVENT_SUFFIX, Critical, CriticalClass
from tinybms_messages.live import AlarmName, Limits, Sample
from tinybms_protocol.registers import BY_KEY

KEYFRAME_S: Final = 3600.0
_SLACK: Final = 1e-9
"""A step of exactly one dead band counts although floats fall a hair short of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadBand:
    """How far a value must move: the larger of `absolute` and `fraction` of the last record."""

    absolute: float
    fraction: float = 0.0

    def moved(self, last: float | None, value: float | None) -> bool:
        """Whether `value` is news after `last`; reaching or leaving 0, or not known, always is."""
        if last is None or value is None:
            return last is not value
        if (last == 0) != (value == 0):
            return True
        return abs(value - last) >= max(self.absolute, self.fraction * abs(last)) - _SLACK


SOC_SUFFIX: Final = "soc_percent"
DEAD_BANDS: Final[dict[str, DeadBand]] = {
    SOC_SUFFIX: DeadBand(absolute=0.1),
    "charge_voltage_limit": DeadBand(absolute=0.1),
    "discharge_voltage_limit": DeadBand(absolute=0.1),
    "charge_current_limit": DeadBand(absolute=0.1, fraction=0.01),
    "discharge_current_limit": DeadBand(absolute=0.1, fraction=0.01),
}
"""By suffix of the MQTT topic, in %, V and A."""

ALARM_SUFFIXES: Final[dict[AlarmName, str]] = {name: f"alarm_{name}" for name in AlarmName}
_SOC_SCALE: Final = BY_KEY["state_of_charge"].scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What holds after the LIVE_DATA `live_seq`: the sample it carries, aged limits and alarms.

    `live_seq` names each LIVE_DATA once, so that (boot, live_seq, suffix) names each record once.
    `moment`: now. `sample`: the last one, new or not; None before the first.
    """

    live_seq: int
    moment: Moment
    sample: Sample | None
    shown: Aged


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stamp:
    live_seq: int
    moment: Moment


class CriticalRecords:
    """Remembers what the last record of each value said."""

    def __init__(self, *, boot: str, kernel_boot_id: str) -> None:
        self._boot = boot
        self._kernel_boot_id = kernel_boot_id
        self._last_seq = 0
        self._sample_seq: int | None = None
        self._values: dict[str, float | None] = {}
        self._levels: dict[AlarmName, int] = {}
        self._forced: set[str] = set()
        self._keyframe_ns: int | None = None

    def want_keyframe(self) -> None:
        """Let the next records hold every value, as at the edges of an MQTT outage."""
        self._forced.update(DEAD_BANDS, ALARM_SUFFIXES.values())

    def take(self, seen: Seen) -> list[Critical]:
        """The records that `seen` makes."""
        sample = seen.sample
        if sample is None:
            return []
        now_ns = seen.moment.boottime_ns
        if self._keyframe_ns is None or now_ns - self._keyframe_ns >= KEYFRAME_S * 1e9:
            self._keyframe_ns = now_ns
            self.want_keyframe()
        measured = sample.seq != self._sample_seq
        self._sample_seq = sample.seq
        stamp = _Stamp(live_seq=seen.live_seq, moment=_taken(sample) if measured else seen.moment)
        records: list[Critical] = []
        if measured:
            raw = round(sample.soc_pct / _SOC_SCALE)
            records += self._value(SOC_SUFFIX, sample.soc_pct, stamp, raw)
        for suffix, value in _limit_values(seen.shown.limits).items():
            records += self._value(suffix, value, stamp)
        return records + self._alarms(seen.shown, stamp)

    def event(self, code: str, text: str, severity: str, moment: Moment) -> Critical:
        """The record of an event; it belongs to no LIVE_DATA and is named by its own number."""
        seq = self._last_seq + 1
        return self._record(
            CriticalClass.EVENT,
            EVENT_SUFFIX,
            code,
            _Stamp(live_seq=seq, moment=moment),
            text=text,
            severity=severity,
        )

    def _value(
        self, suffix: str, value: float | None, stamp: _Stamp, raw: int | None = None
    ) -> list[Critical]:
        forced = suffix in self._forced and value is not None
        if not forced and not DEAD_BANDS[suffix].moved(self._values.get(suffix), value):
            return []
        self._values[suffix] = value
        self._forced.discard(suffix)
        return [self._record(CriticalClass.SAMPLE, suffix, value, stamp, raw=raw)]

    def _alarms(self, shown: Aged, stamp: _Stamp) -> list[Critical]:
        records: list[Critical] = []
        for alarm in shown.alarms:
            suffix = ALARM_SUFFIXES[alarm.name]
            if suffix not in self._forced and self._levels.get(alarm.name) == alarm.level:
                continue
            self._levels[alarm.name] = alarm.level
            self._forced.discard(suffix)
            records.append(
                self._record(CriticalClass.ALARM, suffix, alarm.level, stamp, text=alarm.text)
            )
        return records

    def _record(
        self,
        record_class: CriticalClass,
        suffix: str,
        value: float | str | None,
        stamp: _Stamp,
        *,
        raw: int | None = None,
        text: str = "",
        severity: str = "",
    ) -> Critical:
        self._last_seq += 1
        return Critical(
            boot=self._boot,
            seq=self._last_seq,
            record_class=record_class,
            suffix=suffix,
            live_seq=stamp.live_seq,
            value=value,
            raw=raw,
            text=text,
            severity=severity,
            wall_ns=stamp.moment.wall_ns,
            boottime_ns=stamp.moment.boottime_ns,
            kernel_boot_id=self._kernel_boot_id,
            time_ok=stamp.moment.time_ok,
        )


def _taken(sample: Sample) -> Moment:
    return Moment(boottime_ns=sample.boottime_ns, wall_ns=sample.wall_ns, time_ok=sample.time_ok)


def _limit_values(limits: Limits | None) -> dict[str, float | None]:
    """Limits by suffix; unknown ones once the data are too old to say."""
    return {
        "charge_voltage_limit": None if limits is None else limits.charge_voltage_v,
        "discharge_voltage_limit": None if limits is None else limits.discharge_voltage_v,
        "charge_current_limit": None if limits is None else limits.charge_current_a,
        "discharge_current_limit": None if limits is None else limits.discharge_current_a,
    }
