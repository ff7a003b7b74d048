"""The manifest: every topic with where its value comes from and where a GX keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from tinybms_mqtt_out.model import ValueTopic
from tinybms_victron.gx import GxRegister


def manifest(
    topics: Sequence[ValueTopic], *, root: str, qos_of: Callable[[ValueTopic], int]
) -> bytes:
    """The retained JSON list of all `topics` under `root`."""
    return msgspec.json.encode([_entry(topic, root, qos_of(topic)) for topic in topics])


def _entry(topic: ValueTopic, root: str, qos: int) -> dict[str, object]:
    first = topic.gx[0] if topic.gx else None
    entry: dict[str, object] = {
        "topic": f"{root}/{topic.suffix}",
        "key": topic.suffix,
        "label": topic.label,
        "unit": topic.unit,
        "group": topic.group.value,
        "register_key": topic.register_key,
        "address": topic.address,
        "raw_scale": topic.raw_scale,
        "dbus_path": None if first is None else first.path,
        "modbus_address": None if first is None else first.register,
        "gx": [_gx_entry(row) for row in topic.gx],
        "qos": qos,
        "retain": False,
        "critical": topic.critical,
    }
    if topic.legacy_suffix is not None:
        entry["legacy"] = topic.legacy_suffix
    if topic.note is not None:
        entry["note"] = topic.note
    return entry


def _gx_entry(row: GxRegister) -> dict[str, object]:
    return {
        "service": row.service.value,
        "path": row.path,
        "unit": row.unit,
        "register": row.register,
        "type": row.type.value,
        "words": row.words,
        "scale": row.scale,
        "sign": row.sign.value,
    }
