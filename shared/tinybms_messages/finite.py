"""NaN and infinity are no values: msgpack would carry them unnoticed."""

from __future__ import annotations

import math
from typing import Final

_PERHAPS_ENDLESS: Final = (b"\xcb\x7f", b"\xcb\xff", b"\xca\x7f", b"\xca\xff")
"""How each NaN and infinity begins in msgpack (64 and 32 bits); other bytes may look the same."""


def may_hold_endless(packed: bytes) -> bool:
    """Whether `packed` msgpack is worth a look by `require_finite`, which takes far longer.

    False is certain: there is neither NaN nor infinity.
    """
    return any(begin in packed for begin in _PERHAPS_ENDLESS)


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
