"""Advice about settings that are safe but will not work well."""

from __future__ import annotations

from typing import Final

from tinybms_charge.bms import BmsLimits
from tinybms_charge.parameters import ChargeParameters

BALANCE_ROOM_V: Final = 0.020


def advisories(
    bms: BmsLimits,
    parameters: ChargeParameters,
    target_v: float,
    raised_v: float,
    bad: tuple[str, str],
) -> tuple[str, ...]:
    """Sentences for the owner; `bad`: what is unusable for charge and for discharge."""
    cell = parameters.cell
    found = [text for text in dict.fromkeys(bad) if text]
    if cell.low_v <= target_v < cell.absorb_v - 1e-9:
        found.append(
            f"The charge target is {target_v:.3f} V per cell instead of {cell.absorb_v:.3f} V, "
            f"because registers 300 ({bms.fully_charged_v:.3f} V) and 315 "
            f"({bms.over_voltage_v:.3f} V) leave no more room."
        )
    if target_v < bms.early_balancing_v + BALANCE_ROOM_V:
        found.append(
            f"The BMS will hardly balance: register 303 ({bms.early_balancing_v:.3f} V) should be "
            f"at most {target_v - BALANCE_ROOM_V:.3f} V."
        )
    if bms.over_voltage_v <= bms.fully_charged_v:
        found.append("Register 315 must be above register 300.")
    if bms.fully_charged_v > cell.full_v + 0.05:
        found.append(
            f"Register 300 ({bms.fully_charged_v:.3f} V) is above what a {parameters.chemistry} "
            "cell bears: check it and charge.chemistry."
        )
    if raised_v > 1e-9:
        found.append(
            f"Discharge ends {raised_v * 1000:.0f} mV per cell earlier than asked, because of "
            f"register 301 ({bms.fully_discharged_v:.3f} V)."
        )
    if not bms.charge_restart_enabled:
        found.append(
            "Once full, the BMS starts to charge again only when the charger is reconnected: "
            "register 329 bit 2 (restart by SoC) is off."
        )
    return tuple(found)
