"""Records that must not be lost (SoC, limits, alarms, events), and which of them have arrived."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from tinybms_messages.sequences import SequenceSet

Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""What fits into 64 bits, and so into every store on the way."""
Sequence = Annotated[int, Meta(ge=1, le=2**63 - 1)]
BootId = Annotated[str, Meta(min_length=1, max_length=64)]
Range = tuple[Sequence, Sequence]

EVENT_SUFFIX = "event"


class CriticalClass(StrEnum):
    """What a record is; the classes are delivered in this order and given up from the end."""

    ALARM = "alarm"
    EVENT = "event"
    SAMPLE = "sample"


class Critical(msgspec.Struct, frozen=True, kw_only=True):
    """One critical value or event, as it was when it was made.

    `seq` counts the records of one start (`boot`) of acquisition from 1 without gaps: it finds what
    the bus lost and names what was acknowledged. (boot, live_seq, suffix) is the key for the
    outside; an event belongs to no LIVE_DATA and has its own `seq` as `live_seq`. Times are those
    of the sample, or of the moment in which the value changed without one; `boottime_ns` counts in
    the machine run `kernel_boot_id`, with which a wall time taken while `time_ok` was false is
    mended later.
    """

    boot: BootId
    seq: Sequence
    record_class: CriticalClass
    suffix: Annotated[str, Meta(min_length=1, max_length=64)]
    live_seq: Sequence
    value: Number | float | str | None
    raw: Number | None = None
    text: str = ""
    severity: str = ""
    """Of an event: info, warning or alarm."""
    wall_ns: Number
    boottime_ns: Number
    kernel_boot_id: BootId
    time_ok: bool


class DeliveredBoot(msgspec.Struct, frozen=True, kw_only=True):
    """Acknowledged records of one boot: all up to `up_to`, and the ranges `above` it."""

    boot: BootId
    up_to: Annotated[int, Meta(ge=0)] = 0
    above: tuple[Range, ...] = ()

    @classmethod
    def of(cls, boot: str, numbers: SequenceSet, *, most_ranges: int) -> DeliveredBoot:
        """What `numbers` say; the oldest ranges above `up_to` are left out beyond `most_ranges`.

        What is left out counts as not acknowledged: it is sent once more, marked as a repeat.
        """
        above = [(first, last) for first, last in numbers.ranges() if first > 1]
        return cls(boot=boot, up_to=numbers.up_to, above=tuple(above[-most_ranges:]))

    def numbers(self) -> SequenceSet:
        """All numbers that are acknowledged."""
        return SequenceSet([(1, self.up_to), *self.above])


class MqttDelivered(msgspec.Struct, frozen=True, kw_only=True):
    """What the MQTT broker has acknowledged, live or as a replay, for each boot of acquisition."""

    boots: tuple[DeliveredBoot, ...] = ()
