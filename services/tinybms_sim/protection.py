"""Protections of the simulated BMS: which faults and warnings are active, and what they switch off.

Source: TinyBMS user manual Rev D, protection table (dual port).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tinybms_sim import image as reg
from tinybms_sim.battery import Pack
from tinybms_sim.events import Event
from tinybms_sim.image import Image

STATUS_CHARGING, STATUS_DISCHARGING, STATUS_IDLE, STATUS_FAULT = 0x91, 0x93, 0x97, 0x9B
_LAST_FAULT = 0x30
_BOARD_LIMIT_C = 90.0
_COLDEST_C = -40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """One protection: when it holds, the event that ends it, what it counts and switches off."""

    event: Event
    ended_by: Event
    holds: Callable[[Pack, Image], bool]
    counter: int | None = None
    stops_charge: bool = True
    stops_discharge: bool = True
    latched: bool = False


def _cells_over(pack: Pack, image: Image, setting: int) -> bool:
    return max(pack.cell_voltages_v) * 1000 > image[setting]


def _cells_under(pack: Pack, image: Image, setting: int) -> bool:
    return min(pack.cell_voltages_v) * 1000 < image[setting]


def _too_hot(pack: Pack, image: Image) -> bool:
    hot = max(pack.temperatures_c) > reg.signed(image[reg.OVER_HEAT])
    return hot or pack.board_temp_c > _BOARD_LIMIT_C


_RULES = (
    _Rule(
        event=Event.FULLY_DISCHARGED,
        ended_by=Event.FULLY_DISCHARGED_ENDED,
        holds=lambda pack, image: _cells_under(pack, image, reg.FULLY_DISCHARGED),
        stops_charge=False,
    ),
    _Rule(
        event=Event.UNDER_VOLTAGE,
        ended_by=Event.UNDER_VOLTAGE_ENDED,
        holds=lambda pack, image: _cells_under(pack, image, reg.UNDER_VOLTAGE),
        counter=reg.UNDER_VOLTAGE_COUNT,
        latched=True,
    ),
    _Rule(
        event=Event.OVER_VOLTAGE,
        ended_by=Event.OVER_VOLTAGE_ENDED,
        holds=lambda pack, image: _cells_over(pack, image, reg.OVER_VOLTAGE),
        counter=reg.OVER_VOLTAGE_COUNT,
        stops_discharge=False,
    ),
    _Rule(
        event=Event.OVER_TEMPERATURE,
        ended_by=Event.OVER_TEMPERATURE_ENDED,
        holds=_too_hot,
        counter=reg.OVER_HEAT_COUNT,
    ),
    _Rule(
        event=Event.TOO_COLD_TO_CHARGE,
        ended_by=Event.TOO_COLD_TO_CHARGE_ENDED,
        holds=lambda p, image: min(p.temperatures_c) < reg.signed(image[reg.LOW_TEMP_CHARGE]),
        stops_discharge=False,
    ),
    _Rule(
        event=Event.TOO_COLD,
        ended_by=Event.TOO_COLD_ENDED,
        holds=lambda pack, _: min(pack.temperatures_c) < _COLDEST_C,
    ),
    _Rule(
        event=Event.DISCHARGE_OVER_CURRENT,
        ended_by=Event.DISCHARGE_OVER_CURRENT_ENDED,
        holds=lambda pack, image: -pack.current_a > image[reg.DISCHARGE_OC],
        counter=reg.DISCHARGE_OC_COUNT,
        stops_charge=False,
    ),
    _Rule(
        event=Event.CHARGE_OVER_CURRENT,
        ended_by=Event.CHARGE_OVER_CURRENT_ENDED,
        holds=lambda pack, image: pack.current_a > image[reg.CHARGE_OC],
        counter=reg.CHARGE_OC_COUNT,
        stops_discharge=False,
    ),
)


class Protections:
    """Active faults and warnings; a fault ends after the recovery time of register 332."""

    def __init__(self) -> None:
        self._active: dict[Event, float] = {}
        self._charger_seen = False

    @property
    def fault(self) -> bool:
        """Whether a fault (not only a warning) is active."""
        return any(event <= _LAST_FAULT for event in self._active)

    @property
    def active(self) -> tuple[Event, ...]:
        """Faults and warnings, in the order in which they came."""
        return tuple(self._active)

    @property
    def over_current(self) -> bool:
        """Whether an over-current fault is active, which keeps the BMS awake."""
        return bool(self._active.keys() & {Event.DISCHARGE_OVER_CURRENT, Event.CHARGE_OVER_CURRENT})

    def connect_charger(self) -> None:
        """A charger was connected: the under-voltage fault may end once the cells allow."""
        self._charger_seen = True

    def restart(self) -> None:
        """Forget every fault, as a restart of the BMS does."""
        self._active.clear()

    def step(self, pack: Pack, image: Image, now_s: float) -> list[Event]:
        """Events of this moment: what began and what ended. Counts in the statistics registers."""
        edges: list[Event] = []
        for rule in _RULES:
            holds = rule.holds(pack, image)
            if rule.event not in self._active:
                if holds:
                    self._begin(rule, image, now_s)
                    edges.append(rule.event)
            elif holds:
                self._active[rule.event] = now_s
            elif self._may_end(rule, image, now_s):
                del self._active[rule.event]
                edges.append(rule.ended_by)
        self._charger_seen = self._charger_seen and Event.UNDER_VOLTAGE in self._active
        return edges

    def limited(self, pack: Pack) -> Pack:
        """The pack with the current that the open switches leave."""
        current_a = pack.current_a
        for rule in _RULES:
            if rule.event in self._active:
                current_a = min(current_a, 0.0) if rule.stops_charge else current_a
                current_a = max(current_a, 0.0) if rule.stops_discharge else current_a
        return replace(pack, current_a=current_a)

    def status(self, pack: Pack) -> int:
        """The online status that goes with a pack."""
        if self.fault:
            return STATUS_FAULT
        if pack.current_a > 0:
            return STATUS_CHARGING
        return STATUS_DISCHARGING if pack.current_a < 0 else STATUS_IDLE

    def _begin(self, rule: _Rule, image: Image, now_s: float) -> None:
        self._active[rule.event] = now_s
        if rule.counter is not None:
            image[rule.counter] += 1

    def _may_end(self, rule: _Rule, image: Image, now_s: float) -> bool:
        if rule.latched:
            return self._charger_seen
        recovery_s = image[reg.RECOVERY_S] & 0xFF
        return recovery_s > 0 and now_s - self._active[rule.event] >= recovery_s
