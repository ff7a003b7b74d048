"""Register table, event log 200-299. `events.py` says what the numbers mean."""

from __future__ import annotations

from functools import partial
from typing import Final

from tinybms_protocol.register_model import Register, RegisterGroup, RegisterType

EVENT_SLOTS: Final = 49

_row = partial(
    Register,
    group=RegisterGroup.EVENTS,
    words=2,
    source="TinyBMS protocol Rev D, register map, events",
)

EVENT_REGISTERS: Final[tuple[Register, ...]] = (
    *(
        _row(
            key=f"event_{slot:02d}",
            label=f"Event Slot {slot}",
            address=200 + 2 * slot,
            type=RegisterType.EVENT,
        )
        for slot in range(EVENT_SLOTS)
    ),
    _row(
        key="reserved_298_299",
        label="Reserved 298-299",
        address=298,
        type=RegisterType.RESERVED,
    ),
)
