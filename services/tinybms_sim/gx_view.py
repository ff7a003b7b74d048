"""What a GX would show of the battery, built from its frames, with the faults of their timing.

Pure: frames and times go in. Source: Victron CAN-bus BMS protocol (2021): 0x351 at least every 3 s,
else the battery counts as lost; names of the shown values are those of the GX's D-Bus service.
"""

from collections import Counter, deque
from dataclasses import dataclass

from tinybms_sim.gx_frames import KNOWN_IDS, Decoded, Value, decode

LIMITS_ID = 0x351
LIMITS_PERIOD_S = 1.0
LATE_AFTER_S = 2.0
LOST_AFTER_S = 3.0
MAX_PROBLEMS = 100
MAX_FRAMES_PER_S = 60
"""19 frames each second and at most four early ones, with room for a start in the same second."""

_PATHS = {
    (0x351, "cvl_v"): "/Info/MaxChargeVoltage",
    (0x351, "ccl_a"): "/Info/MaxChargeCurrent",
    (0x351, "dcl_a"): "/Info/MaxDischargeCurrent",
    (0x351, "dvl_v"): "/Info/BatteryLowVoltage",
    (0x355, "soc_pct"): "/Soc",
    (0x355, "soh_pct"): "/Soh",
    (0x356, "voltage_v"): "/Dc/0/Voltage",
    (0x356, "current_a"): "/Dc/0/Current",
    (0x356, "temperature_c"): "/Dc/0/Temperature",
    (0x35E, "text"): "/Manufacturer",
    (0x35F, "firmware"): "/FirmwareVersion",
    (0x35F, "online_capacity_ah"): "/Capacity",
    (0x372, "ok"): "/System/NrOfModulesOnline",
    (0x372, "blocking_charge"): "/System/NrOfModulesBlockingCharge",
    (0x372, "blocking_discharge"): "/System/NrOfModulesBlockingDischarge",
    (0x372, "offline"): "/System/NrOfModulesOffline",
    (0x374, "text"): "/System/MinVoltageCellId",
    (0x375, "text"): "/System/MaxVoltageCellId",
    (0x376, "text"): "/System/MinTemperatureCellId",
    (0x377, "text"): "/System/MaxTemperatureCellId",
    (0x378, "energy_in_kwh"): "/History/ChargedEnergy",
    (0x378, "energy_out_kwh"): "/History/DischargedEnergy",
    (0x379, "installed_capacity_ah"): "/InstalledCapacity",
    (0x382, "text"): "/Family",
}
_ALARM_PATHS = {
    "high_voltage": "/Alarms/HighVoltage",
    "low_voltage": "/Alarms/LowVoltage",
    "high_temperature": "/Alarms/HighTemperature",
    "low_temperature": "/Alarms/LowTemperature",
    "high_temperature_charge": "/Alarms/HighChargeTemperature",
    "low_temperature_charge": "/Alarms/LowChargeTemperature",
    "high_current": "/Alarms/HighDischargeCurrent",
    "high_charge_current": "/Alarms/HighChargeCurrent",
    "bms_internal": "/Alarms/InternalFailure",
    "cell_imbalance": "/Alarms/CellImbalance",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One frame as a GX takes it."""

    can_id: int
    data: bytes
    t_s: float
    fields: dict[str, Value]
    problems: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One second at the GX: frames counted by id, values shown, problems found."""

    t_s: float
    connected: bool
    frames: dict[int, int]
    display: dict[str, Value]
    problems: list[str]


class GxView:
    """The last frame of each id, counts per second, and problems since the last report."""

    def __init__(self) -> None:
        self._last: dict[int, Heard] = {}
        self._counts: Counter[int] = Counter()
        self._problems: deque[str] = deque(maxlen=MAX_PROBLEMS)
        self._lost_reported = False

    def hear(self, can_id: int, data: bytes, t_s: float) -> Heard:
        """Take one frame in; its own problems and those of its timing come back with it."""
        decoded = decode(can_id, data)
        problems = decoded.problems + self._timing(can_id, t_s) + self._pairing(can_id, decoded)
        heard = Heard(can_id=can_id, data=data, t_s=t_s, fields=decoded.fields, problems=problems)
        self._problems.extend(problems)
        self._counts[can_id] += 1
        if can_id in KNOWN_IDS:
            self._last[can_id] = heard
        return heard

    def note(self, problem: str) -> None:
        """Add a problem that is not one frame's, such as a wrong bit rate."""
        self._problems.append(problem)

    def connected(self, now_s: float) -> bool:
        """Whether the GX has a battery: 0x351 is young enough."""
        limits = self._last.get(LIMITS_ID)
        return limits is not None and now_s - limits.t_s <= LOST_AFTER_S

    def report(self, now_s: float) -> Report:
        """The display of this second, with counts and problems since the last report."""
        if sum(self._counts.values()) > MAX_FRAMES_PER_S:
            self._problems.append(f"{sum(self._counts.values())} frames in one second")
        connected = self.connected(now_s)
        if not connected and LIMITS_ID in self._last and not self._lost_reported:
            self._problems.append(f"0x351 was not heard for {LOST_AFTER_S} s: battery lost")
        self._lost_reported = not connected
        report = Report(
            t_s=now_s,
            connected=connected,
            frames=dict(sorted(self._counts.items())),
            display=self.display() if connected else {},
            problems=list(self._problems),
        )
        self._counts.clear()
        self._problems.clear()
        return report

    def display(self) -> dict[str, Value]:
        """Values by D-Bus path from the last frames; alarms 0 none, 1 warning, 2 alarm."""
        shown: dict[str, Value] = {}
        for (can_id, name), path in _PATHS.items():
            if can_id in self._last:
                shown[path] = self._last[can_id].fields.get(name)
        if name := self._joined_text(0x370, 0x371):
            shown["/CustomName"] = name
        if serial := self._joined_text(0x380, 0x381):
            shown["/Serial"] = serial
        shown.update(self._shown_extremes())
        shown.update(self._shown_alarms())
        return shown

    def _joined_text(self, first: int, second: int) -> str:
        if first not in self._last or second not in self._last:
            return ""
        return "".join(str(self._last[i].fields.get("text", "")) for i in (first, second))

    def _shown_extremes(self) -> dict[str, Value]:
        if 0x373 not in self._last:
            return {}
        shown: dict[str, Value] = {}
        fields = self._last[0x373].fields
        for name, path in (("min_cell_mv", "Min"), ("max_cell_mv", "Max")):
            value = fields.get(name)
            shown[f"/System/{path}CellVoltage"] = value / 1000 if isinstance(value, int) else None
        for name, path in (("min_temp_k", "Min"), ("max_temp_k", "Max")):
            value = fields.get(name)
            shown[f"/System/{path}CellTemperature"] = (
                value - 273 if isinstance(value, int) else None
            )
        return shown

    def _shown_alarms(self) -> dict[str, Value]:
        if 0x35A not in self._last:
            return {}
        fields = self._last[0x35A].fields
        alarms, warnings = fields.get("alarms"), fields.get("warnings")
        if not isinstance(alarms, dict) or not isinstance(warnings, dict):
            return {}
        shown: dict[str, Value] = {}
        for name, path in _ALARM_PATHS.items():
            states = (alarms[name], warnings[name])
            if states[0] == "active":
                shown[path] = 2
            elif states[1] == "active":
                shown[path] = 1
            else:
                shown[path] = 0 if "ok" in states else None
        return shown

    def _timing(self, can_id: int, t_s: float) -> list[str]:
        last = self._last.get(can_id)
        if can_id != LIMITS_ID or last is None:
            return []
        gap_s = t_s - last.t_s
        return [f"0x351 after {gap_s:.2f} s"] if gap_s > LATE_AFTER_S else []

    def _pairing(self, can_id: int, decoded: Decoded) -> list[str]:
        """Frames that go together: the name starts as the manufacturer; serial part 1 before 2."""
        if can_id == 0x370 and 0x35E in self._last:
            maker = self._last[0x35E].fields.get("text")
            if decoded.fields.get("text") != maker:
                return [f"0x370 {decoded.fields.get('text')!r} differs from 0x35E {maker!r}"]
        if can_id == 0x381 and 0x380 not in self._last:
            return ["0x381 came without 0x380"]
        return []
