"""Register values as they were read: MQTT_REGISTER_VALUE and BMS_SETTINGS."""

from __future__ import annotations

import msgspec


class RegisterValue(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the register map, decoded.

    `raw`: the number as read (signed where the register is signed; floats times 100, rounded), None
    for text. `value`: in the unit of the register table, a name for an enumeration, None when the
    BMS says "not fitted".
    """

    key: str
    address: int
    raw: int | None
    value: float | int | str | None


class RegisterValues(msgspec.Struct, frozen=True, kw_only=True):
    """All register values of one poll cycle, sent after the LIVE_DATA numbered `live_seq`."""

    live_seq: int
    wall_ns: int
    values: tuple[RegisterValue, ...]


class BmsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings (300-343) and version (500-509) of the BMS when read or changed.

    `warnings`: sentences about values outside the register table's range; they are shown as read.
    """

    wall_ns: int
    settings_words: tuple[int, ...]
    version_words: tuple[int, ...]
    values: tuple[RegisterValue, ...]
    warnings: tuple[str, ...] = ()
