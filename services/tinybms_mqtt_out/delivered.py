"""Which critical records the MQTT broker has acknowledged, by the start of their maker. Pure."""

from __future__ import annotations

from typing import Final

from tinybms_messages.critical import DeliveredBoot, MqttDelivered
from tinybms_messages.sequences import SequenceSet

MOST_BOOTS: Final = 16
"""Starts that are remembered; buffer has long heard of older ones."""
MOST_RANGES: Final = 100


class Delivered:
    """Grows with the gaps in what arrived, not with its number."""

    def __init__(self, known: MqttDelivered | None = None) -> None:
        self._boots: dict[str, SequenceSet] = {}
        for boot in () if known is None else known.boots:
            self._boots[boot.boot] = boot.numbers()

    def add(self, boot: str, seq: int) -> None:
        """A record has arrived."""
        numbers = self._boots.pop(boot, None) or SequenceSet()
        numbers.add(seq)
        self._boots[boot] = numbers
        while len(self._boots) > MOST_BOOTS:
            del self._boots[next(iter(self._boots))]

    def has(self, boot: str, seq: int) -> bool:
        """Whether a record has arrived, as far as is remembered."""
        numbers = self._boots.get(boot)
        return numbers is not None and seq in numbers

    def message(self) -> MqttDelivered:
        """What is known, for buffer and for the next start."""
        return MqttDelivered(
            boots=tuple(
                DeliveredBoot.of(boot, numbers, most_ranges=MOST_RANGES)
                for boot, numbers in self._boots.items()
            )
        )
