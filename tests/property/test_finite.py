"""No NaN and no infinity passes the bus, however it is packed, and nothing else is refused."""

import math
import struct

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_messages.finite import may_hold_endless, require_finite

FINITE = st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    st.one_of(FINITE, st.integers(-(2**63), 2**63 - 1), st.text(), st.binary(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(), inner)),
    max_leaves=20,
)
ENDLESS = st.one_of(
    st.sampled_from([math.inf, -math.inf, math.nan]),
    # Every bit pattern of NaN: what lies behind the exponent is free.
    st.integers(1, 2**52 - 1).map(lambda rest: _double(0x7FF << 52 | rest)),
    st.integers(1, 2**52 - 1).map(lambda rest: _double(0xFFF << 52 | rest)),
)


def _double(bits: int) -> float:
    value: float = struct.unpack(">d", bits.to_bytes(8, "big"))[0]
    return value


@given(PLAIN, ENDLESS, PLAIN, st.booleans())
def test_each_endless_value_is_found(
    before: object, value: float, behind: object, single: bool
) -> None:
    plain = {"before": before, "values": [1.0, {"value": value}], "behind": behind}
    try:
        packed = msgpack.packb(plain, use_single_float=single)
    except OverflowError:  # a float of 64 bits that does not fit into 32
        packed = msgpack.packb(plain)
    assert may_hold_endless(packed)
    with pytest.raises(ValueError, match="is no value"):
        require_finite(plain)


@given(PLAIN)
def test_what_is_finite_is_never_refused(plain: object) -> None:
    require_finite(plain)


def test_most_messages_need_no_second_look() -> None:
    plain = {"cell_voltages_v": [3.3 + n / 1000 for n in range(16)], "pack_current_a": -123.4}
    assert not may_hold_endless(msgpack.packb(plain))
