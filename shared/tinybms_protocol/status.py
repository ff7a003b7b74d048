"""Online status: register 50 and command 0x18."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from tinybms_protocol.registers_live import ONLINE_STATUS_NAMES


class OnlineStatus(StrEnum):
    """What the BMS says it is doing. Any number not in the table is UNKNOWN, never a fault."""

    CHARGING = "charging"
    FULLY_CHARGED = "fully_charged"
    DISCHARGING = "discharging"
    REGENERATION = "regeneration"
    """Current into the pack through the load port; dual port only."""
    IDLE = "idle"
    FAULT = "fault"
    """One or several faults are active; the event log says which."""
    UNKNOWN = "unknown"

    @classmethod
    def from_raw(cls, raw: int) -> OnlineStatus:
        """Status of a register 50 word. Source: TinyBMS protocol Rev D, command 0x18."""
        name = ONLINE_STATUS_NAMES.get(raw)
        return cls.UNKNOWN if name is None else cls(name)


RAW_STATUS: Final = {OnlineStatus(name): raw for raw, name in ONLINE_STATUS_NAMES.items()}
"""Register 50 word of each status that the protocol lists."""
