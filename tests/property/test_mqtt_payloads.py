"""Whatever LIVE_DATA says, what leaves is strict JSON and an unknown value is null."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fake_live import fake_live, fake_sample
from tinybms_config.model import Mqtt
from tinybms_messages.live import Alarm, AlarmName, Counters, Identity, Limits, LiveData
from tinybms_mqtt_out.model import Snapshot
from tinybms_mqtt_out.payload import Stamp
from tinybms_mqtt_out.values import Values

numbers = st.floats()
maybe = st.none() | numbers
counts = st.none() | st.integers(0, 2**32)


@st.composite
def snapshots(draw: st.DrawFn) -> LiveData:
    cells = draw(st.integers(4, 16))
    limits = st.builds(
        Limits,
        charge_voltage_v=numbers,
        charge_current_a=numbers,
        discharge_current_a=numbers,
        discharge_voltage_v=numbers,
        system_state=st.text(max_size=8),
    )
    alarms = st.builds(
        Alarm,
        name=st.sampled_from(AlarmName),
        level=st.integers(0, 2),
        text=st.text(max_size=20),
    )
    identity = st.builds(
        Identity,
        serial_number=st.just("0" * 24),
        firmware=st.integers(0, 65_535),
        hardware=st.text(max_size=5),
        capacity_ah=numbers,
        single_port=st.booleans(),
    )
    counters = st.builds(
        Counters,
        charged_energy_kwh=maybe,
        discharged_energy_kwh=maybe,
        discharged_ah=maybe,
        min_voltage_seen_v=maybe,
        max_voltage_seen_v=maybe,
        time_since_full_s=counts,
    )
    sample = fake_sample(
        cell_voltages_v=draw(st.tuples(*[numbers] * cells)),
        cells_balancing=draw(st.tuples(*[st.booleans()] * cells)),
        pack_voltage_v=draw(numbers),
        pack_current_a=draw(numbers),
        soc_pct=draw(numbers),
        soh_pct=draw(maybe),
        battery_temperature_c=draw(maybe),
        external_temperature_1_c=draw(maybe),
        external_temperature_2_c=draw(maybe),
        internal_temperature_c=draw(maybe),
        online_status=draw(st.text(max_size=10)),
        time_to_go_s=draw(counts),
    )
    return fake_live(
        sample=sample,
        limits=draw(st.none() | limits),
        alarms=draw(st.lists(alarms, max_size=5).map(tuple)),
        counters=draw(counters),
        identity=draw(st.none() | identity),
    )


def strict(payload: bytes) -> dict[str, Any]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    assert payload.count(b"\n") == 0
    body: dict[str, Any] = json.loads(payload.decode("utf-8"), parse_constant=refuse)
    return body


@given(snapshots())
def test_any_snapshot_gives_strict_json_on_every_topic(live: LiveData) -> None:
    assert live.sample is not None
    values = Values(Mqtt(legacy_topics=True), "root")
    values.set_cell_count(live.sample.cell_count)
    snapshot = Snapshot(live=live, sample=live.sample, limits=live.limits, alarms=live.alarms)
    stamp = Stamp(seq=1, boot="0" * 16, timestamp_ms=1)
    sent = [
        *values.computed(snapshot, stamp, 0.0),
        *values.measured(snapshot, {}, stamp, 0.0),
    ]
    bodies = {publication.topic: strict(publication.payload) for publication in sent}
    derived = [topic for topic in values.topics if topic.derive is not None]
    assert len(bodies) == len(sent) == len(derived)
    for topic in derived:
        assert topic.derive is not None
        value = topic.derive(snapshot)
        told = bodies[f"root/{topic.suffix}"]["value"]
        unknown = value is None or (isinstance(value, float) and not math.isfinite(value))
        assert (told is None) is unknown
