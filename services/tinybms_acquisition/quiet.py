"""Quiet mode: an empty pack that nothing can recharge is left alone, so that the BMS can sleep.

UART traffic keeps a TinyBMS awake for ever, which drains a pack that is already empty. Only a GX
can recharge it: as long as one is heard, polling goes on.
"""

from __future__ import annotations

from typing import Final

from tinybms_messages.live import Sample
from tinybms_messages.status import CanStatus

GX_GONE_AFTER_S: Final = 600.0
EMPTY_EVENTS: Final = frozenset({0x02, 0x31})
"""Under-voltage and fully discharged. Source: TinyBMS protocol Rev D, events."""


class QuietMode:
    """Whether the line is to be left alone. A start counts as a GX heard: the safe side."""

    def __init__(self, *, enabled: bool, can_enabled: bool, now_s: float) -> None:
        self._enabled = enabled
        self._can_enabled = can_enabled
        self._gx_heard_s = now_s
        self._empty = False

    def note_can(self, status: CanStatus, sent_s: float) -> None:
        """What can_out said about the GX at `sent_s`: long ago when it came from a cache."""
        if status.keepalive_age_s is not None:
            self._gx_heard_s = max(self._gx_heard_s, sent_s - status.keepalive_age_s)

    def note_sample(
        self, sample: Sample, active: frozenset[int], fully_discharged_v: float
    ) -> None:
        """The newest sample, the events active with it, and register 301."""
        low = sample.min_cell_voltage_v < fully_discharged_v
        self._empty = sample.pack_current_a <= 0 and (low or bool(active & EMPTY_EVENTS))

    def is_quiet(self, now_s: float) -> bool:
        """Whether to look only once in a while, from now on."""
        if not self._enabled or not self._empty:
            return False
        return not self._can_enabled or now_s - self._gx_heard_s >= GX_GONE_AFTER_S
