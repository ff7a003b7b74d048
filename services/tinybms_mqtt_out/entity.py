"""What Home Assistant is told of one value: its name, classes and how to read the topic."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Platform(StrEnum):
    """Kinds of entity that the gateway announces."""

    SENSOR = "sensor"
    BINARY_SENSOR = "binary_sensor"


class Follows(StrEnum):
    """What the availability of an entity follows."""

    BATTERY = "battery"
    """The gateway runs and the BMS's data are fresh or stale."""
    GATEWAY = "gateway"
    """The gateway runs."""


VALUE: Final = "{{ value_json.value }}"
"""null becomes the word None, which a numeric sensor takes as unknown."""

TEXT: Final = "{{ 'unknown' if value_json.value is none else value_json.value }}"
"""A sensor of text would show the word None."""

ON_IF_POSITIVE: Final = "{{ 'ON' if value_json.value | float(0) > 0 else 'OFF' }}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One entity; the unit is that of its topic unless `unitless`.

    `topic` is the suffix that it reads when that is not its own key. `repeated`: the topic comes
    again within a known time, so that Home Assistant may take its silence for a failure.
    `attributes` is a template that makes a JSON object.
    """

    name: str
    platform: Platform = Platform.SENSOR
    device_class: str | None = None
    state_class: str | None = None
    precision: int | None = None
    options: tuple[str, ...] = ()
    diagnostic: bool = False
    enabled: bool = True
    unitless: bool = False
    template: str | None = VALUE
    on: str | None = None
    off: str | None = None
    attributes: str | None = None
    topic: str | None = None
    repeated: bool = True
    follows: Follows = Follows.BATTERY
