"""The numbers that a GX would hold, at the scales where its registers differ from each other."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_victron.gx import BY_REGISTER, GX_REGISTERS, GxRegister, GxService, GxType, gx_raw


@pytest.mark.parametrize(
    ("register", "value", "raw"),
    [
        (266, 63.4, 634),
        (843, 63.4, 63),
        (259, 52.71, 5271),
        (840, 52.71, 527),
        (261, -123.4, -1234),
        (841, 0.05, 1),
        (256, -40_000.0, -40_000),
        (258, -40_000.0, -32_768),
        (842, 40_000.0, 32_767),
        (262, -20.5, -205),
        (265, -87.3, 873),
        (845, -87.3, 873),
        (265, 5.0, 0),
        (286, 4321.6, 43_216),
        (286, 9000.0, 65_535),
        (303, 12_345, 123),
        (846, 250, 3),
        (289, 86_400, 864),
        (305, 56.8, 568),
        (307, 0.0, 0),
        (309, 305.0, 3050),
        (302, 1234.5, 12_345),
        (1290, 3.2041, 320),
        (1301, 3.65, 365),
        (1306, 3, "3"),
        (1310, "ninecells", "ninecell"),
        (268, 2, 2),
    ],
)
def test_a_register_holds(register: int, value: float | str, raw: int | str) -> None:
    assert gx_raw(BY_REGISTER[register], value) == raw


def test_halves_are_rounded_away_from_zero_even_when_the_product_falls_short() -> None:
    assert gx_raw(BY_REGISTER[307], 1.15) == 12
    assert gx_raw(BY_REGISTER[841], -1.15) == -12


def test_an_unknown_value_is_never_a_number() -> None:
    for row in GX_REGISTERS:
        assert gx_raw(row, None) is None
    assert gx_raw(BY_REGISTER[259], math.nan) is None
    assert gx_raw(BY_REGISTER[844], "charging") is None


def test_each_register_is_listed_once_under_its_unit() -> None:
    assert len(BY_REGISTER) == len(GX_REGISTERS)
    for row in GX_REGISTERS:
        assert row.unit == (100 if 840 <= row.register <= 846 else 225)
        assert row.service is (GxService.SYSTEM if row.unit == 100 else GxService.BATTERY)


@given(st.sampled_from(GX_REGISTERS), st.floats(allow_nan=False))
def test_any_number_fits_its_register(row: GxRegister, value: float) -> None:
    raw = gx_raw(row, value)
    if row.type is GxType.STRING:
        assert isinstance(raw, str)
        assert len(raw) <= 2 * row.words
        return
    assert isinstance(raw, int)
    lowest, highest = {
        GxType.UINT16: (0, 65_535),
        GxType.INT16: (-32_768, 32_767),
        GxType.INT32: (-(2**31), 2**31 - 1),
    }[row.type]
    assert lowest <= raw <= highest
