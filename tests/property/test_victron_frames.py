"""Whatever the numbers: a frame shows the nearest value it can hold, and never a wrapped one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fake_live import fake_live
from tinybms_victron.decode import decode
from tinybms_victron.encode import Value, encode
from tinybms_victron.frames import encode_all, frame_values
from tinybms_victron.gate import GateContext, may_send
from tinybms_victron.pack_view import PackView, pack_view
from tinybms_victron.signal_types import Frame, Number, Text
from tinybms_victron.signals import ALARMS, BY_ID, FRAMES

ANY_NUMBER = st.floats(allow_nan=False, allow_infinity=False)
PLAIN_TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8)
LEVELS = st.dictionaries(
    st.sampled_from(["high_voltage", "low_voltage", "bms_internal", "cell_imbalance"]),
    st.integers(0, 2),
)
PROBE = st.none() | st.tuples(st.integers(0, 2), ANY_NUMBER)


def _view() -> PackView:
    live = fake_live()
    assert live.limits is not None
    view = pack_view(live, live.limits, live.alarms, device="pack1")
    assert view is not None
    return view


VIEW = _view()


@st.composite
def views(draw: st.DrawFn) -> PackView:
    numbers = {
        field: draw(ANY_NUMBER)
        for field in (
            "charge_voltage_v",
            "charge_current_a",
            "discharge_current_a",
            "discharge_voltage_v",
            "pack_voltage_v",
            "pack_current_a",
            "soc_pct",
            "min_cell_voltage_v",
            "max_cell_voltage_v",
        )
    }
    unknowns = {
        field: draw(st.none() | ANY_NUMBER)
        for field in (
            "soh_pct",
            "battery_temperature_c",
            "charged_energy_kwh",
            "discharged_energy_kwh",
            "capacity_ah",
        )
    }
    probe = draw(PROBE)
    drawn: dict[str, Any] = {**numbers, **unknowns}
    return replace(
        VIEW,
        **drawn,
        min_temperature=probe,
        max_temperature=probe,
        firmware=draw(st.none() | st.integers()),
        serial_number=draw(st.none() | st.text()),
        device=draw(st.text()),
        alarm_levels=draw(LEVELS),
    )


@given(views())
def test_any_view_encodes_each_number_to_the_nearest_it_can_hold(view: PackView) -> None:
    for frame_id, data in encode_all(view).items():
        frame = BY_ID[frame_id]
        assert len(data) in frame.lengths
        wanted, shown = frame_values(frame, view), decode(frame_id, data)
        assert wanted is not None
        for field in frame.fields:
            if isinstance(field, Number):
                _assert_nearest(field, wanted.get(field.key), shown[field.key])


def _assert_nearest(field: Number, wanted: Value, shown: Value) -> None:
    if wanted is None:
        assert shown is None
        return
    assert isinstance(wanted, int | float)
    assert isinstance(shown, int | float)
    within = min(max(wanted, field.low), field.high)
    assert abs(shown - within) <= 0.5 / field.per_unit + 1e-3
    assert (wanted <= field.high) or shown > field.low


def _legal_values(frame: Frame) -> st.SearchStrategy[dict[str, Value]]:
    kinds: dict[str, st.SearchStrategy[Value]] = {}
    for field in frame.fields:
        if isinstance(field, Number):
            kinds[field.key] = st.integers(field.raw_low, field.raw_high).map(
                lambda raw, field=field: raw / field.per_unit - field.shift  # type: ignore[misc]
            )
        elif isinstance(field, Text):
            kinds[field.key] = PLAIN_TEXT
        else:
            kinds[field.key] = st.integers(0, 2)
    return st.fixed_dictionaries(kinds)


@given(st.data())
def test_decoding_undoes_encoding(data: st.DataObject) -> None:
    frame = data.draw(st.sampled_from(FRAMES))
    values = data.draw(_legal_values(frame))
    encoded = encode(frame, values, length=max(frame.lengths))
    assert encode(frame, decode(frame.id, encoded), length=len(encoded)) == encoded


@given(st.integers(0, 0x1FFFFFFF), st.binary(max_size=64), st.floats() | st.none())
def test_the_gate_never_raises_and_passes_only_what_decodes(
    can_id: int, data: bytes, age: float | None
) -> None:
    context = GateContext(
        data_age_s=age,
        stale_after_s=10.0,
        lost_after_s=30.0,
        cell_count=16,
        chemistry="lifepo4",
        max_charge_current_a=60.0,
        max_discharge_current_a=100.0,
    )
    if may_send(can_id, data, context).allowed:
        assert len(data) in BY_ID[can_id].lengths


@given(st.binary(min_size=8, max_size=8))
def test_an_alarm_frame_with_a_pair_of_three_never_passes(data: bytes) -> None:
    context = GateContext(
        data_age_s=0.0,
        stale_after_s=10.0,
        lost_after_s=30.0,
        cell_count=16,
        chemistry="lifepo4",
        max_charge_current_a=60.0,
        max_discharge_current_a=100.0,
    )
    threes = any((byte >> shift) & 3 == 3 for byte in data for shift in (0, 2, 4, 6))
    if threes:
        assert not may_send(ALARMS.id, data, context).allowed
