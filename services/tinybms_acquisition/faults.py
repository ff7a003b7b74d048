"""What the BMS itself reports as wrong: its event log checked against status and measurements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tinybms_acquisition.battery import Settled
from tinybms_acquisition.sample import Moment
from tinybms_messages.live import ActiveFault, Sample
from tinybms_protocol.events import (
    ActiveEvents,
    BmsEvent,
    Conditions,
    active_events,
    parse_events,
)
from tinybms_protocol.status import OnlineStatus

UNKNOWN_FAULT: Final = ActiveFault(
    number=0,
    kind="fault",
    text="unknown fault: the status says fault, but the event log names none",
    wall_ns=None,
)
_TIMES_KEPT: Final = 98
_Key = tuple[bool, bool, bool]


class FaultTracker:
    """Keeps the event log and tells what of it is active with a sample.

    The log is replayed only when it, the fault status or a threshold changed: ten times a second
    the answer is the same.
    """

    def __init__(self) -> None:
        self._words: tuple[int, ...] | None = None
        self._events: tuple[BmsEvent, ...] = ()
        self._key: _Key | None = None
        self._faults: tuple[ActiveFault, ...] = ()
        self._begun_ns: dict[tuple[int, int], int | None] = {}

    def forget(self) -> None:
        """Another battery: its log is not known yet."""
        self._words = None
        self._events = ()
        self._key = None
        self._begun_ns.clear()

    def take_log(self, words: tuple[int, ...], lifetime_s: int) -> None:
        """Take registers 200-297, read when register 32 was about `lifetime_s`."""
        if words != self._words:
            self._words = words
            self._events = parse_events(words, lifetime_s)
            self._key = None

    def active(self, sample: Sample, known: Settled, moment: Moment) -> tuple[ActiveFault, ...]:
        """Faults and warnings active with `sample`: faults first, each oldest first."""
        settings = known.settings
        temperature_c = sample.battery_temperature_c
        key = (
            sample.online_status == OnlineStatus.FAULT,
            sample.min_cell_voltage_v >= settings.fully_discharged_voltage_v,
            temperature_c is not None and temperature_c >= settings.low_temp_charge_cutoff_c,
        )
        if key != self._key:
            self._key = key
            conditions = Conditions(
                min_cell_voltage_v=sample.min_cell_voltage_v,
                fully_discharged_voltage_v=settings.fully_discharged_voltage_v,
                battery_temperature_c=temperature_c,
                low_temp_charge_cutoff_c=settings.low_temp_charge_cutoff_c,
            )
            found = active_events(self._events, OnlineStatus(sample.online_status), conditions)
            self._faults = self._described(found, sample.lifetime_s, moment)
        return self._faults

    def _described(
        self, found: ActiveEvents, lifetime_s: int, moment: Moment
    ) -> tuple[ActiveFault, ...]:
        faults = tuple(self._fault(event, lifetime_s, moment) for event in found.events)
        return (UNKNOWN_FAULT, *faults) if found.unknown_fault else faults

    def _fault(self, event: BmsEvent, lifetime_s: int, moment: Moment) -> ActiveFault:
        # Worked out once: BMS seconds against the wall clock would make it move by a second.
        place = (event.kind.number, event.time_s)
        if self._begun_ns.get(place) is None:
            self._begun_ns[place] = _began_ns(event, lifetime_s, moment)
        if len(self._begun_ns) > _TIMES_KEPT:
            self._begun_ns = {place: self._begun_ns[place]}
        return ActiveFault(
            number=event.kind.number,
            kind=event.kind.event_class.value,
            text=event.kind.text,
            wall_ns=self._begun_ns[place],
        )


def event_ids(faults: Iterable[ActiveFault]) -> frozenset[int]:
    """Numbers of the faults and warnings, as the charge control wants them."""
    return frozenset(fault.number for fault in faults if fault.number)


def _began_ns(event: BmsEvent, lifetime_s: int, moment: Moment) -> int | None:
    """Wall time of an event; None when our clock is not to be trusted or its time is impossible."""
    if not moment.time_ok or event.time_s < 0:
        return None
    return moment.wall_ns - event.age_s(lifetime_s) * 1_000_000_000
