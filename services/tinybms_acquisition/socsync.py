"""The state of charge at a true full charge, from sample to sample: pure.

The decision itself is `tinybms_charge.soc_sync`; here is what it is asked with.
"""

from __future__ import annotations

from typing import Final

from tinybms_charge.soc_sync import (
    FULL_PCT,
    KeptSync,
    Outcome,
    Synced,
    SyncNote,
    SyncReading,
    SyncState,
    advisories,
    resumed,
    synchronised,
    told,
)
from tinybms_messages.live import Identity, Sample
from tinybms_protocol.commands_write import WriteBlock
from tinybms_protocol.registers import BY_KEY

_REGISTER: Final = BY_KEY["soc_set"]
SET_FULL: Final = WriteBlock(_REGISTER.address, (round(FULL_PCT / 0.002),))
"""Register 328 in steps of 0.002 %. Source: TinyBMS protocol Rev D, settings."""


class SocSync:
    """Holds the state of one battery; another battery begins with a fresh one."""

    def __init__(self, kept: KeptSync, *, allowed: bool) -> None:
        self.state = kept.state
        self.battery = kept.battery
        self._at_ns: int | None = kept.boottime_ns
        self._allowed = allowed
        self._write = False
        self._notes: list[SyncNote] = []

    @property
    def advisories(self) -> tuple[str, ...]:
        """Sentences for the owner."""
        return advisories(self.state, allowed=self._allowed)

    @property
    def weighty(self) -> tuple[str, bool, str]:
        """What must not be lost by any restart: it is stored at once when it changes."""
        return self.battery, self.state.verifying_s >= 0.0, self.state.blocked

    def take(self, sample: Sample, identity: Identity, *, full: bool, trusted: bool) -> None:
        """Look at a sample; `full`: it ended a charge at the target by its small current."""
        if self.battery not in {"", identity.serial_number}:
            self.state = SyncState()
        self.battery = identity.serial_number
        before_ns, self._at_ns = self._at_ns, sample.boottime_ns
        dt_s = 0.0 if before_ns is None else (sample.boottime_ns - before_ns) / 1e9
        reading = SyncReading(
            soc_pct=sample.soc_pct,
            status=sample.online_status,
            firmware=identity.firmware,
            full=full,
            allowed=self._allowed,
            trusted=trusted,
        )
        self._apply(synchronised(self.state, reading, dt_s))

    def take_write(self) -> bool:
        """Whether SET_FULL is to be written now; told once."""
        write, self._write = self._write, False
        return write

    def written(self, outcome: Outcome) -> None:
        """What became of the write."""
        self._apply(told(self.state, outcome))

    def resume(self) -> None:
        """The owner lets SoC be set again."""
        self.state = resumed(self.state)

    def take_notes(self) -> list[SyncNote]:
        """What happened since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def _apply(self, result: Synced) -> None:
        self.state = result.state
        self._write = self._write or result.write
        self._notes += result.notes
