"""What the charge control is told about the battery, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tinybms_messages.live import Sample

Request = Literal["", "charge", "top_balance"]
"""Nothing, a new charge although the battery is not empty, or one to the top balance target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerCap:
    """Most current in A that the owner allows for now, with words for people."""

    value_a: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What the owner asks for now. The caps can only lower a limit."""

    request: Request = ""
    charge_caps: tuple[OwnerCap, ...] = ()
    discharge_caps: tuple[OwnerCap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One reading of the battery; current + = charge. Any number may be missing, NaN or absurd.

    `temperatures_c`: (probe number, degC) of each fitted probe; number 0 is the sensor of the BMS
    board, given only when no probe is fitted. `event_ids`: faults and warnings that the BMS's event
    log shows as active (TinyBMS user manual Rev D, events). `balancing`: whether any cell is really
    being bled (register 52), None when not known. `request` and the caps: what the owner asks for
    now. `alternative`: the other reading while it is doubtful which of the two is true; each limit
    is then the lower of both.
    """

    cell_voltages_v: tuple[float | None, ...]
    pack_voltage_v: float | None
    pack_current_a: float | None
    soc_pct: float | None
    temperatures_c: tuple[tuple[int, float], ...]
    status: str
    """idle, charging, fully_charged, discharging, regeneration, fault or unknown."""
    event_ids: frozenset[int] = frozenset()
    balancing: bool | None = None
    request: Request = ""
    charge_caps: tuple[OwnerCap, ...] = ()
    discharge_caps: tuple[OwnerCap, ...] = ()
    alternative: Measurement | None = None


_NOTHING_ASKED: Final = Owner()


def measurement_of(
    sample: Sample,
    event_ids: frozenset[int],
    alternative: Measurement | None = None,
    *,
    owner: Owner = _NOTHING_ASKED,
) -> Measurement:
    """The part of `sample` that the charge control looks at, with what the owner asks for."""
    return Measurement(
        cell_voltages_v=sample.cell_voltages_v,
        pack_voltage_v=sample.pack_voltage_v,
        pack_current_a=sample.pack_current_a,
        soc_pct=sample.soc_pct,
        temperatures_c=sample.cell_temperatures_c,
        status=sample.online_status,
        event_ids=event_ids,
        balancing=any(sample.cells_balancing),
        request=owner.request,
        charge_caps=owner.charge_caps,
        discharge_caps=owner.discharge_caps,
        alternative=alternative,
    )
