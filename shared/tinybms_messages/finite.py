"""NaN and infinity are no values: msgpack would carry them unnoticed."""

from __future__ import annotations

import math


def require_finite(value: object) -> None:
    """Raise ValueError when `value`, or anything inside it, is NaN or infinite."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no value")
    elif isinstance(value, dict):
        for item in value.values():
            require_finite(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            require_finite(item)
