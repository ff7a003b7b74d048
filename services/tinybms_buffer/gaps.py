"""Records about records: what is missing between others, how much of it and from when to when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from tinybms_messages.critical import EVENT_SUFFIX, Critical, CriticalClass
from tinybms_runtime.clock import Clock


class GapKind(StrEnum):
    """Why records are missing; the code of the event that says so."""

    THINNED_10_S = "records_thinned_10_s"
    THINNED_60_S = "records_thinned_60_s"
    DROPPED = "records_dropped"
    EXPIRED = "records_expired"
    NEVER_RECEIVED = "records_never_received"
    REFUSED = "records_refused"


_WORDS = {
    GapKind.THINNED_10_S: "thinned to one of each value in 10 s",
    GapKind.THINNED_60_S: "thinned to one of each value in 60 s",
    GapKind.DROPPED: "dropped, for the buffer was full",
    GapKind.EXPIRED: "dropped, for they were older than the buffer keeps records",
    GapKind.NEVER_RECEIVED: "never received",
    GapKind.REFUSED: "not stored, for they were too large or held what is no value",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Missing records of one class; times are None when nothing is known of the records."""

    kind: GapKind
    record_class: CriticalClass | None
    count: int
    first_wall_ns: int | None = None
    last_wall_ns: int | None = None

    def joined(self, other: Gap) -> Gap:
        """Both as one."""
        firsts = [ns for ns in (self.first_wall_ns, other.first_wall_ns) if ns is not None]
        lasts = [ns for ns in (self.last_wall_ns, other.last_wall_ns) if ns is not None]
        return replace(
            self,
            count=self.count + other.count,
            first_wall_ns=min(firsts, default=None),
            last_wall_ns=max(lasts, default=None),
        )

    @property
    def text(self) -> str:
        """The gap in words."""
        what = "critical" if self.record_class is None else self.record_class
        words = f"{self.count} {what} records {_WORDS[self.kind]}"
        if self.first_wall_ns is None or self.last_wall_ns is None:
            return words
        return f"{words}: {_iso(self.first_wall_ns)} to {_iso(self.last_wall_ns)}"

    def record(self, *, boot: str, seq: int, clock: Clock) -> Critical:
        """The gap as an event of this process; `value` is its code, `raw` how many are missing."""
        return Critical(
            boot=boot,
            seq=seq,
            record_class=CriticalClass.EVENT,
            suffix=EVENT_SUFFIX,
            live_seq=seq,
            value=str(self.kind),
            raw=self.count,
            text=self.text,
            severity="warning",
            wall_ns=clock.wall_ns(),
            boottime_ns=clock.boottime_ns(),
            kernel_boot_id=clock.kernel_boot_id,
            time_ok=clock.time_ok(),
        )


def _iso(wall_ns: int) -> str:
    return datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC).isoformat()
