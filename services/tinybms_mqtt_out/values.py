"""From snapshots and register values to the messages that are due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tinybms_config.model import Mqtt
from tinybms_messages.critical import Critical, CriticalClass
from tinybms_messages.live import AlarmName
from tinybms_messages.registers import RegisterValue
from tinybms_messages.requests import StoredRecord
from tinybms_mqtt_out.filter import Cadence, TopicFilter
from tinybms_mqtt_out.model import Band, Group, Snapshot, Value, ValueTopic
from tinybms_mqtt_out.payload import PayloadTemplate, Reading, Stamp
from tinybms_mqtt_out.publication import Kind, Publication, RecordId
from tinybms_mqtt_out.topics import value_topics

SETTINGS_SILENCE_S: Final = 3600.0
"""Settings are published on change and this often."""


CABLE_SUFFIX: Final = f"alarm_{AlarmName.BMS_CABLE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A register value with the cycle in which it was read."""

    value: RegisterValue
    stamp: Stamp


class _Channel:
    """One topic with its filter and the fixed parts of its messages."""

    __slots__ = ("address", "filter", "kind", "qos", "template", "topic")

    def __init__(self, topic: ValueTopic, config: Mqtt, root: str) -> None:
        self.topic = topic
        self.address = f"{root}/{topic.suffix}"
        self.template = PayloadTemplate(topic)
        self.filter = TopicFilter(_cadence(topic, config))
        self.qos = qos_of(topic, config)
        self.kind = Kind.CRITICAL if topic.critical else Kind.TELEMETRY

    def message(self, reading: Reading, stamp: Stamp) -> Publication:
        return Publication(
            topic=self.address,
            payload=self.template.encode(reading, stamp),
            qos=self.qos,
            kind=self.kind,
        )


def qos_of(topic: ValueTopic, config: Mqtt) -> int:
    """1 for critical topics, else the default; `mqtt.qos` goes before both."""
    return config.qos.get(topic.suffix, 1 if topic.critical else config.default_qos)


def _cadence(topic: ValueTopic, config: Mqtt) -> Cadence:
    absolute = None if topic.critical else config.deadband.get(topic.suffix)
    settings = topic.group is Group.SETTINGS
    return Cadence(
        band=topic.band if absolute is None else Band(absolute=absolute),
        max_silence_s=SETTINGS_SILENCE_S if settings else config.max_silence_s,
        min_interval_s=1.0 / config.max_rate_hz,
        critical=topic.critical,
    )


