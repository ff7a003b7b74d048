"""What the owner asks of the charge control for a time. Pure: the caller passes the clock.

A mode lowers a limit or asks for one charge; it ends by its time, by hand, or when that charge is
full. Nothing here can raise a limit over what the control allows.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tinybms_acquisition.sample import Moment
from tinybms_charge.machine import FULL
from tinybms_charge.measurement import Owner, OwnerCap
from tinybms_charge.state import ChargeMode
from tinybms_messages.owner import (
    LONGEST_MODE_S,
    ActiveMode,
    OwnerMode,
    SetMode,
    mode_words,
    time_left,
)

SAVED_SCHEMA: Final = 1


class ModeRefused(ValueError):
    """The mode can't be set; the text says why."""


class SavedModes(msgspec.Struct, frozen=True, kw_only=True):
    """Modes on disk, with the moment at which they were kept by each clock."""

    schema: int
    kernel_boot_id: str
    boottime_ns: int
    wall_ns: int
    time_ok: bool
    modes: tuple[ActiveMode, ...]


class Modes:
    """Holds the modes. `active` may hold some that are over until `expired` takes them away."""

    def __init__(self, active: tuple[ActiveMode, ...] = ()) -> None:
        self._active = {mode.mode: mode for mode in active}

    @property
    def active(self) -> tuple[ActiveMode, ...]:
        """In the order of OwnerMode."""
        return tuple(self._active[mode] for mode in OwnerMode if mode in self._active)

    def set(self, asked: SetMode, now_ns: int) -> ActiveMode:
        """Let a mode hold from now on; raises ModeRefused."""
        if (asked.mode is OwnerMode.CHARGE_CURRENT) != (asked.limit_a is not None):
            wrong = "needs a current in A" if asked.limit_a is None else "takes no current"
            raise ModeRefused(f"{asked.mode.value} {wrong}")
        mode = ActiveMode(
            mode=asked.mode,
            ends_ns=now_ns + round(asked.duration_s * 1e9),
            limit_a=asked.limit_a,
        )
        self._active[asked.mode] = mode
        return mode

    def clear(self, wanted: tuple[OwnerMode, ...]) -> tuple[ActiveMode, ...]:
        """End these modes, or all when none is named; those that held."""
        ended = tuple(mode for mode in self.active if not wanted or mode.mode in wanted)
        for mode in ended:
            del self._active[mode.mode]
        return ended

    def expired(self, now_ns: int) -> tuple[ActiveMode, ...]:
        """Take away the modes whose time is over."""
        over = tuple(mode.mode for mode in self.active if mode.ends_ns <= now_ns)
        return self.clear(over) if over else ()

    def charged(self, before: ChargeMode, after: ChargeMode) -> tuple[ActiveMode, ...]:
        """The charge went from one state to the next: a top balance that is full is over."""
        if before is ChargeMode.TOP_BALANCE and after in FULL:
            return self.clear((OwnerMode.TOP_BALANCE,))
        return ()

    def owner(self, now_ns: int) -> Owner:
        """The request that the modes make of the charge control."""
        holding = {mode.mode: mode for mode in self.active if mode.ends_ns > now_ns}
        charge = (OwnerMode.CHARGE_OFF, OwnerMode.CHARGE_CURRENT)
        return Owner(
            request="top_balance" if OwnerMode.TOP_BALANCE in holding else "",
            charge_caps=_caps([holding[mode] for mode in charge if mode in holding], now_ns),
            discharge_caps=_caps(
                [mode for name, mode in holding.items() if name is OwnerMode.DISCHARGE_OFF], now_ns
            ),
        )


def _caps(modes: list[ActiveMode], now_ns: int) -> tuple[OwnerCap, ...]:
    return tuple(
        OwnerCap(
            value_a=0.0 if mode.limit_a is None else mode.limit_a,
            text=f"the owner ({mode_words(mode)}, {time_left(mode.left_s(now_ns))})",
        )
        for mode in modes
    )


def saved(modes: Modes, kernel_boot_id: str, now: Moment) -> bytes:
    """The modes as MessagePack."""
    return msgspec.msgpack.encode(
        SavedModes(
            schema=SAVED_SCHEMA,
            kernel_boot_id=kernel_boot_id,
            boottime_ns=now.boottime_ns,
            wall_ns=now.wall_ns,
            time_ok=now.time_ok,
            modes=modes.active,
        )
    )


def restored(data: bytes | None, kernel_boot_id: str, now: Moment) -> Modes:
    """The modes that `saved` kept; none when that is missing or damaged.

    Within one run of the machine they end when they were to end. After a restart of the machine the
    wall clock says how long it was off; where it can't be trusted, a mode that lowers a limit has
    the time it had when it was kept, and a top balance, which does not, is over.
    """
    if data is None:
        return Modes()
    try:
        kept = msgspec.msgpack.decode(data, type=SavedModes)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Modes()
    if kept.schema != SAVED_SCHEMA:
        return Modes()
    if kept.kernel_boot_id == kernel_boot_id:
        return Modes(_moved(kept.modes, 0, now))
    known = kept.time_ok and now.time_ok and now.wall_ns >= kept.wall_ns
    off_ns = now.wall_ns - kept.wall_ns if known else 0
    moved_ns = now.boottime_ns - kept.boottime_ns - off_ns
    stay = tuple(mode for mode in kept.modes if known or mode.mode is not OwnerMode.TOP_BALANCE)
    return Modes(_moved(stay, moved_ns, now))


def _moved(modes: tuple[ActiveMode, ...], moved_ns: int, now: Moment) -> tuple[ActiveMode, ...]:
    """The modes with their end moved, none of them longer than it could have been asked for."""
    latest_ns = now.boottime_ns + round(LONGEST_MODE_S * 1e9)
    return tuple(
        msgspec.structs.replace(mode, ends_ns=min(mode.ends_ns + moved_ns, latest_ns))
        for mode in modes
    )
