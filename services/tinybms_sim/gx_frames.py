"""What a GX reads from the CAN frames of a BMS: fields with units, and what is wrong with a frame.

Written from the Victron CAN-bus BMS protocol (2021) alone, not from the gateway's encoder, whose
mistakes it is here to find. All numbers are little-endian but the firmware version in 0x35F.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Value = float | int | str | None | dict[str, str]

KEEPALIVE_ID = 0x305
IDENTIFICATION_ID = 0x307
IDENTIFICATION = bytes.fromhex("1234567856494300")

PAIRS = (
    ("general", "high_voltage", "low_voltage", "high_temperature"),
    ("low_temperature", "high_temperature_charge", "low_temperature_charge", "high_current"),
    ("high_charge_current", "contactor", "short_circuit", "bms_internal"),
    ("cell_imbalance", "", "", ""),
)
"""Names of the two-bit pairs of 0x35A, lowest bits first; bytes 4-7 repeat them as warnings."""
_PAIR_STATES = ("unsupported", "active", "ok", "invalid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The fields of one frame, and the faults found in it."""

    fields: dict[str, Value]
    problems: list[str] = field(default_factory=list)


def decode(can_id: int, data: bytes) -> Decoded:
    """Read one 11-bit data frame."""
    rule = _RULES.get(can_id)
    if rule is None:
        return Decoded(fields={}, problems=[f"0x{can_id:03X} is not a frame of a BMS"])
    lengths, read = rule
    if len(data) not in lengths:
        allowed = " or ".join(str(n) for n in lengths)
        problem = f"0x{can_id:03X} has {len(data)} bytes instead of {allowed}"
        return Decoded(fields={}, problems=[problem])
    decoded = read(data)
    problems = [f"0x{can_id:03X} {problem}" for problem in decoded.problems]
    return Decoded(fields=decoded.fields, problems=problems)


def _bounded(fields: dict[str, Value], bounds: Mapping[str, tuple[float, float]]) -> Decoded:
    problems = []
    for name, (low, high) in bounds.items():
        value = fields.get(name)
        if isinstance(value, int | float) and not low <= value <= high:
            problems.append(f"{name} {value} is outside {low}..{high}")
    return Decoded(fields=fields, problems=problems)


def _limits(data: bytes) -> Decoded:
    cvl, ccl, dcl, low = struct.unpack("<HhhH", data)
    fields: dict[str, Value] = {
        "cvl_v": cvl / 10,
        "ccl_a": ccl / 10,
        "dcl_a": dcl / 10,
        "dvl_v": low / 10,
    }
    decoded = _bounded(
        fields,
        {"cvl_v": (8, 75), "ccl_a": (0, 1000), "dcl_a": (0, 1000), "dvl_v": (0, 75)},
    )
    if low >= cvl:
        decoded.problems.append(f"dvl_v {low / 10} is not under cvl_v {cvl / 10}")
    return decoded


def _charge_state(data: bytes) -> Decoded:
    soc, soh = struct.unpack_from("<HH", data)
    fields: dict[str, Value] = {"soc_pct": soc, "soh_pct": soh}
    fine = struct.unpack_from("<H", data, 4)[0] if len(data) >= 6 else 0
    fields["soc_hires_pct"] = None if fine == 0xFFFF or (fine == 0 and soc > 1) else fine / 100
    bounds = dict.fromkeys(("soc_pct", "soh_pct", "soc_hires_pct"), (0.0, 100.0))
    decoded = _bounded(fields, bounds)
    precise = fields["soc_hires_pct"]
    if isinstance(precise, float) and len(data) >= 6 and abs(precise - soc) > 1:
        decoded.problems.append(f"soc_hires_pct {precise} does not go with soc_pct {soc}")
    return decoded


def _measurement(data: bytes) -> Decoded:
    voltage, current, temperature = struct.unpack_from("<hhh", data)
    fields: dict[str, Value] = {
        "voltage_v": voltage / 100,
        "current_a": current / 10,
        "temperature_c": temperature / 10,
    }
    return _bounded(
        fields,
        {"voltage_v": (1, 90), "current_a": (-1000, 1000), "temperature_c": (-60, 150)},
    )


