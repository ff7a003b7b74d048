"""What a sample tells beside its stored fields."""

import msgspec
import pytest

from tinybms_messages.live import Sample


def sample(**changes: object) -> Sample:
    base = Sample(
        seq=1,
        boottime_ns=0,
        wall_ns=0,
        time_ok=True,
        cell_voltages_v=(3.31, 3.29, 3.35, 3.29),
        cells_balancing=(False,) * 4,
        pack_voltage_v=13.24,
        pack_current_a=-10.0,
        soc_pct=50.0,
        soh_pct=None,
        battery_temperature_c=21.0,
        external_temperature_1_c=None,
        external_temperature_2_c=None,
        internal_temperature_c=24.0,
        online_status_raw=0x93,
        online_status="discharging",
        time_to_go_s=None,
        lifetime_s=0,
    )
    return msgspec.structs.replace(base, **changes)


def test_cells_are_numbered_from_one_and_the_first_of_equals_is_named() -> None:
    assert sample().min_cell_id == 2
    assert sample().max_cell_id == 3
    assert sample().cell_count == 4


def test_power_is_negative_when_discharging() -> None:
    assert sample().power_w == pytest.approx(-132.4)


def test_the_board_counts_as_cell_temperature_only_when_no_probe_is_fitted() -> None:
    assert sample().cell_temperatures_c == ((0, 24.0),)
    assert sample(external_temperature_2_c=-1.5).cell_temperatures_c == ((2, -1.5),)
    both = sample(external_temperature_1_c=0.0, external_temperature_2_c=-1.5)
    assert both.cell_temperatures_c == ((1, 0.0), (2, -1.5))
    assert sample(internal_temperature_c=None).cell_temperatures_c == ()
