"""Each limit in one sentence, with the same next step as the table that made the limit."""

from __future__ import annotations

import pytest

from fake_charge import PARAMETERS, make_measurement, one_cell, settled
from fake_live import fake_live
from tinybms_charge.ageing import aged
from tinybms_charge.measurement import Measurement
from tinybms_charge.presets import PRESETS, curve_value, next_point_c
from tinybms_charge.reasons import ReasonCode
from tinybms_charge.sentences import JOINED_BY


def test_every_reason_has_its_words_in_the_table() -> None:
    assert set(JOINED_BY) == set(ReasonCode)


@pytest.mark.parametrize(
    ("measurement", "sentence"),
    [
        (
            make_measurement(temperature_c=3.4),
            "Charge limited to 25.7 A by low temperature (probe 1, 3.4 °C); next step at 5 °C",
        ),
        (
            make_measurement(temperature_c=-3.0),
            "Charge stopped by low temperature (probe 1, -3.0 °C); next step at 3 °C",
        ),
        (
            make_measurement(temperature_c=51.0),
            "Charge limited to 56.0 A by high temperature (probe 1, 51.0 °C); next step at 50 °C",
        ),
        (
            make_measurement(temperature_c=56.0),
            "Charge stopped by high temperature (probe 1, 56.0 °C); next step at 53 °C",
        ),
        (
            make_measurement(cell_voltages_v=one_cell(3.45)),
            "Charge limited to 5.6 A by high cell (cell 6, 3.450 V); next step at 3.400 V",
        ),
        (
            make_measurement(cell_voltages_v=one_cell(3.6)),
            "Charge stopped by high cell (cell 6, 3.600 V); next step at 3.540 V",
        ),
        (make_measurement(), "Charge limited to 60.0 A by charge.max_charge_current_a (60 A)"),
    ],
)
def test_the_limit_of_charge_in_words(measurement: Measurement, sentence: str) -> None:
    assert settled(measurement).limits.charge_sentence == sentence


def test_the_limits_of_discharge_and_voltage_in_words() -> None:
    low = settled(make_measurement(cell_voltages_v=one_cell(2.85))).limits
    assert low.discharge_sentence == (
        "Discharge stopped by low cell (cell 6, 2.850 V), held; next step at 3.150 V"
    )
    assert low.voltage_sentence == (
        "Charge voltage limited to 55.2 V by the charge target (3.450 V per cell)"
    )


@pytest.mark.parametrize("name", PRESETS)
def test_the_next_step_is_a_point_of_the_curve_where_the_current_bends(name: str) -> None:
    curve = PRESETS[name].charge_curve
    for celsius, current in curve:
        assert next_point_c(curve, celsius - 0.1, warmer=True) == celsius
        assert next_point_c(curve, celsius + 0.1, warmer=False) == celsius
        assert curve_value(curve, celsius) == current


def test_old_data_change_the_sentences_with_the_limits() -> None:
    limits = settled(make_measurement()).limits
    live = fake_live(limits=limits)
    fresh, stale = (aged(live, age_s, PARAMETERS).limits for age_s in (9.9, 10.0))
    assert fresh is not None
    assert stale is not None
    assert fresh.charge_sentence == limits.charge_sentence
    assert stale.charge_sentence == (
        "Charge stopped because there is no data from the BMS for 10 s or more"
    )
    assert stale.discharge_sentence == limits.discharge_sentence
