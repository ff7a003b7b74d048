"""The BMS's event log: what the numbers mean, when they happened, which are still active.

The log is a ring of 49 slots. Its times are lifetime seconds modulo 2^24 (194 days). Clearing the
log clears no fault. Source: TinyBMS protocol Rev D, events; user manual Rev D, protection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from tinybms_protocol.status import OnlineStatus
from tinybms_protocol.wire import unpack_le

EVENT_WORDS: Final = 98
"""Registers 200-297."""
SYSTEM_STARTED: Final = 0x61
TIME_MODULUS: Final = 1 << 24
LOG_AHEAD_S: Final = 60
"""How much older than the log the lifetime may be that its times are rebuilt with."""
FULLY_DISCHARGED: Final = 0x31
TOO_COLD_TO_CHARGE: Final = 0x37


class EventClass(StrEnum):
    """Weight of an event; numbers that the table lacks take that of their range."""

    FAULT = "fault"
    WARNING = "warning"
    INFO = "info"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKind:
    """One row of the event table; `cleared_by` holds the numbers that end the condition."""

    number: int
    event_class: EventClass
    key: str
    text: str
    cleared_by: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BmsEvent:
    """One entry of the log. An event older than 194 days shows up 194 days younger."""

    kind: EventKind
    time_s: int
    """On the clock of register 32, the BMS's lifetime in seconds."""
    slot: int
    """Place in the answer it came from."""

    def age_s(self, lifetime_s: int) -> int:
        """Seconds from the event to `lifetime_s`, at least 0."""
        return max(0, lifetime_s - self.time_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveEvents:
    """What is wrong now, as far as log and status tell."""

    events: tuple[BmsEvent, ...]
    """Faults first, then warnings, each oldest first."""
    unknown_fault: bool
    """The status says fault, but the log names none."""

    @property
    def faults(self) -> tuple[BmsEvent, ...]:
        """Only the faults."""
        return tuple(e for e in self.events if e.kind.event_class is EventClass.FAULT)

    @property
    def warnings(self) -> tuple[BmsEvent, ...]:
        """Only the warnings."""
        return tuple(e for e in self.events if e.kind.event_class is EventClass.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Measurements that can end a warning whose recovery the log has lost; None: not known."""

    min_cell_voltage_v: float | None = None
    fully_discharged_voltage_v: float | None = None
    """Setting 301."""
    battery_temperature_c: float | None = None
    low_temp_charge_cutoff_c: float | None = None
    """Setting 320."""


def _kind(number: int, key: str, text: str, *cleared_by: int) -> EventKind:
    return EventKind(
        number=number,
        event_class=class_of(number),
        key=key,
        text=text,
        cleared_by=cleared_by,
    )


def class_of(number: int) -> EventClass:
    """Class of an event number by its range: 01-30 fault, 31-60 warning, 61-90 info (hex)."""
    if 0x01 <= number <= 0x30:
        return EventClass.FAULT
    if 0x31 <= number <= 0x60:
        return EventClass.WARNING
    if 0x61 <= number <= 0x90:
        return EventClass.INFO
    return EventClass.UNKNOWN


_ROWS: Final = (
    _kind(0x02, "under_voltage", "a cell is below the under-voltage cutoff", 0x7B),
    _kind(0x03, "over_voltage", "a cell is above the over-voltage cutoff", 0x79),
    _kind(0x04, "over_temperature", "the battery or the BMS board is too hot", 0x73),
    _kind(0x05, "discharge_over_current", "the discharge current is too high", 0x77),
    _kind(0x06, "charge_over_current", "the charge current is too high", 0x76),
    _kind(0x07, "regeneration_over_current", "the regeneration current is too high", 0x78),
    _kind(0x0A, "low_temperature", "the battery is below -40 °C", 0x75),
    _kind(0x0B, "charger_switch", "current flows through the open charger switch"),
    _kind(0x0C, "load_switch", "current flows through the open load switch"),
    _kind(0x0D, "single_port_switch", "current flows through the open single port switch"),
    _kind(0x0E, "current_sensor_lost", "the external current sensor is disconnected", 0x7C),
    _kind(
        0x0F,
        "current_sensor_not_ready",
        "an external current sensor is attached, but the BMS needs a restart to use it",
        0x7D,
    ),
    _kind(
        FULLY_DISCHARGED,
        "fully_discharged",
        "a cell is below the fully discharged voltage, the load is off",
        0x7A,
    ),
    _kind(TOO_COLD_TO_CHARGE, "too_cold_to_charge", "the battery is too cold to charge", 0x74),
    _kind(
        0x38,
        "charger_voltage_high",
        "charging ended because the charger voltage is too high; SoC was not set to 100 %",
        0x62,
        0x63,
    ),
    _kind(
        0x39,
        "charger_voltage_low",
        "charging ended because the charger voltage is too low; SoC was not set to 100 %",
        0x62,
        0x63,
    ),
    _kind(SYSTEM_STARTED, "system_started", "the BMS started"),
    _kind(0x62, "charging_started", "charging started"),
    _kind(0x63, "charging_done", "charging is done, SoC was set to 100 %"),
    _kind(0x64, "charger_connected", "the charger is connected"),
    _kind(0x65, "charger_disconnected", "the charger is disconnected"),
    _kind(0x66, "dual_port_mode", "dual port mode is active"),
    _kind(0x67, "single_port_mode", "single port mode is active"),
    _kind(0x73, "over_temperature_ended", "the over-temperature fault is over"),
    _kind(0x74, "too_cold_to_charge_ended", "the battery is warm enough to charge again"),
    _kind(0x75, "low_temperature_ended", "the low temperature fault is over"),
    _kind(0x76, "charge_over_current_ended", "the charge over-current fault is over"),
    _kind(0x77, "discharge_over_current_ended", "the discharge over-current fault is over"),
    _kind(0x78, "regeneration_over_current_ended", "the regeneration over-current fault is over"),
    _kind(0x79, "over_voltage_ended", "the over-voltage fault is over"),
    _kind(0x7A, "fully_discharged_ended", "no cell is fully discharged any more"),
    _kind(0x7B, "under_voltage_ended", "the under-voltage fault is over"),
    _kind(0x7C, "current_sensor_connected", "the external current sensor is connected"),
    _kind(0x7D, "current_sensor_disconnected", "the external current sensor is disconnected"),
)

EVENT_KINDS: Final[Mapping[int, EventKind]] = MappingProxyType({row.number: row for row in _ROWS})


def kind_of(number: int) -> EventKind:
    """The table's row for an event number; an unknown one keeps the class of its range."""
    known = EVENT_KINDS.get(number)
    if known is not None:
        return known
    event_class = class_of(number)
    return EventKind(
        number=number,
        event_class=event_class,
        key=f"unknown_{number:02x}",
        text=f"unknown {event_class} number 0x{number:02X}",
    )


def event_time_s(timestamp: int, lifetime_s: int) -> int:
    """Lifetime second of a 24-bit time: the newest one that is not after `lifetime_s`.

    Times up to LOG_AHEAD_S later are taken as they are, for the lifetime may have been read before
    the log. Negative only when the log holds times from before the lifetime began to count.
    """
    latest_s = lifetime_s + LOG_AHEAD_S
    return latest_s - (latest_s - timestamp) % TIME_MODULUS


def parse_events(words: Sequence[int], lifetime_s: int) -> tuple[BmsEvent, ...]:
    """Events of registers 200-297, oldest first; empty slots are left out.

    `lifetime_s` is register 32, read at about the same time. ValueError for another length.
    """
    if len(words) != EVENT_WORDS:
        raise ValueError(f"the event log has {EVENT_WORDS} words, {len(words)} given")
    return _events(words, lifetime_s)


def parse_event_reply(payload: bytes) -> tuple[int, tuple[BmsEvent, ...]]:
    """Lifetime and events, oldest first, of an answer to 0x11 or 0x12. ValueError for odd sizes."""
    if len(payload) % 4 or not payload:
        raise ValueError(f"{len(payload)} bytes of events: 4 for each and 4 for the time expected")
    lifetime_s = int.from_bytes(payload[:4], "little")
    return lifetime_s, _events(unpack_le(payload[4:]), lifetime_s)


def active_events(
    events: Iterable[BmsEvent], status: OnlineStatus, conditions: Conditions | None = None
) -> ActiveEvents:
    """What is active: the log replayed from the last start, checked against status and cells.

    No fault is active unless the status says fault, whatever the log holds; a warning ends by its
    recovery event or when `conditions` contradict it.
    """
    active: dict[int, BmsEvent] = {}
    for event in sorted(events, key=_order):
        if event.kind.number == SYSTEM_STARTED:
            active.clear()
        for number in [n for n, e in active.items() if event.kind.number in e.kind.cleared_by]:
            del active[number]
        if event.kind.event_class in {EventClass.FAULT, EventClass.WARNING}:
            active.setdefault(event.kind.number, event)
    in_fault = status is OnlineStatus.FAULT
    faults = [e for e in active.values() if e.kind.event_class is EventClass.FAULT and in_fault]
    warnings = [
        e
        for e in active.values()
        if e.kind.event_class is EventClass.WARNING and not _is_over(e.kind.number, conditions)
    ]
    return ActiveEvents(events=(*faults, *warnings), unknown_fault=in_fault and not faults)


def _events(words: Sequence[int], lifetime_s: int) -> tuple[BmsEvent, ...]:
    found = []
    for slot, (low, high) in enumerate(zip(words[::2], words[1::2], strict=True)):
        number = high >> 8
        if number == 0:
            continue
        timestamp = low | (high & 0xFF) << 16
        time_s = event_time_s(timestamp, lifetime_s)
        found.append(BmsEvent(kind=kind_of(number), time_s=time_s, slot=slot))
    return tuple(sorted(found, key=_order))


def _order(event: BmsEvent) -> tuple[int, bool, int]:
    """By time; in the same second starts and recoveries come before faults: the safe reading.

    The order of the slots says nothing once the ring has wrapped.
    """
    sets = event.kind.event_class in {EventClass.FAULT, EventClass.WARNING}
    return event.time_s, sets, event.slot


def _is_over(number: int, conditions: Conditions | None) -> bool:
    if conditions is None:
        return False
    if number == FULLY_DISCHARGED:
        return _reached(conditions.min_cell_voltage_v, conditions.fully_discharged_voltage_v)
    if number == TOO_COLD_TO_CHARGE:
        return _reached(conditions.battery_temperature_c, conditions.low_temp_charge_cutoff_c)
    return False


def _reached(value: float | None, threshold: float | None) -> bool:
    return value is not None and threshold is not None and value >= threshold
