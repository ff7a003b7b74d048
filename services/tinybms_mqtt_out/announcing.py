"""Home Assistant discovery in the running process: the announcer with its file and its messages."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import msgspec

from tinybms_messages.live import Identity
from tinybms_mqtt_out.announcer import (
    LONGEST_BIRTH_DELAY_S,
    SHORTEST_BIRTH_DELAY_S,
    Announcer,
    Memory,
    Step,
)
from tinybms_mqtt_out.discovery import Discovery
from tinybms_mqtt_out.events import Received
from tinybms_runtime.outage import Outage
from tinybms_runtime.paths import Paths
from tinybms_runtime.runner import ServiceContext
from tinybms_runtime.statefile import read_bytes, write_atomic

FILE_NAME: Final = "announced.json"
_BORN: Final = b"online"


class Announcing:
    """Keeps Home Assistant's picture of the battery right while mqtt_out runs."""

    def __init__(self, context: ServiceContext, discovery: Discovery) -> None:
        self._context = context
        self._status_topic = f"{context.config.mqtt.discovery_prefix}/status"
        self._file = memory_file(context.paths)
        self._saved = self._load()
        self._outage = Outage()
        self._announcer = Announcer(discovery, self._saved, birth_delay_s=_birth_delay_s)

    def connected(self) -> tuple[str, ...]:
        """A new connection stands; the topic filters that it needs."""
        self._announcer.connected(self._now_s())
        return (self._status_topic, *self._announcer.searches())

    def disconnected(self) -> None:
        """The connection is gone."""
        self._announcer.disconnected()

    def received(self, message: Received) -> None:
        """A message of one of our subscriptions."""
        if message.topic == self._status_topic:
            # A retained one is old news: everything is announced at each connection anyway.
            if message.payload == _BORN and not message.retained:
                self._announcer.born(self._now_s())
        elif message.retained:
            self._announcer.heard(message.topic, message.payload)

    def battery_is(self, identity: Identity | None, cell_count: int) -> None:
        """Which battery is there, as far as is known."""
        self._announcer.battery_is(identity, cell_count, self._now_s())
        self._save()

    def tick(self) -> Step | None:
        """What is to be sent now."""
        step = self._announcer.tick(self._now_s())
        self._save()
        return step

    def _now_s(self) -> float:
        return self._context.clock.boottime_ns() / 1e9

    def _load(self) -> Memory:
        try:
            return load_memory(self._file)
        except (OSError, msgspec.DecodeError) as error:
            self._context.log.warning("%s is of no use and begun anew: %s", self._file, error)
            return Memory()

    def _save(self) -> None:
        if self._announcer.memory == self._saved:
            return
        try:
            write_atomic(self._file, msgspec.json.encode(self._announcer.memory), durable=True)
        except OSError as error:
            if self._outage.begin(self._now_s(), str(error)):
                self._context.log.warning("%s can't be written: %s", self._file, error.strerror)
            return
        self._outage.end(self._now_s())
        self._saved = self._announcer.memory


def memory_file(paths: Paths) -> Path:
    """Where it is kept what was announced."""
    return paths.state_file(FILE_NAME)


def load_memory(file: Path) -> Memory:
    """What was announced so far. Raises OSError or msgspec.DecodeError."""
    data = read_bytes(file)
    return Memory() if data is None else msgspec.json.decode(data, type=Memory)


def _birth_delay_s() -> float:
    return random.SystemRandom().uniform(SHORTEST_BIRTH_DELAY_S, LONGEST_BIRTH_DELAY_S)
