"""Every `venus` message keeps the contract of dbus-mqtt-battery, whatever LIVE_DATA says."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from fake_live import fake_alarms, fake_limits, fake_live, fake_sample
from harness_venus import check_venus
from tinybms_config.model import Can, Config, Mqtt
from tinybms_messages.live import AlarmName, Counters, LiveData
from tinybms_mqtt_out.model import Snapshot
from tinybms_mqtt_out.publication import Publication
from tinybms_mqtt_out.venus import venus_message, venus_wanted


def message(live: LiveData | None = None, *, cycles: int | None = None) -> Publication | None:
    live = live or fake_live()
    assert live.sample is not None
    snapshot = Snapshot(live=live, sample=live.sample, limits=live.limits, alarms=live.alarms)
    return venus_message("root", snapshot, cycles=cycles)


def body(live: LiveData | None = None, *, cycles: int | None = None) -> dict[str, Any]:
    sent = message(live, cycles=cycles)
    assert sent is not None
    return check_venus(sent.payload)


def test_a_healthy_battery() -> None:
    shown = body(cycles=77)
    assert shown["Dc"] == {
        "Power": -648.2,
        "Voltage": 52.7,
        "Current": -12.3,
        "Temperature": 23.5,
    }
    assert (shown["Soc"], shown["Soh"]) == (63.26, 98.0)
    assert shown["Info"]["MaxChargeVoltage"] == 55.2
    assert shown["Info"]["BatteryLowVoltage"] == 44.0
    assert shown["System"]["MinVoltageCellId"] == "1"
    assert shown["System"]["MaxVoltageCellId"] == "16"
    assert shown["Voltages"]["Cell16"] == 3.305
    assert shown["Io"] == {"AllowToCharge": 1, "AllowToDischarge": 1}
    assert shown["History"]["ChargeCycles"] == 77
    assert (shown["State"], shown["Balancing"]) == (9, 0)


def test_it_is_neither_retained_nor_acknowledged() -> None:
    sent = message()
    assert sent is not None
    assert (sent.topic, sent.qos, sent.retain) == ("root/venus", 0, False)


def test_consumed_charge_is_negative_and_capacity_is_what_is_left() -> None:
    counters = Counters(discharged_ah=1234.5)
    shown = body(fake_live(sample=fake_sample(soc_pct=25.0), counters=counters))
    assert shown["History"]["TotalAhDrawn"] == -1234.5
    assert shown["InstalledCapacity"] == 280.0
    assert shown["ConsumedAmphours"] == -210.0
    assert shown["Capacity"] == 70.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("key", ["pack_voltage_v", "pack_current_a", "soc_pct"])
def test_without_a_mandatory_number_nothing_is_sent(key: str, bad: float) -> None:
    assert message(fake_live(sample=fake_sample(**{key: bad}))) is None


def test_without_limits_nothing_is_sent() -> None:
    assert message(fake_live(limits=None)) is None


def test_the_keys_are_always_the_same_and_unknown_ones_are_null() -> None:
    bare = fake_live(
        sample=fake_sample(
            soh_pct=None,
            battery_temperature_c=None,
            external_temperature_1_c=None,
            external_temperature_2_c=None,
            internal_temperature_c=None,
            time_to_go_s=None,
        ),
        counters=Counters(),
        identity=None,
        alarms=(),
    )
    full, empty = body(cycles=5), body(bare)
    assert {key: list(value) if isinstance(value, dict) else 0 for key, value in full.items()} == {
        key: list(value) if isinstance(value, dict) else 0 for key, value in empty.items()
    }
    assert empty["Soh"] is None
    assert empty["Dc"]["Temperature"] is None
    assert empty["System"]["MinTemperatureCellId"] is None
    assert empty["Capacity"] is None


@pytest.mark.parametrize("name", list(AlarmName))
def test_each_alarm_has_its_own_key(name: AlarmName) -> None:
    alarms = body(fake_live(alarms=fake_alarms(**{name: 2})))["Alarms"]
    assert [level for level in alarms.values() if level] == [2]
    (raised,) = (key for key, level in alarms.items() if level == 2)
    assert raised == "".join(part.capitalize() for part in name.split("_"))


def test_a_limit_of_zero_forbids_and_is_no_null() -> None:
    limits = fake_limits(charge_current_a=0.0, discharge_current_a=0.0)
    shown = body(fake_live(limits=limits))
    assert shown["Io"] == {"AllowToCharge": 0, "AllowToDischarge": 0}
    assert shown["Info"]["MaxChargeCurrent"] == 0.0


def test_a_fault_is_an_error_state() -> None:
    assert body(fake_live(sample=fake_sample(online_status="fault")))["State"] == 10


def test_the_topic_follows_can_unless_told_otherwise() -> None:
    def wanted(*, can: bool, venus: bool | None) -> bool:
        return venus_wanted(Config(can=Can(enabled=can), mqtt=Mqtt(venus=venus)))

    assert wanted(can=False, venus=None)
    assert not wanted(can=True, venus=None)
    assert wanted(can=True, venus=True)
    assert not wanted(can=False, venus=False)


def test_the_check_finds_what_freezes_or_ends_the_driver() -> None:
    sent = message()
    assert sent is not None
    for path, value in (
        (("Dc", "Power"), None),
        (("Soc",), None),
        (("Soc",), "63"),
        (("Balancing",), True),
        (("Alarms", "LowSoc"), 3),
        (("Surprise",), 1),
        (("Voltages", "Cell1"), None),
        (("System", "MinVoltageCellId"), 1),
        (("Info", "MaxChargeVoltage"), None),
    ):
        broken = json.loads(sent.payload)
        at = broken
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
        with pytest.raises(AssertionError):
            check_venus(json.dumps(broken).encode())
    with pytest.raises(AssertionError):
        check_venus(sent.payload.replace(b"-648.2", b"NaN"))