def _alarms(data: bytes) -> Decoded:
    problems = []
    halves: dict[str, dict[str, str]] = {"alarms": {}, "warnings": {}}
    for half, offset in (("alarms", 0), ("warnings", 4)):
        for index, names in enumerate(PAIRS):
            for position, name in enumerate(names):
                pair = (data[offset + index] >> (2 * position)) & 3
                if name:
                    halves[half][name] = _PAIR_STATES[pair]
                if pair == 3:
                    problems.append(
                        f"{half} byte {offset + index} pair {position} has both bits set"
                    )
    online = _PAIR_STATES[(data[7] >> 2) & 3]
    status = {"ok": "online", "active": "offline"}.get(online)
    for offset, used in ((3, 0x03), (7, 0x0F)):
        if data[offset] & ~used:
            problems.append(f"byte {offset} has reserved bits set: {data[offset]:02X}")
    fields: dict[str, Value] = {**halves, "system_status": status}
    return Decoded(fields=fields, problems=problems)


def _text(data: bytes) -> Decoded:
    text, _, rest = data.partition(b"\0")
    problems = []
    if any(byte > 0x7E or byte < 0x20 for byte in text):
        problems.append(f"text {data.hex()} has bytes that are not printable 7-bit ASCII")
    if any(rest):
        problems.append(f"text {data.hex()} goes on after its end")
    return Decoded(fields={"text": text.decode("ascii", "replace")}, problems=problems)


def _model(data: bytes) -> Decoded:
    model, major, minor, capacity = struct.unpack_from("<HBBH", data)
    return _bounded(
        {
            "model": model,
            "firmware": f"v{major:x}.{minor:02x}",
            "online_capacity_ah": capacity or None,
        },
        {"online_capacity_ah": (1, 10_000)},
    )


def _modules(data: bytes) -> Decoded:
    names = ("ok", "blocking_charge", "blocking_discharge", "offline")
    counts = struct.unpack("<HHHH", data)
    fields: dict[str, Value] = {
        name: None if count == 0xFFFF else count for name, count in zip(names, counts, strict=True)
    }
    return _bounded(fields, dict.fromkeys(names, (0, 100)))


def _extremes(data: bytes) -> Decoded:
    values: list[int | None] = [
        None if word in (0, 0xFFFF) else word for (word,) in struct.iter_unpack("<H", data)
    ]
    low_mv, high_mv, low_k, high_k = (*values, None, None)[:4]
    decoded = _bounded(
        {"min_cell_mv": low_mv, "max_cell_mv": high_mv, "min_temp_k": low_k, "max_temp_k": high_k},
        {
            "min_cell_mv": (500, 5000),
            "max_cell_mv": (500, 5000),
            "min_temp_k": (213, 423),
            "max_temp_k": (213, 423),
        },
    )
    for name, low, high in (("cell", low_mv, high_mv), ("temperature", low_k, high_k)):
        if low is not None and high is not None and low > high:
            decoded.problems.append(f"lowest {name} {low} is above the highest {high}")
    return decoded


def _energy(data: bytes) -> Decoded:
    charged, discharged = struct.unpack("<II", data)
    fields: dict[str, Value] = {
        "energy_in_kwh": charged / 10,
        "energy_out_kwh": discharged / 10,
    }
    return Decoded(fields=fields)


def _installed(data: bytes) -> Decoded:
    (capacity,) = struct.unpack_from("<H", data)
    return _bounded({"installed_capacity_ah": capacity}, {"installed_capacity_ah": (1, 10_000)})


_RULES: Mapping[int, tuple[tuple[int, ...], Callable[[bytes], Decoded]]] = {
    0x351: ((8,), _limits),
    0x355: ((4, 6, 8), _charge_state),
    0x356: ((6, 8), _measurement),
    0x35A: ((8,), _alarms),
    0x35E: ((8,), _text),
    0x35F: ((6, 8), _model),
    0x370: ((8,), _text),
    0x371: ((8,), _text),
    0x372: ((8,), _modules),
    0x373: ((4, 8), _extremes),
    0x374: ((8,), _text),
    0x375: ((8,), _text),
    0x376: ((8,), _text),
    0x377: ((8,), _text),
    0x378: ((8,), _energy),
    0x379: ((2, 8), _installed),
    0x380: ((8,), _text),
    0x381: ((8,), _text),
    0x382: ((8,), _text),
}
KNOWN_IDS = tuple(_RULES)
