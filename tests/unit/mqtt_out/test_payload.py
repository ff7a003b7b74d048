"""What stands in the payload of a value topic."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_live import fake_live, fake_sample
from tinybms_messages.live import Alarm, AlarmName, Counters, Identity, Limits, LiveData, Reason
from tinybms_mqtt_out.model import Snapshot, ValueTopic
from tinybms_mqtt_out.payload import PayloadTemplate, Reading, Stamp
from tinybms_mqtt_out.topics import value_topics

STAMP = Stamp(seq=81_234, boot="9f2c61d07be4a835", timestamp_ms=1_795_600_000_123)
TOPICS = {topic.suffix: topic for topic in value_topics(14, legacy=True)}


CONTRACT = """
battery_voltage battery_current battery_power soc_percent battery_state
time_to_go battery_temperature internal_temperature external_temperature_1
external_temperature_2 soh_percent charge_voltage_limit
discharge_voltage_limit charge_current_limit discharge_current_limit
capacity_ah min_cell_voltage max_cell_voltage min_cell_id max_cell_id
cell_difference balancing balancing_cells online_status system_state
charged_energy_kwh discharged_energy_kwh consumed_ah charge_cycles
full_discharges total_ah_drawn min_voltage_seen max_voltage_seen
time_since_full_s low_voltage_alarms high_voltage_alarms
min_cell_voltage_seen max_cell_voltage_seen lifetime_s
limit_reason_charge limit_reason_discharge limit_reason_voltage
setting_fully_charged_voltage setting_broadcast_protocol
stat_total_distance stat_stats_cleared_at
alarm_low_voltage alarm_high_voltage alarm_low_soc alarm_low_temperature
alarm_high_temperature alarm_high_charge_current
alarm_high_discharge_current alarm_cell_imbalance alarm_internal_failure
alarm_high_charge_temperature alarm_low_charge_temperature
alarm_low_cell_voltage alarm_bms_cable
battery_pack_voltage battery_pack_current state_of_charge state_of_health
max_charge_current max_discharge_current overvoltage_cutoff_mv
undervoltage_cutoff_mv discharge_overcurrent_a charge_overcurrent_a
overheat_cutoff_c pack_power_w
"""


def battery() -> LiveData:
    return fake_live(
        sample=fake_sample(
            pack_voltage_v=52.709999,
            pack_current_a=-12.3,
            soc_pct=63.4,
            time_to_go_s=12_345,
            cell_voltages_v=tuple(3.29 + 0.0001 * cell for cell in range(16)),
            cells_balancing=tuple(cell in {2, 6} for cell in range(16)),
        ),
        limits=Limits(
            charge_voltage_v=56.8,
            charge_current_a=60.0,
            discharge_current_a=100.0,
            discharge_voltage_v=44.8,
            system_state="bulk",
            charge_reasons=(Reason(code="user", text="the owner's maximum", value=60.0),),
        ),
        alarms=(Alarm(name=AlarmName.CELL_IMBALANCE, level=1, text="cells differ by 62 mV"),),
        counters=Counters(charged_energy_kwh=1234.5678, discharged_ah=4321.6),
        identity=Identity(
            serial_number="0123456789abcdef01234567",
            firmware=251,
            hardware="2.1",
            capacity_ah=320.0,
            single_port=False,
        ),
    )


def shown(live: LiveData) -> Snapshot:
    assert live.sample is not None
    return Snapshot(live=live, sample=live.sample, limits=live.limits, alarms=live.alarms)


def payload(topic: ValueTopic, reading: Reading, stamp: Stamp = STAMP) -> dict[str, Any]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    text = PayloadTemplate(topic).encode(reading, stamp)
    assert b"\n" not in text
    loaded: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return loaded


def test_the_pack_voltage_looks_exactly_like_this() -> None:
    text = PayloadTemplate(TOPICS["battery_voltage"]).encode(
        Reading(value=52.709999, raw=5271), STAMP
    )
    assert text == (
        b'{"key":"battery_voltage","address":36,"value":52.71,"raw":5271,"unit":"V",'
        b'"timestamp_ms":1795600000123,"label":"Battery Pack Voltage","seq":81234,'
        b'"boot":"9f2c61d07be4a835","dbus_path":"/Dc/Battery/Voltage","modbus_address":840,"gx":['
        b'{"service":"com.victronenergy.system","path":"/Dc/Battery/Voltage","unit":100,'
        b'"register":840,"raw":527},'
        b'{"service":"com.victronenergy.battery","path":"/Dc/0/Voltage","unit":225,'
        b'"register":259,"raw":5271}],"register_key":"pack_voltage"}'
    )


def test_an_alarm_carries_its_words_and_no_address() -> None:
    topic = TOPICS["alarm_cell_imbalance"]
    body = payload(topic, Reading(value=1, text='cells differ by "62 mV"'))
    assert body["value"] == 1
    assert body["address"] is None
    assert body["raw"] is None
    assert body["modbus_address"] == 322
    assert body["text"] == 'cells differ by "62 mV"'


def test_a_doubtful_clock_is_said_only_then() -> None:
    topic = TOPICS["soc_percent"]
    doubtful = Stamp(seq=1, boot="0" * 16, timestamp_ms=5, time_ok=False)
    assert payload(topic, Reading(value=1.0), doubtful)["time_ok"] is False
    assert "time_ok" not in payload(topic, Reading(value=1.0))


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_null_everywhere(value: float | None) -> None:
    for topic in TOPICS.values():
        body = payload(topic, Reading(value=value))
        assert body["value"] is None
        assert [row["raw"] for row in body["gx"]] == [None] * len(topic.gx)


def test_zero_is_a_value() -> None:
    body = payload(TOPICS["charge_current_limit"], Reading(value=0.0))
    assert body["value"] == 0
    assert body["gx"][0]["raw"] == 0
    assert str(payload(TOPICS["battery_current"], Reading(value=-0.0, raw=0))["value"]) == "0.0"


def test_cells_keep_a_tenth_of_a_millivolt() -> None:
    assert payload(TOPICS["cell_voltage_01"], Reading(value=3.3385))["value"] == 3.3385


@pytest.mark.parametrize(
    ("suffix", "value", "raws"),
    [
        ("battery_voltage", 52.71, [527, 5271]),
        ("battery_current", -12.3, [-123, -123]),
        ("battery_power", -648.3, [-648, -648, -648]),
        ("soc_percent", 63.4, [63, 634]),
        ("battery_state", 2, [2]),
        ("time_to_go", 12_345, [123, 123]),
        ("soh_percent", 98.0, [980]),
        ("charge_voltage_limit", 56.8, [568]),
        ("capacity_ah", 320.0, [3200]),
        ("consumed_ah", -117.12, [1171, 1171]),
        ("min_cell_voltage", 3.29, [329]),
        ("min_cell_id", 1, ["1"]),
        ("balancing", 1, [1]),
        ("charged_energy_kwh", 1234.568, [12_346]),
        ("total_ah_drawn", 4321.6, [43_216]),
        ("alarm_cell_imbalance", 1, [1]),
        ("alarm_low_voltage", 0, [0]),
        ("balancing_cells", "3,7", []),
        ("online_status", "discharging", []),
        ("system_state", "bulk", []),
        ("limit_reason_charge", "user", []),
        ("full_discharges", None, [None]),
    ],
)
def test_a_snapshot_gives(suffix: str, value: object, raws: list[object]) -> None:
    topic = TOPICS[suffix]
    assert topic.derive is not None
    body = payload(topic, Reading(value=topic.derive(shown(battery()))))
    assert body["value"] == value
    assert [row["raw"] for row in body["gx"]] == raws


def test_the_cells_of_a_smaller_pack_sit_on_the_top_channels() -> None:
    assert TOPICS["cell_voltage_01"].address == 2
    assert TOPICS["cell_voltage_14"].address == 15
    assert "cell_voltage_15" not in TOPICS


def test_raw_numbers_follow_the_registers() -> None:
    assert TOPICS["battery_voltage"].raw_of(52.709999) == 5271
    assert TOPICS["battery_current"].raw_of(-12.3) == -1230
    assert TOPICS["soc_percent"].raw_of(63.412345) == 63_412_345
    assert TOPICS["cell_voltage_02"].raw_of(3.3385) == 33_385
    assert TOPICS["external_temperature_1"].raw_of(-20.5) == -205
    assert TOPICS["battery_power"].raw_of(100.0) is None
    assert TOPICS["online_status"].raw_of("idle") is None


def test_every_name_of_the_contract_is_there_once() -> None:
    suffixes = [topic.suffix for topic in value_topics(16, legacy=True)]
    assert len(suffixes) == len(set(suffixes))
    cells = {f"cell_voltage_{number:02d}" for number in range(1, 17)}
    assert {*CONTRACT.split(), *cells} <= set(suffixes)


def test_critical_are_soc_the_four_limits_and_the_alarms() -> None:
    critical = {suffix for suffix, topic in TOPICS.items() if topic.critical}
    assert {suffix for suffix in critical if not suffix.startswith("alarm_")} == {
        "soc_percent",
        "charge_voltage_limit",
        "discharge_voltage_limit",
        "charge_current_limit",
        "discharge_current_limit",
    }
    assert critical >= {suffix for suffix in TOPICS if suffix.startswith("alarm_")}


@given(
    st.sampled_from(sorted(TOPICS)),
    st.none() | st.floats() | st.integers(-(2**63), 2**63) | st.text(),
    st.none() | st.integers(-(2**31), 2**32),
    st.none() | st.text(),
)
def test_any_reading_gives_strict_json(
    suffix: str, value: float | str | None, raw: int | None, text: str | None
) -> None:
    body = payload(TOPICS[suffix], Reading(value=value, raw=raw, text=text))
    assert body["key"] == suffix
    assert list(body)[:12] == [
        "key",
        "address",
        "value",
        "raw",
        "unit",
        "timestamp_ms",
        "label",
        "seq",
        "boot",
        "dbus_path",
        "modbus_address",
        "gx",
    ]
