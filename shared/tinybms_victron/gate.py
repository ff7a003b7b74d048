"""The gate in front of the CAN channel: nothing passes that is not known to be right.

It knows nothing about how a frame was made: it decodes the bytes and judges them, so that a fault
in what computes or encodes limits is stopped here. Bounds of single signals come from the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tinybms_messages.owner import LONGEST_SERVICE_S
from tinybms_victron import signals
from tinybms_victron.alarms import NEVER_SUPPORTED
from tinybms_victron.decode import decode
from tinybms_victron.encode import Value
from tinybms_victron.frames import BRAND, FAMILY_NAME
from tinybms_victron.signal_types import Frame, Number, Pair, PairState, Text

CVL_PER_CELL_V: Final[dict[str, tuple[float, float]]] = {
    "lifepo4": (2.8, 3.75),
    "nmc": (3.0, 4.3),
    "lto": (1.8, 2.95),
}
"""Sane charge voltages of one cell by chemistry, wider than any preset."""

DVL_PER_CELL_V: Final = 0.8
"""Lowest cut-off that a TinyBMS can be set to (register 316)."""

_CLOCK_SLACK_S: Final = -0.05
"""A sample may seem to lie this far in the future, by rounding between two clock readings."""

_SLACK_V: Final = 0.0501
_SLACK_A: Final = 0.0501
"""Half a step of 0x351: a bound may lie between two steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateContext:
    """What is true now, from another source than the frame itself.

    `data_age_s`: age of the sample that the frame was made from, None when there is none.
    `service`: the owner has asked for frames while the BMS is away.
    """

    data_age_s: float | None
    stale_after_s: float
    lost_after_s: float
    cell_count: int
    chemistry: str
    max_charge_current_a: float
    max_discharge_current_a: float
    service: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a frame may go out, and why not."""

    allowed: bool
    reason: str = ""


_ALLOWED: Final = Verdict(allowed=True)


def may_send(frame_id: int, data: bytes, context: GateContext) -> Verdict:
    """Judge one frame. Refuses whatever it does not know; never raises."""
    reason = _refusal(frame_id, data, context)
    return _ALLOWED if reason is None else Verdict(allowed=False, reason=reason)


def _refusal(frame_id: int, data: bytes, context: GateContext) -> str | None:
    frame = signals.BY_ID.get(frame_id)
    if frame is None:
        return f"0x{frame_id:X} is not ours to send"
    if len(data) not in frame.lengths:
        return f"0x{frame_id:03X}: {len(data)} bytes, allowed {frame.lengths}"
    return (
        _age_refusal(context)
        or _raw_refusal(frame, data)
        or _content_refusal(frame, decode(frame_id, data), context)
    )


def _age_refusal(context: GateContext) -> str | None:
    if context.data_age_s is None:
        return "no sample yet"
    lost_after_s = context.lost_after_s + (LONGEST_SERVICE_S if context.service else 0.0)
    if not _CLOCK_SLACK_S <= context.data_age_s <= lost_after_s:
        return f"sample is {context.data_age_s:.1f} s old, lost after {lost_after_s:g} s"
    return None


def _raw_refusal(frame: Frame, data: bytes) -> str | None:
    """Bounds, texts and pairs by the signal table, and zero in the bytes that no signal owns."""
    owned: set[int] = set()
    for field in frame.fields:
        if field.end > len(data):
            continue
        owned.update(range(field.offset, field.end))
        chunk = data[field.offset : field.end]
        if isinstance(field, Number):
            problem = _number_problem(field, chunk)
        elif isinstance(field, Text):
            problem = _text_problem(chunk)
        else:
            problem = _pair_problem(field, chunk[0])
        if problem is not None:
            return f"0x{frame.id:03X} {field.key}: {problem}"
    if any(data[position] for position in range(len(data)) if position not in owned):
        return f"0x{frame.id:03X}: a byte that belongs to no signal is not 0"
    return None


def _number_problem(number: Number, chunk: bytes) -> str | None:
    raw = int.from_bytes(chunk, number.byte_order, signed=number.signed)
    if raw in number.unsupported or number.raw_low <= raw <= number.raw_high:
        return None
    return f"raw {raw} outside {number.raw_low}..{number.raw_high}"


def _text_problem(chunk: bytes) -> str | None:
    letters = chunk.rstrip(b"\0")
    if all(0x20 <= letter <= 0x7E for letter in letters):
        return None
    return f"{chunk.hex()} is no zero-padded text"


def _pair_problem(pair: Pair, byte: int) -> str | None:
    code = (byte >> pair.shift) & 3
    if code == 3:
        return "pair is 3"
    name = pair.key.partition(".")[2]
    if code and (name in NEVER_SUPPORTED or name.startswith("reserved")):
        return "claims what a TinyBMS cannot know"
    return None


def _content_refusal(frame: Frame, values: Mapping[str, Value], context: GateContext) -> str | None:
    rule = _RULES.get(frame.id)
    if rule is not None:
        return rule(values, context)
    fixed = _FIXED_TEXTS.get(frame.id)
    if fixed is not None and values["text"] != fixed:
        return f"0x{frame.id:03X}: {values['text']!r} instead of {fixed!r}"
    return None


_FIXED_TEXTS: Final = {
    signals.MANUFACTURER.id: BRAND,
    signals.NAME_1.id: BRAND,
    signals.FAMILY.id: FAMILY_NAME,
}


def _limits_refusal(values: Mapping[str, Value], context: GateContext) -> str | None:
    cvl, ccl = _float(values["charge_voltage_v"]), _float(values["charge_current_a"])
    dcl, dvl = _float(values["discharge_current_a"]), _float(values["discharge_voltage_v"])
    per_cell = CVL_PER_CELL_V.get(context.chemistry)
    if per_cell is None or context.cell_count <= 0:
        return f"no bounds for {context.cell_count} cells of {context.chemistry!r}"
    lowest, highest = (context.cell_count * volts for volts in per_cell)
    cut_off = context.cell_count * DVL_PER_CELL_V
    too_old = (context.data_age_s or 0.0) > context.stale_after_s
    rules = (
        (lowest - _SLACK_V <= cvl <= highest + _SLACK_V, f"CVL {cvl} V"),
        (cut_off - _SLACK_V <= dvl <= cvl, f"DVL {dvl} V"),
        (0 <= ccl <= context.max_charge_current_a + _SLACK_A, f"CCL {ccl} A"),
        (0 <= dcl <= context.max_discharge_current_a + _SLACK_A, f"DCL {dcl} A"),
        (ccl == 0 or not too_old, f"CCL {ccl} A on stale data"),
    )
    broken = [text for holds, text in rules if not holds]
    return f"0x351: {', '.join(broken)} for {context}" if broken else None


def _silence_refusal(values: Mapping[str, Value], context: GateContext) -> str | None:
    """In service the frame itself must say that the data are old."""
    old = context.service and (context.data_age_s or 0.0) > context.stale_after_s
    if old and PairState.ACTIVE not in {
        values["alarm.bms_internal"],
        values["warning.bms_internal"],
    }:
        return "0x35A: no warning of old data"
    return None


def _order_refusal(values: Mapping[str, Value], _context: GateContext) -> str | None:
    for low, high in (
        ("min_cell_voltage_v", "max_cell_voltage_v"),
        ("min_temperature_c", "max_temperature_c"),
    ):
        lowest, highest = values[low], values[high]
        if (lowest is None) != (highest is None):
            return f"only one of {low} and {high}"
        if lowest is not None and _float(lowest) > _float(highest):
            return f"{low} above {high}"
    return None


def _charge_refusal(values: Mapping[str, Value], _context: GateContext) -> str | None:
    fine = values["soc_fine_pct"]
    if fine is not None and abs(_float(fine) - _float(values["soc_pct"])) > 0.51:
        return f"SOC {values['soc_pct']} % beside {fine} %"
    return None


def _measurement_refusal(values: Mapping[str, Value], context: GateContext) -> str | None:
    volts = _float(values["pack_voltage_v"])
    # 6 V is where a cell reading stops being plausible (TinyBMS protocol, register scale 0.1 mV).
    if not 0 < volts <= context.cell_count * 6.0:
        return f"pack voltage {volts} V of {context.cell_count} cells"
    return None


_RULES: Final = {
    signals.LIMITS.id: _limits_refusal,
    signals.ALARMS.id: _silence_refusal,
    signals.CELLS.id: _order_refusal,
    signals.CHARGE.id: _charge_refusal,
    signals.MEASUREMENT.id: _measurement_refusal,
}


def _float(value: Value) -> float:
    """The number in `value`; "not supported" and text count as below every bound."""
    return float(value) if isinstance(value, int | float) else float("-inf")
