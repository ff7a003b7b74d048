"""Alarms: one table from the BMS's events, one from what is measured; all names always present.

Levels: 0 all is well, 1 warning, 2 alarm. `bms_cable` is raised by `aged`, for only the age of the
data tells. Names and levels per event: Victron's list of battery alarms, and the meaning of the
event in TinyBMS protocol Rev D.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tinybms_charge.envelope import Envelope
from tinybms_charge.faults import UNKNOWN_FAULT_TEXT, FaultView
from tinybms_charge.latches import Latches, held_s
from tinybms_charge.reading import Reading
from tinybms_charge.state import AlarmMemory
from tinybms_messages.live import Alarm, AlarmName
from tinybms_protocol.events import EventClass, kind_of

WARNING: Final = 1
ALARM: Final = 2

_SWITCH_OR_SENSOR: Final = ((AlarmName.INTERNAL_FAILURE, ALARM),)

EVENT_ALARMS: Final = MappingProxyType(
    {
        0x02: ((AlarmName.LOW_CELL_VOLTAGE, ALARM), (AlarmName.LOW_VOLTAGE, ALARM)),
        0x03: ((AlarmName.HIGH_VOLTAGE, ALARM),),
        0x04: ((AlarmName.HIGH_TEMPERATURE, ALARM),),
        0x05: ((AlarmName.HIGH_DISCHARGE_CURRENT, ALARM),),
        0x06: ((AlarmName.HIGH_CHARGE_CURRENT, ALARM),),
        0x07: ((AlarmName.HIGH_CHARGE_CURRENT, ALARM),),
        0x0A: ((AlarmName.LOW_TEMPERATURE, ALARM),),
        0x0B: _SWITCH_OR_SENSOR,
        0x0C: _SWITCH_OR_SENSOR,
        0x0D: _SWITCH_OR_SENSOR,
        0x0E: _SWITCH_OR_SENSOR,
        0x0F: _SWITCH_OR_SENSOR,
        0x31: ((AlarmName.LOW_CELL_VOLTAGE, WARNING), (AlarmName.LOW_VOLTAGE, WARNING)),
        0x37: ((AlarmName.LOW_CHARGE_TEMPERATURE, WARNING),),
    }
)
"""Event: alarms with their levels. A fault that is not listed is an internal failure."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules look at."""

    reading: Reading
    latches: Latches
    bounds: Envelope
    coldest_c: float | None
    hottest_c: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One measured alarm: `excess(facts)` >= 0 for `hold_s` raises it, < -release clears it.

    None: not known, the rule stays as it is. `also`: a second alarm that goes with it.
    """

    key: str
    name: AlarmName
    level: int
    excess: Callable[[Facts], float | None]
    text: Callable[[Facts], str]
    hold_s: float = 0.0
    release: float = 0.0
    also: AlarmName | None = None


def _cells(value: Callable[[Facts], float]) -> Callable[[Facts], float | None]:
    return lambda facts: None if facts.reading.bad else value(facts)


def _latch(value: Callable[[Latches], bool]) -> Callable[[Facts], float | None]:
    return lambda facts: 0.0 if value(facts.latches) else -1.0


def _soc_below(threshold_pct: float) -> Callable[[Facts], float | None]:
    def excess(facts: Facts) -> float | None:
        soc_pct = facts.reading.soc_pct
        return None if soc_pct is None else threshold_pct - soc_pct

    return excess


def _hotter_than(margin_c: float) -> Callable[[Facts], float | None]:
    def excess(facts: Facts) -> float | None:
        hottest_c = facts.hottest_c
        return None if hottest_c is None else hottest_c - (facts.bounds.heat.over_heat_c - margin_c)

    return excess


def _charging_over(facts: Facts) -> float | None:
    current_a = facts.reading.current_a
    threshold_a = NEAR_CUTOFF * facts.bounds.current.charge_over_current_a
    return None if current_a is None else (current_a - threshold_a if threshold_a else -1.0)


def _discharging_over(facts: Facts) -> float | None:
    current_a = facts.reading.current_a
    threshold_a = NEAR_CUTOFF * facts.bounds.current.discharge_over_current_a
    return None if current_a is None else (-current_a - threshold_a if threshold_a else -1.0)


def _low_text(facts: Facts) -> str:
    return f"cell {facts.reading.lowest_cell} at {facts.reading.lowest_v:.3f} V"


def _high_text(facts: Facts) -> str:
    return f"cell {facts.reading.highest_cell} at {facts.reading.highest_v:.3f} V"


def _soc_text(facts: Facts) -> str:
    return f"SoC {facts.reading.soc_pct or 0.0:.0f} %"


def _cold_text(facts: Facts) -> str:
    return f"{facts.coldest_c or 0.0:.1f} °C"


def _hot_text(facts: Facts) -> str:
    return f"{facts.hottest_c or 0.0:.1f} °C"


def _current_text(facts: Facts) -> str:
    return f"{abs(facts.reading.current_a or 0.0):.1f} A"


def _spread_text(facts: Facts) -> str:
    return f"cells differ by {facts.reading.spread_v * 1000:.0f} mV"


NEAR_CUTOFF: Final = 0.95
"""A current over this share of the BMS's cut-off is a warning."""

