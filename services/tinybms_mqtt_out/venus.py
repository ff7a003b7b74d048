"""The object that the Venus OS driver dbus-mqtt-battery shows as a battery on the GX.

The driver keeps a value whose key is left out, stops for ever on a null in a mandatory key and
takes a retained message for a living battery. So the object always holds every key, is never sent
without its mandatory numbers, and never retained. Source: README of dbus-mqtt-battery, JSON
structure.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from tinybms_config.model import Config
from tinybms_messages.live import AlarmName, Limits, Reason, Sample
from tinybms_mqtt_out import derive
from tinybms_mqtt_out.model import Snapshot, Value
from tinybms_mqtt_out.payload import number
from tinybms_mqtt_out.publication import Kind, Publication
from tinybms_protocol.status import OnlineStatus

PERIOD_S: Final = 1.0
SUFFIX: Final = "venus"

RUNNING: Final = 9
ERROR: Final = 10
"""States of a battery on the D-Bus of a GX."""

_ALARM_KEYS: Final[dict[AlarmName, str]] = {
    AlarmName.LOW_VOLTAGE: "LowVoltage",
    AlarmName.HIGH_VOLTAGE: "HighVoltage",
    AlarmName.LOW_SOC: "LowSoc",
    AlarmName.LOW_TEMPERATURE: "LowTemperature",
    AlarmName.HIGH_TEMPERATURE: "HighTemperature",
    AlarmName.HIGH_CHARGE_CURRENT: "HighChargeCurrent",
    AlarmName.HIGH_DISCHARGE_CURRENT: "HighDischargeCurrent",
    AlarmName.CELL_IMBALANCE: "CellImbalance",
    AlarmName.INTERNAL_FAILURE: "InternalFailure",
    AlarmName.HIGH_CHARGE_TEMPERATURE: "HighChargeTemperature",
    AlarmName.LOW_CHARGE_TEMPERATURE: "LowChargeTemperature",
    AlarmName.LOW_CELL_VOLTAGE: "LowCellVoltage",
    AlarmName.BMS_CABLE: "BmsCable",
}

Numbers = dict[str, Value]


def venus_wanted(config: Config) -> bool:
    """Whether the topic is published: as told, else only when CAN is off.

    Two controlling batteries for one pack raise an alarm on the GX.
    """
    return not config.can.enabled if config.mqtt.venus is None else config.mqtt.venus


def venus_message(root: str, snapshot: Snapshot, *, cycles: Value = None) -> Publication | None:
    """The message for `snapshot`, None while a mandatory number or the limits are not known.

    `cycles`: number of full charges that the BMS has counted.
    """
    sample = snapshot.sample
    mandatory = (sample.power_w, sample.pack_voltage_v, sample.soc_pct)
    if snapshot.limits is None or not all(math.isfinite(value) for value in mandatory):
        return None
    body: dict[str, Value | Numbers] = {
        "Dc": _dc(sample),
        **_charge(snapshot),
        "Balancing": derive.balancing(snapshot),
        "State": ERROR if sample.online_status == OnlineStatus.FAULT else RUNNING,
        "Alarms": _alarms(snapshot),
        "Info": _info(snapshot.limits),
        "History": _history(snapshot, cycles),
        "System": _system(sample),
        "Voltages": _voltages(snapshot),
        "Balances": {
            f"Cell{number}": int(on) for number, on in enumerate(sample.cells_balancing, start=1)
        },
        "Io": _io(snapshot.limits),
    }
    return Publication(
        topic=f"{root}/{SUFFIX}", payload=msgspec.json.encode(body), kind=Kind.TELEMETRY
    )


def _dc(sample: Sample) -> Numbers:
    return {
        "Power": number(sample.power_w, 1),
        "Voltage": number(sample.pack_voltage_v, 3),
        "Current": number(sample.pack_current_a, 3),
        "Temperature": number(sample.battery_temperature_c, 1),
    }


def _charge(snapshot: Snapshot) -> Numbers:
    """Consumed charge is 0 or negative, as Victron counts it; capacity is what is left."""
    installed_ah, consumed_ah = derive.capacity_ah(snapshot), derive.consumed_ah(snapshot)
    left_ah = None if installed_ah is None or consumed_ah is None else installed_ah + consumed_ah
    sample = snapshot.sample
    return {
        "Soc": number(sample.soc_pct, 2),
        "Soh": number(sample.soh_pct, 1),
        "InstalledCapacity": number(installed_ah, 2),
        "Capacity": number(left_ah, 2),
        "ConsumedAmphours": number(consumed_ah, 2),
        "TimeToGo": sample.time_to_go_s,
    }


def _alarms(snapshot: Snapshot) -> Numbers:
    levels = {alarm.name: alarm.level for alarm in snapshot.alarms}
    return {key: levels.get(name, 0) for name, key in _ALARM_KEYS.items()}


def _info(limits: Limits) -> Numbers:
    return {
        "MaxChargeVoltage": number(limits.charge_voltage_v, 1),
        "MaxChargeCurrent": number(limits.charge_current_a, 1),
        "MaxDischargeCurrent": number(limits.discharge_current_a, 1),
        "BatteryLowVoltage": number(limits.discharge_voltage_v, 1),
        "ChargeMode": limits.system_state,
        "ChargeLimitation": _reason(derive.binding_charge_reason(limits)),
        "DischargeLimitation": _reason(derive.binding_discharge_reason(limits)),
    }


def _reason(reason: Reason | None) -> str:
    return "" if reason is None else reason.text


def _history(snapshot: Snapshot, cycles: Value) -> Numbers:
    counters = snapshot.live.counters
    drawn_ah = counters.discharged_ah
    return {
        "ChargeCycles": cycles,
        "MinimumVoltage": number(counters.min_voltage_seen_v, 2),
        "MaximumVoltage": number(counters.max_voltage_seen_v, 2),
        "MinimumCellVoltage": number(counters.min_cell_voltage_seen_v, 4),
        "MaximumCellVoltage": number(counters.max_cell_voltage_seen_v, 4),
        "TotalAhDrawn": number(None if drawn_ah is None else -drawn_ah, 1),
        "ChargedEnergy": number(counters.charged_energy_kwh, 3),
        "DischargedEnergy": number(counters.discharged_energy_kwh, 3),
        "TimeSinceLastFullCharge": counters.time_since_full_s,
    }


def _system(sample: Sample) -> Numbers:
    """Without the extreme cells and their ids the driver takes Sum and Diff for cells."""
    temperatures = sample.cell_temperatures_c
    coldest = min(temperatures, key=lambda probe: probe[1], default=None)
    hottest = max(temperatures, key=lambda probe: probe[1], default=None)
    return {
        "MinCellVoltage": number(sample.min_cell_voltage_v, 4),
        "MaxCellVoltage": number(sample.max_cell_voltage_v, 4),
        "MinVoltageCellId": str(sample.min_cell_id),
        "MaxVoltageCellId": str(sample.max_cell_id),
        "MinCellTemperature": None if coldest is None else number(coldest[1], 1),
        "MaxCellTemperature": None if hottest is None else number(hottest[1], 1),
        "MinTemperatureCellId": None if coldest is None else str(coldest[0]),
        "MaxTemperatureCellId": None if hottest is None else str(hottest[0]),
        "MOSTemperature": number(sample.internal_temperature_c, 1),
        "NrOfCellsPerBattery": sample.cell_count,
        "NrOfModulesOnline": 1,
        "NrOfModulesOffline": 0,
        "Temperature1": number(sample.external_temperature_1_c, 1),
        "Temperature2": number(sample.external_temperature_2_c, 1),
    }


def _voltages(snapshot: Snapshot) -> Numbers:
    cells = snapshot.sample.cell_voltages_v
    return {
        **{f"Cell{place}": number(value, 4) for place, value in enumerate(cells, start=1)},
        "Sum": number(sum(cells), 3),
        "Diff": number(derive.cell_difference_v(snapshot), 4),
    }


def _io(limits: Limits) -> Numbers:
    return {
        "AllowToCharge": int(limits.charge_current_a > 0),
        "AllowToDischarge": int(limits.discharge_current_a > 0),
    }
