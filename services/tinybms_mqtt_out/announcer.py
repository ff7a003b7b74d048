"""When which discovery message goes out: announced, repeated, changed and withdrawn in steps.

Home Assistant forgets an entity of a device only when it is told so by name, and drops what comes
in the first moments after discovery. So a change is a plan of steps a second apart, and what was
announced is remembered over restarts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from tinybms_messages.live import Identity
from tinybms_mqtt_out.discovery import Battery, Discovery, Document, searched
from tinybms_mqtt_out.entity import Platform
from tinybms_mqtt_out.publication import Kind, Publication

STEP_S: Final = 1.0
"""Between two steps of a plan, and from the last one to the full set of values."""

SEARCH_S: Final = 3.0
"""How long the broker may take to hand out what it has retained."""

LONGEST_BIRTH_DELAY_S: Final = 30.0
SHORTEST_BIRTH_DELAY_S: Final = 1.0

_MIGRATE: Final = b'{"migrate_discovery":true}'


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What must survive a restart: the battery, and the entities of each announced topic."""

    battery: Battery | None = None
    announced: dict[str, dict[str, Platform]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is to be done now. `full_set`: publish every value and the retained words again."""

    publications: tuple[Publication, ...] = ()
    full_set: bool = False


Announced = dict[str, dict[str, Platform]]


class Announcer:
    """Decides over the discovery topics of one device; `now_s` is CLOCK_BOOTTIME in seconds.

    `birth_delay_s` gives a random time to wait after Home Assistant's birth message, so that many
    gateways do not answer it at once.
    """

    def __init__(
        self, discovery: Discovery, memory: Memory, *, birth_delay_s: Callable[[], float]
    ) -> None:
        self.memory = memory
        self._discovery = discovery
        self._birth_delay_s = birth_delay_s
        self._online = False
        self._again_s: float | None = None
        self._plan: deque[tuple[float, Step]] = deque()
        self._finished: Announced | None = None
        self._search_until_s: float | None = None
        self._filters: tuple[str, ...] = ()
        self._found: dict[str, bytes] = {}

    def searches(self) -> tuple[str, ...]:
        """Topic filters to subscribe to at each connection."""
        return self._discovery.searches(self.memory.battery)

    def connected(self, now_s: float) -> None:
        """A new connection: the broker may have lost everything that it had retained."""
        self._online = True
        self._again_s = None
        self._found.clear()
        self._filters = self.searches()
        self._search_until_s = now_s + SEARCH_S
        self._make_plan(now_s, full_set=False)

    def disconnected(self) -> None:
        """The connection is gone, and with it what was planned."""
        self._online = False
        self._again_s = self._search_until_s = None
        self._plan.clear()

    def battery_is(self, identity: Identity | None, cell_count: int, now_s: float) -> None:
        """Which battery is there and how many cells it has, as far as is known."""
        if identity is None:
            return
        before = self.memory.battery
        same = before is not None and before.serial_number == identity.serial_number
        if same and before is not None and cell_count == 0:
            cell_count = before.cell_count
        battery = Battery.of(identity, cell_count)
        if battery == before:
            return
        self._remember(battery=battery)
        if self._online:
            self._make_plan(now_s, full_set=True)

    def born(self, now_s: float) -> None:
        """Home Assistant says that it has started."""
        if self._online and self._again_s is None:
            self._again_s = now_s + self._birth_delay_s()

    def heard(self, topic: str, payload: bytes) -> None:
        """A retained discovery message of the broker."""
        if self._search_until_s is not None and payload and searched(topic, self._filters):
            self._found[topic] = payload

    def tick(self, now_s: float) -> Step | None:
        """The step that is due now; to be called a few times a second while online."""
        if self._again_s is not None and now_s >= self._again_s and not self._plan:
            self._again_s = None
            self._make_plan(now_s, full_set=True)
        if self._search_until_s is not None and now_s >= self._search_until_s and not self._plan:
            self._search_until_s = None
            self._withdraw_strays(now_s)
        if not self._plan or now_s < self._plan[0][0]:
            return None
        step = self._plan.popleft()[1]
        if not self._plan and self._finished is not None:
            self._remember(announced=self._finished)
            self._finished = None
        return step

    def withdraw_all(self) -> tuple[Publication, ...]:
        """Empty messages for all that was ever announced; the memory of it is gone with them."""
        topics = self.memory.announced
        self._remember(announced={})
        return tuple(_retained(topic, b"") for topic in topics)

    def _make_plan(self, now_s: float, *, full_set: bool) -> None:
        battery = self.memory.battery
        if battery is None:
            return
        wanted = self._discovery.documents(battery)
        before = self.memory.announced
        steps = _steps(wanted, before)
        self._finished = {topic: dict(one.entities) for topic, one in wanted.items()}
        # Until the last step is out, what was there before counts as still there.
        self._remember(announced=_union(before, self._finished))
        self._lay_out(steps, now_s, full_set=full_set or len(steps) > 1)

    def _lay_out(
        self, steps: list[tuple[Publication, ...]], now_s: float, *, full_set: bool
    ) -> None:
        self._plan.clear()
        for number, publications in enumerate(steps):
            self._plan.append((now_s + number * STEP_S, Step(publications=publications)))
        if full_set:
            self._plan.append((now_s + len(steps) * STEP_S, Step(full_set=True)))

    def _withdraw_strays(self, now_s: float) -> None:
        """Clear what a gateway with our root announced and nobody remembers."""
        strays = tuple(
            _retained(topic, b"")
            for topic, payload in self._found.items()
            if topic not in self.memory.announced and self._discovery.is_ours(payload)
        )
        self._found.clear()
        if strays:
            self._plan.append((now_s, Step(publications=strays)))

    def _remember(
        self, *, battery: Battery | None = None, announced: Announced | None = None
    ) -> None:
        self.memory = Memory(
            battery=self.memory.battery if battery is None else battery,
            announced=self.memory.announced if announced is None else announced,
        )


def _steps(wanted: Mapping[str, Document], before: Announced) -> list[tuple[Publication, ...]]:
    """The messages that lead from `before` to `wanted`, in their order."""
    publish = tuple(_retained(topic, one.payload) for topic, one in wanted.items())
    obsolete = [topic for topic in before if topic not in wanted]
    if obsolete:
        clear = tuple(_retained(topic, b"") for topic in obsolete)
        if _is_move(wanted, {topic: before[topic] for topic in obsolete}):
            return [tuple(_retained(topic, _MIGRATE) for topic in obsolete), publish, clear]
        return [clear, publish]
    removed = {
        topic: {key: kind for key, kind in before[topic].items() if key not in one.entities}
        for topic, one in wanted.items()
        if topic in before
    }
    if not any(removed.values()):
        return [publish]
    farewell = tuple(
        _retained(topic, one.removing(removed.get(topic, {}))) for topic, one in wanted.items()
    )
    return [farewell, publish]


def _is_move(wanted: Mapping[str, Document], obsolete: Announced) -> bool:
    """Whether topics of single entities become one device, so that their history goes along."""
    moved = {key: topic for topic, entities in obsolete.items() for key in entities}
    return all(topic.endswith(f"/{key}/config") for key, topic in moved.items()) and all(
        "components" in one.body and moved.keys() <= one.entities.keys() for one in wanted.values()
    )


def _union(one: Announced, other: Announced) -> Announced:
    return {topic: {**one.get(topic, {}), **other.get(topic, {})} for topic in {**one, **other}}


def _retained(topic: str, payload: bytes) -> Publication:
    return Publication(topic=topic, payload=payload, qos=1, retain=True, kind=Kind.STATUS)