RULES: Final = (
    # A limit at 0 for a cell must never be silent: the owner would look for the fault elsewhere.
    Rule(
        key="low_cell_latched",
        name=AlarmName.LOW_CELL_VOLTAGE,
        also=AlarmName.LOW_VOLTAGE,
        level=WARNING,
        excess=_latch(lambda latches: latches.low_cell),
        text=lambda facts: f"discharge stopped, {_low_text(facts)}",
    ),
    Rule(
        key="near_under_voltage",
        name=AlarmName.LOW_CELL_VOLTAGE,
        also=AlarmName.LOW_VOLTAGE,
        level=ALARM,
        excess=_cells(lambda f: f.bounds.under_voltage_v + 0.020 - f.reading.lowest_v),
        text=_low_text,
        hold_s=2.0,
        release=0.050,
    ),
    Rule(
        key="high_cell_stop",
        name=AlarmName.HIGH_VOLTAGE,
        level=WARNING,
        excess=_latch(lambda latches: latches.high_cell),
        text=lambda facts: f"charge stopped, {_high_text(facts)}",
    ),
    Rule(
        key="near_over_voltage",
        name=AlarmName.HIGH_VOLTAGE,
        level=ALARM,
        excess=_cells(lambda f: f.reading.highest_v - (f.bounds.over_voltage_v - 0.010)),
        text=_high_text,
        hold_s=2.0,
        release=0.030,
    ),
    # LFP packs differ by up to 100 mV at either knee in health; 150 mV that lasts is worth a look.
    Rule(
        key="imbalance_warning",
        name=AlarmName.CELL_IMBALANCE,
        level=WARNING,
        excess=_cells(lambda f: f.reading.spread_v - 0.150),
        text=_spread_text,
        hold_s=60.0,
        release=0.030,
    ),
    Rule(
        key="imbalance_alarm",
        name=AlarmName.CELL_IMBALANCE,
        level=ALARM,
        excess=_cells(lambda f: f.reading.spread_v - 0.300),
        text=_spread_text,
        hold_s=60.0,
        release=0.050,
    ),
    Rule(
        key="low_soc_warning",
        name=AlarmName.LOW_SOC,
        level=WARNING,
        excess=_soc_below(10.0),
        text=_soc_text,
        hold_s=10.0,
        release=3.0,
    ),
    Rule(
        key="low_soc_alarm",
        name=AlarmName.LOW_SOC,
        level=ALARM,
        excess=_soc_below(5.0),
        text=_soc_text,
        hold_s=10.0,
        release=2.0,
    ),
    Rule(
        key="charge_cold",
        name=AlarmName.LOW_CHARGE_TEMPERATURE,
        level=WARNING,
        excess=_latch(lambda latches: latches.charge_cold),
        text=lambda facts: f"charge stopped, {_cold_text(facts)}",
        hold_s=2.0,
    ),
    Rule(
        key="charge_hot",
        name=AlarmName.HIGH_CHARGE_TEMPERATURE,
        level=WARNING,
        excess=_latch(lambda latches: latches.charge_hot),
        text=lambda facts: f"charge stopped, {_hot_text(facts)}",
        hold_s=2.0,
    ),
    Rule(
        key="discharge_cold",
        name=AlarmName.LOW_TEMPERATURE,
        level=WARNING,
        excess=_latch(lambda latches: latches.discharge_cold),
        text=lambda facts: f"discharge stopped, {_cold_text(facts)}",
        hold_s=2.0,
    ),
    Rule(
        key="near_over_heat",
        name=AlarmName.HIGH_TEMPERATURE,
        level=WARNING,
        excess=_hotter_than(5.0),
        text=_hot_text,
        hold_s=5.0,
        release=2.0,
    ),
    Rule(
        key="over_heat",
        name=AlarmName.HIGH_TEMPERATURE,
        level=ALARM,
        excess=_hotter_than(0.0),
        text=_hot_text,
        hold_s=2.0,
        release=2.0,
    ),
    Rule(
        key="charge_current",
        name=AlarmName.HIGH_CHARGE_CURRENT,
        level=WARNING,
        excess=_charging_over,
        text=_current_text,
        hold_s=2.0,
        release=2.0,
    ),
    Rule(
        key="discharge_current",
        name=AlarmName.HIGH_DISCHARGE_CURRENT,
        level=WARNING,
        excess=_discharging_over,
        text=_current_text,
        hold_s=2.0,
        release=2.0,
    ),
    Rule(
        key="bad_reading",
        name=AlarmName.INTERNAL_FAILURE,
        level=ALARM,
        excess=lambda facts: 0.0 if facts.reading.bad else -1.0,
        text=lambda facts: facts.reading.bad,
        hold_s=2.0,
    ),
    Rule(
        key="unfit_settings",
        name=AlarmName.INTERNAL_FAILURE,
        level=ALARM,
        excess=lambda facts: 0.0 if facts.bounds.unfit else -1.0,
        text=lambda facts: facts.bounds.advisories[0],
    ),
)

