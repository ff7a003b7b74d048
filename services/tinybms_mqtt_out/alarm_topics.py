"""The alarm topics: 0 all is well, 1 warning, 2 alarm."""

from __future__ import annotations

from typing import Final

from tinybms_messages.live import Alarm, AlarmName
from tinybms_mqtt_out.model import Group, Snapshot, ValueTopic
from tinybms_victron.gx import gx_rows

_GX_REGISTER: Final[dict[AlarmName, int]] = {
    AlarmName.LOW_VOLTAGE: 268,
    AlarmName.HIGH_VOLTAGE: 269,
    AlarmName.LOW_SOC: 272,
    AlarmName.LOW_TEMPERATURE: 273,
    AlarmName.HIGH_TEMPERATURE: 274,
    AlarmName.HIGH_CHARGE_CURRENT: 320,
    AlarmName.HIGH_DISCHARGE_CURRENT: 321,
    AlarmName.CELL_IMBALANCE: 322,
    AlarmName.INTERNAL_FAILURE: 323,
    AlarmName.HIGH_CHARGE_TEMPERATURE: 324,
    AlarmName.LOW_CHARGE_TEMPERATURE: 325,
    AlarmName.LOW_CELL_VOLTAGE: 326,
    AlarmName.BMS_CABLE: 327,
}

_NOTES: Final[dict[AlarmName, str]] = {
    AlarmName.LOW_VOLTAGE: "the low-battery alarm of an inverter follows from this one",
}


def _alarm_topic(name: AlarmName) -> ValueTopic:
    def alarm(snapshot: Snapshot) -> Alarm | None:
        return next((one for one in snapshot.alarms if one.name is name), None)

    def level(snapshot: Snapshot) -> int:
        found = alarm(snapshot)
        return 0 if found is None else found.level

    def words(snapshot: Snapshot) -> str:
        found = alarm(snapshot)
        return "" if found is None else found.text

    return ValueTopic(
        suffix=f"alarm_{name}",
        label=f"{name.replace('_', ' ').title().replace('Soc', 'SoC').replace('Bms', 'BMS')} Alarm",
        group=Group.ALARM,
        derive=level,
        words=words,
        gx=gx_rows(_GX_REGISTER[name]),
        critical=True,
        note=_NOTES.get(name),
    )


ALARM_TOPICS: Final[tuple[ValueTopic, ...]] = tuple(_alarm_topic(name) for name in AlarmName)
