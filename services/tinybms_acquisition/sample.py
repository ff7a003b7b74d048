"""A live block as a Sample: pack cells from the top channels, and None for what is not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tinybms_acquisition.battery import Settled
from tinybms_messages.live import Sample
from tinybms_protocol.live import LiveBlock
from tinybms_protocol.status import OnlineStatus

LONGEST_TIME_TO_GO_S: Final = 30 * 86_400
"""At rest the BMS shows hundreds of days, which mean nothing."""
IDLE_BELOW_A: Final = 0.05
_SIGN_OF: Final = {
    OnlineStatus.CHARGING: 1,
    OnlineStatus.REGENERATION: 1,
    OnlineStatus.DISCHARGING: -1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a reading was taken."""

    boottime_ns: int
    wall_ns: int
    time_ok: bool


def sample_of(live: LiveBlock, known: Settled, moment: Moment, seq: int) -> Sample:
    """The sample that a plausible live block describes; `seq` of the LIVE_DATA that carries it."""
    probe = live.external_temperature_1_c
    if probe is None:
        probe = live.external_temperature_2_c
    return Sample(
        seq=seq,
        boottime_ns=moment.boottime_ns,
        wall_ns=moment.wall_ns,
        time_ok=moment.time_ok,
        cell_voltages_v=live.pack_cells(known.cells),
        cells_balancing=live.cells_balancing(known.cells),
        pack_voltage_v=live.pack_voltage_v,
        pack_current_a=live.pack_current_a,
        soc_pct=live.soc_pct,
        soh_pct=_share(live.soh_pct),
        battery_temperature_c=live.internal_temperature_c if probe is None else probe,
        external_temperature_1_c=live.external_temperature_1_c,
        external_temperature_2_c=live.external_temperature_2_c,
        internal_temperature_c=live.internal_temperature_c,
        online_status_raw=live.online_status_raw,
        online_status=live.online_status.value,
        time_to_go_s=_time_to_go_s(live),
        lifetime_s=live.lifetime_s,
    )


def sign_warning(live: LiveBlock) -> str:
    """A sentence when the current's sign contradicts the status, else empty; nothing is flipped."""
    sign = _SIGN_OF.get(live.online_status)
    if sign is None or live.pack_current_a * sign >= -IDLE_BELOW_A:
        return ""
    return (
        f"the BMS says {live.online_status} but its current has the other sign: check how the "
        "current sensor is mounted, or register 329 bit 0"
    )


def _share(percent: float | None) -> float | None:
    return percent if percent is not None and percent <= 100 else None


def _time_to_go_s(live: LiveBlock) -> int | None:
    left_s = live.estimated_time_left_s
    if live.online_status is not OnlineStatus.DISCHARGING or left_s >= LONGEST_TIME_TO_GO_S:
        return None
    return left_s
