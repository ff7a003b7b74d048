"""What active faults and warnings of the BMS mean for the limits.

Source: TinyBMS user manual Rev D, protections; numbers as in TinyBMS protocol Rev D, events.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tinybms_protocol.events import FULLY_DISCHARGED, TOO_COLD_TO_CHARGE, EventClass, kind_of
from tinybms_protocol.status import OnlineStatus

UNDER_VOLTAGE: Final = 0x02
OVER_VOLTAGE: Final = 0x03

UNKNOWN_FAULT_TEXT: Final = "unknown fault: the BMS reports a fault, its event log names none"

_CALM: Final = frozenset(OnlineStatus) - {OnlineStatus.FAULT, OnlineStatus.UNKNOWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultView:
    """Texts of what stops each limit, empty when nothing does.

    `freeze`: CVL must not go above the value last sent.
    """

    event_ids: frozenset[int]
    """Those that hold after the check against the status."""
    unknown: bool
    charge: str
    discharge: str
    voltage: str
    freeze: bool


@lru_cache(maxsize=32)
def fault_view(status: str, event_ids: frozenset[int]) -> FaultView:
    """Which limits `status` and the active events stop.

    A fault of the log does not hold while the status says that all is well. A fault without a
    cause, and every number that the protocol does not list, stops both directions.
    """
    active = frozenset(
        number
        for number in event_ids
        if not (status in _CALM and kind_of(number).event_class is EventClass.FAULT)
    )
    charge, discharge, voltage, freeze = [], [], [], False
    faults = [number for number in active if kind_of(number).event_class is EventClass.FAULT]
    for number in sorted(active):
        kind = kind_of(number)
        text = f"{kind.event_class} 0x{number:02X}: {kind.text}"
        if number in {UNDER_VOLTAGE, FULLY_DISCHARGED}:
            discharge.append(text)
        elif number in {OVER_VOLTAGE, TOO_COLD_TO_CHARGE}:
            charge.append(text)
            voltage.append(text)
        elif number in faults:
            charge.append(text)
            discharge.append(text)
            voltage.append(text)
            freeze = True
    unknown = status == OnlineStatus.FAULT and not faults
    if unknown:
        for texts in (charge, discharge, voltage):
            texts.append(UNKNOWN_FAULT_TEXT)
    return FaultView(
        event_ids=active,
        unknown=unknown,
        charge="; ".join(charge),
        discharge="; ".join(discharge),
        voltage="; ".join(voltage),
        freeze=freeze or unknown,
    )
