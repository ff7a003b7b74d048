"""The contract of dbus-mqtt-battery as a check: what it takes, and what would stop it."""

from __future__ import annotations

import json
import re
from typing import Any

NUMBER = (int, float)
_CELL = r"Cell([1-9]|1[0-9]|2[0-4])"

NUMBERS = {
    "": "Soc Soh SocBms InstalledCapacity Capacity ConsumedAmphours TimeToGo Balancing "
    "SystemSwitch Heating State CurrentAvg",
    "Dc": "Power Voltage Current Temperature MidVoltage MidVoltageDeviation",
    "Info": "MaxChargeVoltage MaxChargeCurrent MaxDischargeCurrent BatteryLowVoltage "
    "MaxChargeCellVoltage ChargeRequest",
    "History": "ChargeCycles MinimumVoltage MaximumVoltage TotalAhDrawn ChargedEnergy "
    "DischargedEnergy FullDischarges HighVoltageAlarms LowVoltageAlarms MaximumCellVoltage "
    "MinimumCellVoltage TimeSinceLastFullCharge",
    "System": "MinCellVoltage MaxCellVoltage MinCellTemperature MaxCellTemperature MOSTemperature "
    "NrOfCellsPerBattery NrOfModulesOnline NrOfModulesOffline NrOfModulesBlockingCharge "
    "NrOfModulesBlockingDischarge Temperature1 Temperature2 Temperature3 Temperature4",
    "Voltages": "Sum Diff",
    "Balances": "",
    "Io": "AllowToCharge AllowToDischarge AllowToBalance AllowToHeat ExternalRelay",
    "Alarms": "LowVoltage HighVoltage LowSoc HighChargeCurrent HighDischargeCurrent HighCurrent "
    "CellImbalance HighChargeTemperature LowChargeTemperature LowCellVoltage LowTemperature "
    "HighTemperature FuseBlown BmsCable HighCellVoltage HighInternalTemperature InternalFailure",
}
TEXTS = {
    "Info": "ChargeMode ChargeLimitation DischargeLimitation",
    "System": "MinVoltageCellId MaxVoltageCellId MinTemperatureCellId MaxTemperatureCellId",
}
NEVER_NULL = {
    ("Dc", "Power"),
    ("Dc", "Voltage"),
    ("", "Soc"),
    # Without these the GX takes limits of its own or 655.35 V.
    ("Info", "MaxChargeVoltage"),
    ("Info", "MaxChargeCurrent"),
    ("Info", "MaxDischargeCurrent"),
    ("Info", "BatteryLowVoltage"),
    # Without these it takes Sum and Diff for cells.
    ("System", "MinCellVoltage"),
    ("System", "MaxCellVoltage"),
    ("System", "MinVoltageCellId"),
    ("System", "MaxVoltageCellId"),
}


def check_venus(payload: bytes) -> dict[str, Any]:
    """The object of a message, after every rule was found kept. Raises AssertionError."""
    body: dict[str, Any] = json.loads(payload, parse_constant=_refuse)
    groups = {key: value for key, value in body.items() if isinstance(value, dict)}
    groups[""] = {key: value for key, value in body.items() if not isinstance(value, dict)}
    for group, key in NEVER_NULL:
        assert groups[group].get(key) is not None, f"{group}.{key} is missing or null"
    for group, values in groups.items():
        for key, value in values.items():
            _check_value(group, key, value)
    return body


def _check_value(group: str, key: str, value: object) -> None:
    where = f"{group}.{key} = {value!r}"
    if key in TEXTS.get(group, "").split():
        assert value is None or isinstance(value, str), f"{where} is no text"
        return
    cell = group in {"Voltages", "Balances"} and re.fullmatch(_CELL, key)
    assert cell or key in NUMBERS[group].split(), f"{where} is not known to the driver"
    assert not isinstance(value, bool), f"{where}: the driver takes 0 and 1 only"
    assert value is None or isinstance(value, NUMBER), f"{where} ends the driver"
    if group in {"Alarms", "Balances"} or key == "Balancing":
        assert value in ({0, 1, 2} if group == "Alarms" else {0, 1}), where
    if group == "Voltages":
        assert value is not None, f"{where}: a null among cells hides the sums"


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")
