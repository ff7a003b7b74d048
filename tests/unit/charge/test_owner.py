"""What the owner asks for now: caps that only lower, and a top balance that ends when asked."""

from dataclasses import replace

import pytest

from fake_charge import BMS, PARAMETERS, make_measurement, settled
from tinybms_charge.measurement import OwnerCap
from tinybms_charge.state import ChargeState
from tinybms_charge.step import step


def cap(value_a: float) -> tuple[OwnerCap, ...]:
    return (OwnerCap(value_a=value_a, text="the owner (test)"),)


def test_charge_off_brings_ccl_to_zero_at_once_and_says_so() -> None:
    calm = settled(make_measurement())
    asked = replace(make_measurement(), charge_caps=cap(0.0))
    after = step(calm.state, asked, BMS, PARAMETERS, 0.1).limits
    assert after.charge_current_a == 0
    assert after.charge_reasons[0].code == "owner_mode"
    assert after.charge_reasons[0].text == "the owner (test)"
    assert after.charge_voltage_v == calm.limits.charge_voltage_v
    assert after.discharge_current_a == calm.limits.discharge_current_a == 100.0


def test_discharge_off_brings_dcl_to_zero_alone() -> None:
    asked = replace(make_measurement(), discharge_caps=cap(0.0))
    after = settled(asked).limits
    assert (after.charge_current_a, after.discharge_current_a) == (60.0, 0.0)
    assert after.discharge_reasons[0].code == "owner_mode"


def test_the_default_returns_slowly_for_charge_and_at_once_for_discharge() -> None:
    asked = replace(make_measurement(), charge_caps=cap(0.0), discharge_caps=cap(0.0))
    off = settled(asked)
    first = step(off.state, make_measurement(), BMS, PARAMETERS, 0.1)
    assert (first.limits.charge_current_a, first.limits.discharge_current_a) == (0.0, 100.0)
    assert settled(make_measurement(), state=off.state).limits.charge_current_a == 60.0


def test_a_lower_maximum_holds_and_a_higher_one_raises_nothing() -> None:
    lower = settled(replace(make_measurement(), charge_caps=cap(12.5))).limits
    assert lower.charge_current_a == 12.5
    higher = settled(replace(make_measurement(), charge_caps=cap(900.0))).limits
    assert higher.charge_current_a == 60.0
    assert higher.charge_reasons[0].code == "user"


@pytest.mark.parametrize("value_a", [float("nan"), float("inf"), -1.0, 1e9])
def test_what_is_no_current_counts_as_zero(value_a: float) -> None:
    asked = replace(make_measurement(), charge_caps=cap(value_a), discharge_caps=cap(value_a))
    limits = settled(asked).limits
    assert (limits.charge_current_a, limits.discharge_current_a) == (0.0, 0.0)


def test_a_doubtful_second_reading_does_not_undo_a_cap() -> None:
    other = make_measurement(cell_v=3.31)
    asked = replace(make_measurement(alternative=other), charge_caps=cap(5.0))
    assert settled(asked).limits.charge_current_a == 5.0


def test_a_top_balance_charges_higher_only_while_it_is_asked_for() -> None:
    asked = replace(make_measurement(cell_v=3.40), request="top_balance")
    top = settled(asked, seconds=600)
    assert top.limits.system_state == "top_balance"
    assert top.limits.charge_voltage_v == 56.0
    after = step(top.state, make_measurement(cell_v=3.40), BMS, PARAMETERS, 1.0).limits
    assert after.system_state == "absorb"
    assert after.charge_voltage_v <= 55.2


def test_a_top_balance_begins_from_float_and_from_nothing() -> None:
    full = step(ChargeState(), make_measurement(status="fully_charged"), BMS, PARAMETERS, 0.1)
    asked = replace(make_measurement(cell_v=3.36), request="top_balance")
    assert step(full.state, asked, BMS, PARAMETERS, 0.1).limits.system_state == "top_balance"
    assert settled(asked, seconds=2).limits.system_state == "top_balance"