class Values:
    """All value topics of the pack: tells which messages a cycle makes due."""

    def __init__(self, config: Mqtt, root: str) -> None:
        self._config = config
        self._root = root
        self.cell_count = 0
        self._channels: dict[str, _Channel] = {}
        self._known: dict[str, Known] = {}
        self._arrange(0)

    @property
    def topics(self) -> tuple[ValueTopic, ...]:
        """Every topic, those of the cells once their number is known."""
        return tuple(channel.topic for channel in self._channels.values())

    def set_cell_count(self, cell_count: int) -> bool:
        """Arrange the topics of the cells; True when their number is a new one."""
        if cell_count == self.cell_count:
            return False
        self._arrange(cell_count)
        return True

    def register_value(self, key: str) -> Value:
        """Newest value of a register that feeds a topic by itself, None while it is not known."""
        known = self._known.get(key)
        return None if known is None else known.value.value

    def record(self, record: Critical, now_s: float) -> Publication:
        """The message of a critical record as it is made."""
        channel = self._channels.get(record.suffix)
        if channel is not None:
            channel.filter.sent(record.value, now_s)
        return self._record_message(record, f"{self._root}/{record.suffix}", Kind.CRITICAL)

    def replayed(self, stored: StoredRecord, store: str) -> Publication:
        """The message of a record that was stored, with its own time and marked as such."""
        record = stored.record
        topic = f"{self._root}/replay/{record.suffix}"
        return self._record_message(record, topic, Kind.REPLAY, stored=stored.id, store=store)

    def force_all(self) -> None:
        """Let the next value of every topic through."""
        for channel in self._channels.values():
            channel.filter.force()

    def computed(self, snapshot: Snapshot, stamp: Stamp, now_s: float) -> list[Publication]:
        """What is due of the values that need no register: limits, alarms, sums."""
        return self._derived(self._computed, snapshot, {}, stamp, now_s)

    def limits_and_alarms(
        self, snapshot: Snapshot, stamp: Stamp, now_s: float
    ) -> list[Publication]:
        """What is due of limits and alarms alone, while no new sample comes."""
        return self._derived(self._ageing, snapshot, {}, stamp, now_s, ageing=True)

    def cable_alarm(self, snapshot: Snapshot, stamp: Stamp, now_s: float) -> list[Publication]:
        """What is due of the one alarm that stays true when the data are lost."""
        return self._derived(self._cable, snapshot, {}, stamp, now_s, ageing=True)

    def measured(
        self,
        snapshot: Snapshot,
        registers: Mapping[str, RegisterValue],
        stamp: Stamp,
        now_s: float,
    ) -> list[Publication]:
        """What is due of the values that carry a register's raw number; `registers` by key.

        A register that is missing there gets its raw number from the sample.
        """
        return self._derived(self._measured, snapshot, registers, stamp, now_s)

    def registers(
        self, values: Iterable[RegisterValue], stamp: Stamp, now_s: float
    ) -> list[Publication]:
        """What is due of the topics that are fed by registers alone."""
        due: list[Publication] = []
        for value in values:
            channels = self._fed.get(value.key)
            if channels is not None:
                known = self._known[value.key] = Known(value=value, stamp=stamp)
                due += self._fed_messages(channels, known, now_s)
        return due

    def known_registers(self, now_s: float) -> list[Publication]:
        """What is due of register topics without a new reading: all of them after `force_all`."""
        due: list[Publication] = []
        for key, known in self._known.items():
            due += self._fed_messages(self._fed[key], known, now_s, forced_only=True)
        return due

    def _record_message(
        self,
        record: Critical,
        address: str,
        kind: Kind,
        *,
        stored: int | None = None,
        store: str = "",
    ) -> Publication:
        channel = self._channels.get(record.suffix)
        template = _template(record.suffix) if channel is None else channel.template
        reading = Reading(
            value=record.value,
            raw=record.raw,
            text=None if record.record_class is CriticalClass.SAMPLE else record.text,
            severity=record.severity or None,
        )
        stamp = Stamp(
            seq=record.live_seq,
            boot=record.boot,
            timestamp_ms=record.wall_ns // 1_000_000,
            time_ok=record.time_ok,
            replayed=stored is not None,
        )
        return Publication(
            topic=address,
            payload=template.encode(reading, stamp),
            qos=self._config.qos.get(record.suffix, 1) if stored is None else 1,
            kind=kind,
            record=RecordId(boot=record.boot, seq=record.seq, stored=stored, store=store),
        )

    def _arrange(self, cell_count: int) -> None:
        """Make the channels; those that stay keep their memory."""
        self.cell_count = cell_count
        old = self._channels
        self._channels = {
            topic.suffix: kept
            if (kept := old.get(topic.suffix)) is not None and kept.topic == topic
            else _Channel(topic, self._config, self._root)
            for topic in self._table(cell_count)
        }
        derived = [one for one in self._channels.values() if one.topic.derive is not None]
        self._computed = [one for one in derived if one.topic.register_key is None]
        self._measured = [one for one in derived if one.topic.register_key is not None]
        self._ageing = [one for one in derived if one.topic.group in {Group.LIMITS, Group.ALARM}]
        self._cable = [one for one in derived if one.topic.suffix == CABLE_SUFFIX]
        self._fed: dict[str, list[_Channel]] = {}
        for one in self._channels.values():
            if one.topic.derive is None and one.topic.register_key is not None:
                self._fed.setdefault(one.topic.register_key, []).append(one)

    def _table(self, cell_count: int) -> tuple[ValueTopic, ...]:
        config = self._config
        return value_topics(cell_count, legacy=config.legacy_topics, groups=config.groups)

    def _derived(
        self,
        channels: Iterable[_Channel],
        snapshot: Snapshot,
        registers: Mapping[str, RegisterValue],
        stamp: Stamp,
        now_s: float,
        *,
        ageing: bool = False,
    ) -> list[Publication]:
        """What is due; news of critical topics come as records, while there is somebody who ages.

        While no sample comes (`ageing`) acquisition may be gone, so that nobody makes records.
        """
        due: list[Publication] = []
        for channel in channels:
            topic = channel.topic
            if topic.derive is None:
                continue
            value = topic.derive(snapshot)
            if not channel.filter.due(value, now_s, news=ageing or not topic.critical):
                continue
            channel.filter.sent(value, now_s)
            reading = Reading(
                value=value,
                raw=_raw(topic, value, snapshot, registers),
                text=None if topic.words is None else topic.words(snapshot),
            )
            due.append(channel.message(reading, stamp))
        return due

    def _fed_messages(
        self, channels: Iterable[_Channel], known: Known, now_s: float, *, forced_only: bool = False
    ) -> list[Publication]:
        due: list[Publication] = []
        for channel in channels:
            value = _scaled(known.value.value, channel.topic.value_scale)
            wanted = channel.filter.forced if forced_only else channel.filter.due(value, now_s)
            if wanted:
                channel.filter.sent(value, now_s)
                due.append(channel.message(Reading(value=value, raw=known.value.raw), known.stamp))
        return due


def _template(suffix: str) -> PayloadTemplate:
    """For a record that belongs to no value topic, such as an event."""
    label = suffix.replace("_", " ").capitalize()
    return PayloadTemplate(ValueTopic(suffix=suffix, label=label, group=Group.PACK))


def _raw(
    topic: ValueTopic,
    value: Value,
    snapshot: Snapshot,
    registers: Mapping[str, RegisterValue],
) -> int | None:
    """The number as read, else as the sample tells it."""
    register = registers.get(topic.register_key) if topic.register_key is not None else None
    if register is not None:
        return register.raw
    if topic.derive_raw is not None:
        return topic.derive_raw(snapshot)
    return topic.raw_of(value)


def _scaled(value: Value, scale: float) -> Value:
    return value if scale == 1.0 or value is None or isinstance(value, str) else value * scale
