"""CAN_STATUS from what core and channel know."""

from __future__ import annotations

from tinybms_can_out.channel import Channel
from tinybms_can_out.core import CanOut
from tinybms_config.model import Can
from tinybms_messages.owner import time_left
from tinybms_messages.status import CanStatus


def can_status(config: Can, core: CanOut, channel: Channel, now_ns: int) -> CanStatus:
    """The state of the CAN channel now."""
    if not config.enabled:
        return CanStatus(
            state="disabled",
            detail="can.enabled is false",
            interface=config.interface,
            channel=config.channel,
        )
    state, detail = _state(core, channel, now_ns)
    gx = core.gx(now_ns)
    return CanStatus(
        state=state,
        detail=detail,
        interface=config.interface,
        channel=config.channel,
        frames_sent=core.frames_sent,
        send_errors=channel.send_errors,
        frames_refused=core.frames_refused,
        reopened=channel.reopened,
        last_error=channel.last_error or core.last_refusal,
        victron_keepalive_ok=gx.keepalive_ok,
        keepalive_age_s=gx.keepalive_age_s,
        gx_identified=gx.identified,
        max_period_ms=core.max_period_ms(now_ns),
        frames_received=core.frames_received,
        service_left_s=core.owner.now(now_ns).service_left_s,
    )


_DATA_STATES = {
    "unknown": ("waiting", "no sample of the BMS yet"),
    "fresh": ("sending", ""),
    "stale": ("stale", "the newest sample of the BMS is old"),
    "lost": ("silent", "no sample of the BMS for too long"),
}


def _state(core: CanOut, channel: Channel, now_ns: int) -> tuple[str, str]:
    if not channel.is_open:
        return "no_adapter", channel.last_error
    if channel.bus_off:
        return "error", "bus off"
    if channel.failing:
        return "error", channel.last_error
    return _of_owner(core, now_ns) or _of_data(core, now_ns)


def _of_owner(core: CanOut, now_ns: int) -> tuple[str, str] | None:
    asked = core.owner.now(now_ns)
    if asked.stopped:
        return "stopped", "stopped by the owner; tinybms-ctl can start"
    if asked.service_left_s > 0:
        fresh = core.aged(now_ns).data_state == "fresh"
        return "sending" if fresh else "service", f"service, {time_left(asked.service_left_s)}"
    return None


def _of_data(core: CanOut, now_ns: int) -> tuple[str, str]:
    aged = core.aged(now_ns)
    if aged.data_state == "asleep":
        return ("sending", "BMS asleep") if aged.send else ("silent", "BMS asleep")
    return _DATA_STATES[aged.data_state]
