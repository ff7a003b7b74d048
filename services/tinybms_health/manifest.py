"""`/api/manifest`: each figure of the API with its unit, TinyBMS register, GX path and metric."""

from __future__ import annotations

import msgspec

from tinybms_health.values import PACK_VALUES, PackValue
from tinybms_protocol.registers import BY_KEY


class GxPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a GX keeps the figure: D-Bus path, and Modbus unit and register."""

    service: str
    path: str
    unit: int
    register: int


class ManifestEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `register` is its TinyBMS address, None when it is computed."""

    key: str
    label: str
    unit: str
    metric: str
    history: bool
    register_key: str | None
    register: int | None
    gx: tuple[GxPlace, ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All figures."""

    schema: int = 1
    version: str
    device: str
    values: tuple[ManifestEntry, ...]


def manifest(version: str, device: str) -> Manifest:
    """The manifest of this version."""
    return Manifest(
        version=version, device=device, values=tuple(_entry(value) for value in PACK_VALUES)
    )


def _entry(value: PackValue) -> ManifestEntry:
    register = BY_KEY[value.register_key] if value.register_key is not None else None
    return ManifestEntry(
        key=value.key,
        label=value.label,
        unit=value.unit,
        metric=value.metric,
        history=value.in_history,
        register_key=value.register_key,
        register=register.address if register is not None else None,
        gx=tuple(
            GxPlace(service=row.service.value, path=row.path, unit=row.unit, register=row.register)
            for row in value.gx
        ),
    )
