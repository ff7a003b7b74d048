from __future__ import annotations

import pytest

from fake_charge import make_parameters
from tinybms_charge.parameters import CELL_KEYS
from tinybms_charge.presets import PRESETS, curve_value
from tinybms_config.problems import ConfigError


@pytest.mark.parametrize(
    ("chemistry", "absorb_v", "float_v", "low_v", "stop_v"),
    [
        ("lifepo4", 3.45, 3.375, 3.3, 2.9),
        ("nmc", 4.1, 4.05, 3.85, 3.1),
        ("lto", 2.65, 2.55, 2.4, 1.9),
    ],
)
def test_each_chemistry_has_its_own_voltages(
    chemistry: str, absorb_v: float, float_v: float, low_v: float, stop_v: float
) -> None:
    cell = make_parameters(chemistry=chemistry).cell
    assert (cell.absorb_v, cell.float_v, cell.low_v) == (absorb_v, float_v, low_v)
    assert cell.discharge_stop_v == stop_v


@pytest.mark.parametrize("name", PRESETS)
def test_curves_rise_in_temperature_and_end_at_zero(name: str) -> None:
    for curve in (PRESETS[name].charge_curve, PRESETS[name].discharge_curve):
        temperatures = [celsius for celsius, _ in curve]
        assert temperatures == sorted(set(temperatures))
        assert curve[0][1] == curve[-1][1] == 0


def test_a_curve_is_linear_between_its_points_and_held_beyond_its_ends() -> None:
    curve = PRESETS["lifepo4"].charge_curve
    assert curve_value(curve, -300.0) == 0
    assert curve_value(curve, 0.0) == 0
    assert curve_value(curve, 0.5) == pytest.approx(0.025)
    assert curve_value(curve, 7.5) == pytest.approx(0.21)
    assert curve_value(curve, 47.5) == pytest.approx(0.375)
    assert curve_value(curve, 300.0) == 0


def test_an_override_replaces_one_voltage_and_keeps_the_rest() -> None:
    cell = make_parameters(cell={"absorb_v": 3.48}).cell
    assert cell.absorb_v == 3.48
    assert cell.float_v == 3.375


@pytest.mark.parametrize(
    ("cell", "key"),
    [
        ({"float_v": 3.45}, "charge.cell.float_v"),
        ({"float_v": 3.47}, "charge.cell.float_v"),
        ({"taper_v": 3.41}, "charge.cell.taper_v"),
        ({"low_v": 3.36}, "charge.cell.low_v"),
        ({"discharge_stop_v": 3.05}, "charge.cell.discharge_stop_v"),
        ({"discharge_resume_v": 2.92}, "charge.cell.discharge_stop_v"),
        ({"absorb_v": 3.55}, "charge.cell.absorb_v"),
        ({"full_v": 3.7}, "charge.cell.full_v"),
        ({"v_absorb": 3.4}, "charge.cell.v_absorb"),
    ],
)
def test_contradictions_are_refused_with_the_key(cell: dict[str, float], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_parameters(cell=cell)
    assert key in [problem.key for problem in caught.value.problems]


def test_every_problem_is_reported_at_once_and_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        make_parameters(cell={"absorb": 3.4, "float_v": 3.46, "taper_v": 3.44})
    keys = [problem.key for problem in caught.value.problems]
    assert {"charge.cell.absorb", "charge.cell.float_v", "charge.cell.taper_v"} <= set(keys)
    assert all(name in caught.value.problems[0].allowed for name in CELL_KEYS)


def test_ages_and_the_choice_for_stale_dcl_come_from_the_configuration() -> None:
    parameters = make_parameters(stale_dcl="zero")
    assert parameters.stale_discharge_zero
    assert (parameters.frozen_after_s, parameters.stale_after_s) == (3, 10)
    assert (parameters.alarm_after_s, parameters.lost_after_s) == (20, 30)
