"""The event log of the simulated BMS: 49 slots, times in lifetime seconds modulo 2^24.

Source: TinyBMS protocol Rev D, chapter 5, and the user manual (a ring in non-volatile memory).
"""

from collections.abc import Iterable
from enum import IntEnum

from tinybms_sim.image import EVENT_SLOTS, EVENTS, Image


class Event(IntEnum):
    """Event numbers that the simulator writes."""

    UNDER_VOLTAGE = 0x02
    OVER_VOLTAGE = 0x03
    OVER_TEMPERATURE = 0x04
    DISCHARGE_OVER_CURRENT = 0x05
    CHARGE_OVER_CURRENT = 0x06
    TOO_COLD = 0x0A
    FULLY_DISCHARGED = 0x31
    TOO_COLD_TO_CHARGE = 0x37
    STARTED = 0x61
    CHARGING_STARTED = 0x62
    CHARGING_DONE = 0x63
    CHARGER_CONNECTED = 0x64
    CHARGER_DISCONNECTED = 0x65
    OVER_TEMPERATURE_ENDED = 0x73
    TOO_COLD_TO_CHARGE_ENDED = 0x74
    TOO_COLD_ENDED = 0x75
    CHARGE_OVER_CURRENT_ENDED = 0x76
    DISCHARGE_OVER_CURRENT_ENDED = 0x77
    OVER_VOLTAGE_ENDED = 0x79
    FULLY_DISCHARGED_ENDED = 0x7A
    UNDER_VOLTAGE_ENDED = 0x7B


class EventLog:
    """Events in registers 200-297; the oldest slot is written next once all are used."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._unread: list[int] = []
        self._next = self._first_slot_to_write()

    def append(self, event: int, lifetime_s: int) -> None:
        """Write one event; its time keeps the lowest 24 bits of the lifetime."""
        entry = (event & 0xFF) << 24 | lifetime_s & 0xFFFFFF
        self._image.put_u32(EVENTS + 2 * self._next, entry)
        self._next = (self._next + 1) % EVENT_SLOTS
        self._unread = [*self._unread, entry][-EVENT_SLOTS:]

    def all(self) -> list[int]:
        """Used slots in slot order, which is not the order of time once the ring has wrapped."""
        slots = (self._image.u32(EVENTS + 2 * i) for i in range(EVENT_SLOTS))
        return [entry for entry in slots if entry >> 24]

    def take_newest(self) -> list[int]:
        """Events since the last call; the document leaves the meaning of "newest" open."""
        unread, self._unread = self._unread, []
        return unread

    def clear(self) -> None:
        """Empty every slot; faults stay as they are."""
        for slot in range(EVENT_SLOTS):
            self._image.put_u32(EVENTS + 2 * slot, 0)
        self._next = 0
        self._unread = []

    def _first_slot_to_write(self) -> int:
        entries = [self._image.u32(EVENTS + 2 * slot) for slot in range(EVENT_SLOTS)]
        for slot, entry in enumerate(entries):
            if not entry >> 24:
                return slot
        return min(range(EVENT_SLOTS), key=lambda slot: entries[slot] & 0xFFFFFF)


def events_payload(lifetime_s: int, entries: Iterable[int]) -> bytes:
    """The payload of an event answer: BMS time, then each entry as 24-bit time and number."""
    parts = [lifetime_s.to_bytes(4, "little")]
    parts += [entry.to_bytes(4, "little") for entry in entries]
    return b"".join(parts)
