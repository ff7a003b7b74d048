"""What can_out does, without doing it: snapshots, time and received frames in, frames to send out.

Nothing is kept that could be sent later: each call makes its frames from the newest sample and from
its age at that moment, so that after any outage the first frame is a fresh one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from tinybms_can_out.owner import Owner, Sending, Wishes
from tinybms_charge.ageing import Aged, aged, in_service
from tinybms_charge.parameters import ChargeParameters
from tinybms_messages.header import Header
from tinybms_messages.latest import LatestLive
from tinybms_messages.live import LiveData
from tinybms_victron import signals
from tinybms_victron.frames import clamped_signals, encode_frame
from tinybms_victron.gate import GateContext, may_send
from tinybms_victron.pack_view import PackView, pack_view
from tinybms_victron.schedule import Extras, slots

KEEPALIVE_TIMEOUT_S: Final = 3.0
_VICTRON: Final = b"VIC"
_PERIOD_WINDOW_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CanFrame:
    """A frame with an 11-bit identifier."""

    id: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GxSeen:
    """What was heard of the GX; `keepalive_age_s` is None before the first 0x305."""

    keepalive_ok: bool
    keepalive_age_s: float | None
    identified: bool


class CanOut:
    """Decides which frames go out now. Times are CLOCK_BOOTTIME in ns."""

    def __init__(
        self,
        *,
        device: str,
        parameters: ChargeParameters,
        kernel_boot_id: str,
        owner: Owner | None = None,
    ) -> None:
        self._device = device
        self.owner = owner or Owner(parameters, Wishes(kernel_boot_id=kernel_boot_id))
        self._parameters = parameters
        self._latest = LatestLive(kernel_boot_id=kernel_boot_id)
        self._extras = Extras()
        self._slots = slots()
        self._slot = 0
        self._shown: PackView | None = None
        self._last_temperature_c: float | None = None
        self._keepalive_ns: int | None = None
        self._identified = False
        self._limits_sent_ns: int | None = None
        self._periods: deque[tuple[int, float]] = deque()
        self.frames_sent = 0
        self.frames_refused = 0
        self.last_refusal = ""
        self.frames_received = 0

    def take(self, header: Header, live: LiveData) -> None:
        """Note a snapshot; an older one than the newest is dropped."""
        before = self._latest.with_sample
        taken = self._latest.offer(header, live)
        held = self._latest.with_sample
        if taken and held is live:
            self.owner.sample(before, live)
        if held is not None and held.sample is not None:
            temperature_c = held.sample.battery_temperature_c
            if temperature_c is not None:
                self._last_temperature_c = temperature_c

    def limits(self, now_ns: int) -> tuple[CanFrame, ...]:
        """0x351, for its own beat."""
        return self._frames((signals.LIMITS.id,), self._view(now_ns), now_ns)

    def slot(self, now_ns: int) -> tuple[CanFrame, ...]:
        """The frames of the next slot of the second, behind those that must not wait.

        Ageing moves limits and alarms without any message, so that this is where it is seen.
        """
        ids = self._slots[self._slot]
        self._slot = (self._slot + 1) % len(self._slots)
        view = self._view(now_ns)
        if view is None:
            return ()
        urgent = self._extras.due(now_ns / 1e9, view)
        return self._frames((*urgent, *(n for n in ids if n not in urgent)), view, now_ns)

    def urgent(self, now_ns: int) -> tuple[CanFrame, ...]:
        """0x351 or 0x35A when they must not wait for their turn."""
        view = self._view(now_ns)
        if view is None:
            return ()
        return self._frames(self._extras.due(now_ns / 1e9, view), view, now_ns)

    def sent(self, frame: CanFrame, now_ns: int) -> None:
        """Note that a frame of the last call has left."""
        self.frames_sent += 1
        if self._shown is not None:
            self._extras.sent(frame.id, self._shown)
        if frame.id != signals.LIMITS.id:
            return
        if self._limits_sent_ns is not None:
            self._periods.append((now_ns, (now_ns - self._limits_sent_ns) / 1e6))
        self._limits_sent_ns = now_ns

    def interrupted(self) -> None:
        """Note that what was sent before may not have arrived: the newest goes out at once."""
        self._extras.forget()

    def received(self, frame: CanFrame, now_ns: int) -> None:
        """Note a frame from the bus (11-bit identifiers only)."""
        self.frames_received += 1
        if frame.id == signals.KEEPALIVE.id:
            self._keepalive_ns = now_ns
        elif frame.id == signals.INVERTER.id and frame.data[4:7] == _VICTRON:
            self._identified = True

    def aged(self, now_ns: int) -> Aged:
        """Limits and alarms as they hold now."""
        live, age_s = self.newest(now_ns)
        hold = in_service if self.owner.in_service(now_ns) else aged
        return hold(live, age_s, self._parameters)

    def newest(self, now_ns: int) -> tuple[LiveData | None, float | None]:
        """The newest snapshot with a sample, and its age in s."""
        return self._latest.with_sample, self._latest.age_s(now_ns)

    def gx(self, now_ns: int) -> GxSeen:
        """What is known of the GX now."""
        age_s = None if self._keepalive_ns is None else (now_ns - self._keepalive_ns) / 1e9
        return GxSeen(
            keepalive_ok=age_s is not None and age_s <= KEEPALIVE_TIMEOUT_S,
            keepalive_age_s=age_s,
            identified=self._identified,
        )

    def max_period_ms(self, now_ns: int) -> float | None:
        """Longest time between two 0x351 that ended within the last minute."""
        while self._periods and now_ns - self._periods[0][0] > _PERIOD_WINDOW_S * 1e9:
            self._periods.popleft()
        return max((period_ms for _, period_ms in self._periods), default=None)

    def clamped(self, now_ns: int) -> tuple[str, ...]:
        """Signals whose value does not fit into its field; they go out as the nearest that does."""
        view = self._view(now_ns)
        return () if view is None else clamped_signals(view)

    def _view(self, now_ns: int) -> PackView | None:
        """The pack as it is to be shown now; None when nothing may be sent."""
        live, state = self._latest.with_sample, self.aged(now_ns)
        sending, limits = self.owner.sending(now_ns), state.limits
        if live is None or not state.send or limits is None or sending is Sending.SILENT:
            self._extras.forget()
            return None
        if sending is Sending.AT_REST:
            limits = msgspec.structs.replace(limits, charge_current_a=0.0)
        view = pack_view(live, limits, state.alarms, device=self._device)
        if view is not None and view.battery_temperature_c is None:
            # Without 0x356 the GX would go on with an old voltage; a temperature changes slowly.
            view = replace(view, battery_temperature_c=self._last_temperature_c)
        return view

    def _frames(
        self, ids: tuple[int, ...], view: PackView | None, now_ns: int
    ) -> tuple[CanFrame, ...]:
        self._shown = view
        if view is None or not ids:
            return ()
        context = self._gate_context(view, now_ns)
        frames = []
        for frame_id in ids:
            data = encode_frame(signals.BY_ID[frame_id], view)
            if data is None:
                continue
            verdict = may_send(frame_id, data, context)
            if verdict.allowed:
                frames.append(CanFrame(id=frame_id, data=data))
            else:
                self.frames_refused += 1
                self.last_refusal = verdict.reason
        return tuple(frames)

    def _gate_context(self, view: PackView, now_ns: int) -> GateContext:
        parameters = self._parameters
        return GateContext(
            data_age_s=self._latest.age_s(now_ns),
            stale_after_s=parameters.stale_after_s,
            lost_after_s=parameters.lost_after_s,
            cell_count=view.cell_count,
            chemistry=parameters.chemistry,
            max_charge_current_a=parameters.max_charge_current_a,
            max_discharge_current_a=parameters.max_discharge_current_a,
            service=self.owner.in_service(now_ns),
        )
