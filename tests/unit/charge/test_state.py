from __future__ import annotations

import msgspec
import pytest

from fake_charge import BMS, PARAMETERS, make_measurement, settled
from tinybms_charge.state import ChargeState, from_bytes, resume, to_bytes
from tinybms_charge.step import step


def saved(state: ChargeState) -> bytes:
    return to_bytes(state, kernel_boot_id="boot-1", boottime_ns=5_000_000_000)


def test_a_state_comes_back_as_it_was_with_its_age() -> None:
    state = settled(make_measurement(soc_pct=4.0)).state
    back = from_bytes(saved(state))
    assert back is not None
    assert back.state == state
    assert back.age_s("boot-1", 7_500_000_000) == 2.5
    assert back.age_s("boot-2", 7_500_000_000) is None
    assert back.age_s("boot-1", 4_000_000_000) is None


@pytest.mark.parametrize(
    "data", [None, b"", b"\x00", b"junk" * 50, b"\xff" * 9, b"\x81\xa1\xff\x01"]
)
def test_a_missing_or_damaged_state_is_none(data: bytes | None) -> None:
    assert from_bytes(data) is None


def test_a_cut_or_altered_state_is_none_or_plausible() -> None:
    data = saved(settled(make_measurement()).state)
    for length in range(len(data)):
        assert from_bytes(data[:length]) is None


@pytest.mark.parametrize(
    "change",
    [
        {"charge_current_a": float("nan")},
        {"charge_current_a": -1.0},
        {"charge_current_a": 1e6},
        {"charge_voltage_v": float("inf")},
        {"charge_voltage_v": 552.0},
        {"cell_count": 99},
        {"low_cell_s": float("-inf")},
    ],
)
def test_an_implausible_state_is_none(change: dict[str, float]) -> None:
    state = settled(make_measurement()).state
    assert from_bytes(saved(msgspec.structs.replace(state, **change))) is None


def test_another_schema_is_none() -> None:
    plain = msgspec.msgpack.decode(saved(ChargeState()))
    assert from_bytes(msgspec.msgpack.encode(plain | {"schema": 99})) is None


def test_a_young_state_goes_on_from_the_last_values_sent() -> None:
    before = settled(make_measurement())
    state = resume(before.state, 59.9)
    after = step(state, make_measurement(), BMS, PARAMETERS, 0.1)
    assert after.limits == before.limits


@pytest.mark.parametrize("age_s", [None, 60.0, 1e9, -0.1, float("nan")])
def test_an_old_state_or_one_of_unknown_age_starts_the_ramp_at_zero(age_s: float | None) -> None:
    before = settled(make_measurement())
    after = step(resume(before.state, age_s), make_measurement(), BMS, PARAMETERS, 0.1)
    assert after.limits.charge_current_a == 0
    assert after.limits.discharge_current_a == 100.0
    assert resume(None, 1.0) == ChargeState()