_SILENT: Final = AlarmMemory()
_ALL_WELL: Final = {name: Alarm(name=name, level=0) for name in AlarmName}


def alarms_of(
    memory: dict[str, AlarmMemory], facts: Facts, faults: FaultView, dt_s: float
) -> tuple[tuple[Alarm, ...], dict[str, AlarmMemory]]:
    """(every alarm in the order of AlarmName, memory for the next step).

    A rule without memory begins to count its hold when it first sees its condition: a restart
    invents no alarm.
    """
    raised: dict[AlarmName, Alarm] = {}
    kept: dict[str, AlarmMemory] = {}
    for number in sorted(faults.event_ids):
        for name, level in _event_alarms(number):
            _raise(raised, name, level, kind_of(number).text)
    if faults.unknown:
        _raise(raised, AlarmName.INTERNAL_FAILURE, ALARM, UNKNOWN_FAULT_TEXT)
    for rule in RULES:
        entry = _advance(rule, memory.get(rule.key, _SILENT), rule.excess(facts), dt_s)
        if entry is _SILENT:
            continue
        kept[rule.key] = entry
        if entry.on:
            text = rule.text(facts)
            _raise(raised, rule.name, rule.level, text)
            if rule.also is not None:
                _raise(raised, rule.also, rule.level, text)
    return tuple([raised.get(name, well) for name, well in _ALL_WELL.items()]), kept


def _event_alarms(number: int) -> tuple[tuple[AlarmName, int], ...]:
    known = EVENT_ALARMS.get(number)
    if known is not None:
        return known
    return _SWITCH_OR_SENSOR if kind_of(number).event_class is EventClass.FAULT else ()


def _raise(raised: dict[AlarmName, Alarm], name: AlarmName, level: int, text: str) -> None:
    """Keep the highest level of an alarm; at the same level the first text stays."""
    before = raised.get(name)
    if before is None or level > before.level:
        raised[name] = Alarm(name=name, level=level, text=text)


def _advance(rule: Rule, entry: AlarmMemory, excess: float | None, dt_s: float) -> AlarmMemory:
    if excess is None:
        return entry
    if entry.on:
        return entry if excess >= -rule.release else _SILENT
    if excess < 0:
        return _SILENT
    waited_s = held_s(entry.held_s, dt_s, condition=True)
    return AlarmMemory(waited_s >= rule.hold_s, waited_s)
