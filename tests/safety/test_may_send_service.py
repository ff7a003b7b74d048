"""The gate while the owner has asked for frames without a BMS: longer, never looser."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from fake_live import fake_live
from tinybms_charge.ageing import in_service
from tinybms_charge.parameters import charge_parameters
from tinybms_config.model import Config
from tinybms_victron.frames import encode_all
from tinybms_victron.gate import GateContext, may_send
from tinybms_victron.pack_view import pack_view

AGE_S = 300.0
CONTEXT = GateContext(
    data_age_s=AGE_S,
    stale_after_s=10.0,
    lost_after_s=30.0,
    cell_count=16,
    chemistry="lifepo4",
    max_charge_current_a=60.0,
    max_discharge_current_a=100.0,
    service=True,
)


def _frames() -> dict[int, bytes]:
    live = fake_live()
    shown = in_service(live, AGE_S, charge_parameters(Config()))
    assert shown.limits is not None
    view = pack_view(live, shown.limits, shown.alarms, device="pack1")
    assert view is not None
    return encode_all(view)


FRAMES = _frames()


def allowed(frame_id: int, data: bytes, context: GateContext = CONTEXT) -> bool:
    return may_send(frame_id, data, context).allowed


def test_every_frame_of_a_service_passes_and_none_without_it() -> None:
    assert [can_id for can_id, data in FRAMES.items() if not allowed(can_id, data)] == []
    without = replace(CONTEXT, service=False)
    assert not any(allowed(can_id, data, without) for can_id, data in FRAMES.items())


@pytest.mark.parametrize("age_s", [None, 630.001, 3600.0, -0.1, float("nan"), float("inf")])
def test_a_service_has_an_end_at_the_gate_too(age_s: float | None) -> None:
    context = replace(CONTEXT, data_age_s=age_s)
    assert not any(allowed(can_id, data, context) for can_id, data in FRAMES.items())


@pytest.mark.parametrize("age_s", [10.1, 29.0, 31.0, 600.0])
def test_old_data_carry_no_charge_current_in_service_either(age_s: float) -> None:
    context = replace(CONTEXT, data_age_s=age_s)
    passed = [
        ccl
        for ccl in range(-1, 602)
        if allowed(0x351, struct.pack("<HhhH", 540, ccl, 1000, 440), context)
    ]
    assert passed == [0]


def test_alarms_that_do_not_tell_of_the_silence_do_not_pass() -> None:
    calm = bytearray(FRAMES[0x35A])
    calm[6] = (calm[6] & 0x3F) | 2 << 6
    assert not allowed(0x35A, bytes(calm))
    assert allowed(0x35A, bytes(calm), replace(CONTEXT, data_age_s=1.0))
    alarmed = bytearray(calm)
    alarmed[2] = (alarmed[2] & 0x3F) | 1 << 6
    assert allowed(0x35A, bytes(alarmed))
