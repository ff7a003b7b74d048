"""Steps of the published limits, 0.1 V and 0.1 A (Victron CAN-bus BMS protocol 2021)."""

from __future__ import annotations

import math
from typing import Final

STEP: Final = 0.1

_SLACK: Final = 1e-6
"""So that 55.2, which is 55.1999... in binary, stays 55.2."""


def floor_tenth(value: float) -> float:
    """`value` rounded down to a tenth: a limit is never rounded up."""
    return math.floor(value * 10 + _SLACK) / 10


def ceil_tenth(value: float) -> float:
    """`value` rounded up to a tenth, for a lower bound."""
    return math.ceil(value * 10 - _SLACK) / 10
