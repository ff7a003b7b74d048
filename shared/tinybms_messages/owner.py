"""What an owner asks of the running gateway: modes of the charge control, a stop of CAN, service.

A mode ends by itself at `ends_ns` (CLOCK_BOOTTIME); what holds is in LIVE_DATA and CAN_STATUS.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

LONGEST_MODE_S: Final = 7 * 86_400.0
LONGEST_SERVICE_S: Final = 600.0


class OwnerMode(StrEnum):
    """What can be asked for, for a time."""

    CHARGE_OFF = "charge_off"
    DISCHARGE_OFF = "discharge_off"
    TOP_BALANCE = "top_balance"
    """Charge once to the top balance target; over when that charge is full."""
    CHARGE_CURRENT = "charge_current"
    """A lower maximum of CCL."""


class ActiveMode(msgspec.Struct, frozen=True, kw_only=True):
    """A mode that holds until `ends_ns`; `limit_a` belongs to charge_current alone."""

    mode: OwnerMode
    ends_ns: int
    limit_a: float | None = None

    def left_s(self, boottime_ns: int) -> float:
        """Time left, 0 when it is over."""
        return max(0.0, (self.ends_ns - boottime_ns) / 1e9)


class SetMode(msgspec.Struct, frozen=True, kw_only=True, tag="set_mode"):
    """To acquisition: let a mode hold from now on for `duration_s`; asked again, it begins anew."""

    mode: OwnerMode
    duration_s: Annotated[float, Meta(gt=0, le=LONGEST_MODE_S)]
    limit_a: Annotated[float, Meta(ge=0, le=1000)] | None = None


class ClearModes(msgspec.Struct, frozen=True, kw_only=True, tag="clear_modes"):
    """To acquisition: end these modes now; none named: all of them."""

    modes: tuple[OwnerMode, ...] = ()


class ShowModes(msgspec.Struct, frozen=True, kw_only=True, tag="show_modes"):
    """To acquisition: say which modes hold."""


class ModesNow(msgspec.Struct, frozen=True, kw_only=True, tag="modes_now"):
    """The modes that hold after the request."""

    modes: tuple[ActiveMode, ...] = ()


class CanCommand(StrEnum):
    """What can_out can be asked for."""

    STOP = "stop"
    """Bring the chargers to rest, then be silent until START."""
    START = "start"
    SERVICE = "service"
    """Let frames go on for a time while the BMS is away."""
    SERVICE_END = "service_end"


class ControlCan(msgspec.Struct, frozen=True, kw_only=True, tag="control_can"):
    """To can_out; `duration_s` is that of a service."""

    command: CanCommand
    duration_s: Annotated[float, Meta(gt=0, le=LONGEST_SERVICE_S)] = LONGEST_SERVICE_S


class CanNow(msgspec.Struct, frozen=True, kw_only=True, tag="can_now"):
    """What holds for CAN after the request; `service_left_s` is 0 without a service."""

    stopped: bool = False
    service_left_s: float = 0.0


class ResumeSoc(msgspec.Struct, frozen=True, kw_only=True, tag="resume_soc"):
    """To acquisition: SoC may be set at a full charge again, after a setting that failed."""


class SocNow(msgspec.Struct, frozen=True, kw_only=True, tag="soc_now"):
    """What holds for the setting of SoC; `allowed`: acquisition.allow_writes."""

    allowed: bool
    unsynchronised_days: float


OwnerRequest = SetMode | ClearModes | ShowModes | ControlCan | ResumeSoc
OwnerReply = ModesNow | CanNow | SocNow


_WORDS: Final = {
    OwnerMode.CHARGE_OFF: "charge off",
    OwnerMode.DISCHARGE_OFF: "discharge off",
    OwnerMode.TOP_BALANCE: "top balance",
    OwnerMode.CHARGE_CURRENT: "charge current",
}


def mode_words(mode: ActiveMode) -> str:
    """For people, without its time: "charge off", "charge current at most 20.0 A"."""
    words = _WORDS[mode.mode]
    return words if mode.limit_a is None else f"{words} at most {mode.limit_a:.1f} A"


def time_left(left_s: float) -> str:
    """For people: "under 1 min left", "12 min left", "2 h 5 min left"; whole minutes, upwards.

    Words that change each second would be news on every way out each second.
    """
    minutes = int(-(-left_s // 60))
    if minutes <= 1:
        return "under 1 min left"
    if minutes < 120:
        return f"{minutes} min left"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min left" if rest else f"{hours} h left"
