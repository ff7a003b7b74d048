"""What the owner asks of CAN: to stop in good order, or to go on while the BMS is in service.

Pure: the caller passes the clock. Both outlive a restart of the process, for it must change no
limit, and start no sending that somebody stopped.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

import msgspec

from tinybms_charge.ageing import service_refusal
from tinybms_charge.parameters import ChargeParameters
from tinybms_messages.live import LiveData
from tinybms_messages.owner import LONGEST_SERVICE_S, CanNow

REST_S: Final = 5.0
"""Before a stop CCL is 0 for so long: chargers follow within some seconds, and nobody is surprised
by a BMS that vanishes in the middle of a charge. Loads are left alone."""


class ServiceRefused(ValueError):
    """A service can't begin; the text says why."""


class Sending(Enum):
    """Whether frames go out."""

    AS_USUAL = auto()
    AT_REST = auto()
    """With CCL 0, before the silence."""
    SILENT = auto()


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, by CLOCK_BOOTTIME of `kernel_boot_id`."""

    kernel_boot_id: str
    stopped_ns: int | None = None
    service_ends_ns: int | None = None


class Owner:
    """Holds the wishes. `take_notes` gives (code, text) of what happened."""

    def __init__(self, parameters: ChargeParameters, wishes: Wishes) -> None:
        self._parameters = parameters
        self.wishes = wishes
        self._notes: list[tuple[str, str]] = []

    def stop(self, now_ns: int) -> None:
        """Bring the chargers to rest, then be silent until `start`."""
        self._end_service("sending was stopped")
        if self.wishes.stopped_ns is None:
            self._change(stopped_ns=now_ns)
            text = f"the owner stopped the CAN frames: CCL is 0 for {REST_S:g} s, then silence"
            self._notes.append(("can_stopped", text))

    def start(self) -> None:
        """Send again."""
        if self.wishes.stopped_ns is not None:
            self._change(stopped_ns=None)
            self._notes.append(("can_started", "the owner started the CAN frames again"))

    def begin_service(
        self, live: LiveData | None, age_s: float | None, duration_s: float, now_ns: int
    ) -> None:
        """Let frames go on while the BMS is away; raises ServiceRefused."""
        if self.wishes.stopped_ns is not None:
            raise ServiceRefused("the CAN frames are stopped; start them first")
        refusal = service_refusal(live, age_s, self._parameters)
        if refusal:
            raise ServiceRefused(refusal)
        duration_s = min(duration_s, LONGEST_SERVICE_S)
        self._change(service_ends_ns=now_ns + round(duration_s * 1e9))
        text = f"service for {duration_s:.0f} s: CAN frames go on while the BMS is away"
        self._notes.append(("can_service", text))

    def end_service(self) -> None:
        """The owner is done."""
        self._end_service("the owner ended it")

    def sample(self, before: LiveData | None, now: LiveData) -> None:
        """A sample came: one with an alarm, or the first one after the BMS was away, ends it."""
        if self.wishes.service_ends_ns is None or now.sample is None:
            return
        raised = [alarm.name.value for alarm in now.alarms if alarm.level > 0]
        if raised:
            self._end_service(f"alarm: {', '.join(raised)}")
        elif before is not None and before.sample is not None:
            away_s = (now.sample.boottime_ns - before.sample.boottime_ns) / 1e9
            if away_s >= self._parameters.stale_after_s:
                self._end_service("the BMS is back")

    def in_service(self, now_ns: int) -> bool:
        """Whether a service holds; its time ends it."""
        ends_ns = self.wishes.service_ends_ns
        if ends_ns is not None and now_ns >= ends_ns:
            self._end_service("its time is over")
        return self.wishes.service_ends_ns is not None

    def sending(self, now_ns: int) -> Sending:
        """Whether frames go out now."""
        stopped_ns = self.wishes.stopped_ns
        if stopped_ns is None:
            return Sending.AS_USUAL
        resting = 0 <= now_ns - stopped_ns < REST_S * 1e9
        return Sending.AT_REST if resting else Sending.SILENT

    def now(self, now_ns: int) -> CanNow:
        """What holds, for who asked."""
        ends_ns = self.wishes.service_ends_ns if self.in_service(now_ns) else None
        return CanNow(
            stopped=self.wishes.stopped_ns is not None,
            service_left_s=0.0 if ends_ns is None else (ends_ns - now_ns) / 1e9,
        )

    def take_notes(self) -> list[tuple[str, str]]:
        """What happened since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def _end_service(self, why: str) -> None:
        if self.wishes.service_ends_ns is not None:
            self._change(service_ends_ns=None)
            self._notes.append(("can_service_over", f"the service has ended: {why}"))

    def _change(self, **wishes: int | None) -> None:
        self.wishes = msgspec.structs.replace(self.wishes, **wishes)


def restored(data: bytes | None, kernel_boot_id: str, now_ns: int) -> Wishes:
    """The wishes of this run of the machine that were kept; none when missing or damaged."""
    nothing = Wishes(kernel_boot_id=kernel_boot_id)
    if data is None:
        return nothing
    try:
        kept = msgspec.json.decode(data, type=Wishes)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return nothing
    ends_ns = kept.service_ends_ns
    if kept.kernel_boot_id != kernel_boot_id:
        return nothing
    if ends_ns is not None and ends_ns - now_ns > LONGEST_SERVICE_S * 1e9:
        return nothing
    return kept
