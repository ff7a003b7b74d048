"""LIVE_DATA: the one snapshot that CAN, MQTT, HTTP and the page all show.

Units are in the names. Current and power are positive when they charge the battery. None means
"not known" or "not fitted"; 0 is a value like any other.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from tinybms_messages.owner import ActiveMode


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What the battery said in one complete, valid poll.

    Cells count from the most negative one: `cell_voltages_v[0]` is pack cell 1, whatever channel of
    the BMS it sits on.
    """

    seq: int
    """Number of the LIVE_DATA message that carried this sample first."""
    boottime_ns: int
    """CLOCK_BOOTTIME at the last byte of the answer."""
    wall_ns: int
    time_ok: bool

    cell_voltages_v: tuple[float, ...]
    cells_balancing: tuple[bool, ...]
    """Cells whose balancing switch is really on (register 52)."""
    pack_voltage_v: float
    pack_current_a: float
    soc_pct: float
    soh_pct: float | None
    battery_temperature_c: float | None
    """Probe 1, else probe 2, else the board's sensor when no probe is fitted."""
    external_temperature_1_c: float | None
    external_temperature_2_c: float | None
    internal_temperature_c: float | None
    online_status_raw: int
    """Register 50 as read."""
    online_status: str
    """idle, charging, fully_charged, discharging, regeneration, fault or unknown."""
    time_to_go_s: int | None
    lifetime_s: int

    @property
    def cell_count(self) -> int:
        """Cells in series."""
        return len(self.cell_voltages_v)

    @property
    def power_w(self) -> float:
        """Pack voltage times current, positive when charging."""
        return self.pack_voltage_v * self.pack_current_a

    @property
    def min_cell_voltage_v(self) -> float:
        """The lowest cell voltage."""
        return min(self.cell_voltages_v)

    @property
    def max_cell_voltage_v(self) -> float:
        """The highest cell voltage."""
        return max(self.cell_voltages_v)

    @property
    def min_cell_id(self) -> int:
        """Number (from 1) of the first cell that has the lowest voltage."""
        return self.cell_voltages_v.index(self.min_cell_voltage_v) + 1

    @property
    def max_cell_id(self) -> int:
        """Number (from 1) of the first cell that has the highest voltage."""
        return self.cell_voltages_v.index(self.max_cell_voltage_v) + 1

    @property
    def cell_temperatures_c(self) -> tuple[tuple[int, float], ...]:
        """(probe number, temperature) of each fitted probe; number 0 is the board's own sensor."""
        probes = (
            (1, self.external_temperature_1_c),
            (2, self.external_temperature_2_c),
        )
        fitted = tuple((number, value) for number, value in probes if value is not None)
        if fitted or self.internal_temperature_c is None:
            return fitted
        return ((0, self.internal_temperature_c),)


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One cap on a limit: a stable code, words for people, and the value it allows (V or A).

    `next_step`: where the cap changes next ("5 °C"), empty when no measurement moves it.
    """

    code: str
    text: str
    value: float
    next_step: str = ""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the battery allows, in steps of 0.1 V and 0.1 A, each with its caps, binding one first.

    `discharge_voltage_v` (DVL) is the pack voltage under which the battery must not be discharged.
    """

    charge_voltage_v: float
    charge_current_a: float
    discharge_current_a: float
    discharge_voltage_v: float
    system_state: str
    """State of the charge control in lower case: bulk, absorb, float, fault, ..."""
    voltage_reasons: tuple[Reason, ...] = ()
    charge_reasons: tuple[Reason, ...] = ()
    discharge_reasons: tuple[Reason, ...] = ()
    voltage_sentence: str = ""
    """Each limit and what binds it, in one sentence for people."""
    charge_sentence: str = ""
    discharge_sentence: str = ""


class AlarmName(StrEnum):
    """Alarms that the gateway can raise, by the last part of their MQTT topic `alarm_<name>`."""

    LOW_VOLTAGE = "low_voltage"
    HIGH_VOLTAGE = "high_voltage"
    LOW_SOC = "low_soc"
    LOW_TEMPERATURE = "low_temperature"
    HIGH_TEMPERATURE = "high_temperature"
    HIGH_CHARGE_CURRENT = "high_charge_current"
    HIGH_DISCHARGE_CURRENT = "high_discharge_current"
    CELL_IMBALANCE = "cell_imbalance"
    INTERNAL_FAILURE = "internal_failure"
    HIGH_CHARGE_TEMPERATURE = "high_charge_temperature"
    LOW_CHARGE_TEMPERATURE = "low_charge_temperature"
    LOW_CELL_VOLTAGE = "low_cell_voltage"
    BMS_CABLE = "bms_cable"


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """Level of one alarm: 0 all is well, 1 warning, 2 alarm; `text` says why when not 0."""

    name: AlarmName
    level: int
    text: str = ""


class ActiveFault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault or warning that the BMS itself reports as active, from its event log."""

    number: int
    kind: str
    """fault, warning or info."""
    text: str
    wall_ns: int | None
    """When it began, by the BMS's own clock; None when that is not known."""


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """Totals kept by the gateway over restarts; each only rises. None until it is known."""

    charged_energy_kwh: float | None = None
    discharged_energy_kwh: float | None = None
    charged_ah: float | None = None
    discharged_ah: float | None = None
    min_voltage_seen_v: float | None = None
    max_voltage_seen_v: float | None = None
    min_cell_voltage_seen_v: float | None = None
    max_cell_voltage_seen_v: float | None = None
    time_since_full_s: int | None = None
    gap_s: float = 0.0
    """Time without samples that was left out of the integrals since the process started."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Which battery this is, from its settings and version registers."""

    serial_number: str
    """Registers 504-509 as 24 hexadecimal digits."""
    firmware: int
    """Register 502; release names are 2.3.<firmware>."""
    hardware: str
    capacity_ah: float
    single_port: bool


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """State of the serial line and what was counted on it since the process started.

    `state`: no_port, no_answer, wrong_battery, online or asleep; `detail` says why in words.
    """

    state: str
    detail: str = ""
    port: str = ""
    polls: int = 0
    replies: int = 0
    timeouts: int = 0
    overruns: int = 0
    reopened: int = 0
    line_errors: dict[str, int] = {}
    poll_time_ms: float | None = None


class LiveData(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot: sample, limits made from it, alarms, counters and the line's state.

    `sample`, `limits` and `identity` are None until the first complete valid sample of this run of
    acquisition. Between samples the message is repeated with the same `sample`, so that everybody
    ages it alike. `asleep`: the line is silent on purpose or because the BMS sleeps.
    """

    sample: Sample | None = None
    limits: Limits | None = None
    alarms: tuple[Alarm, ...] = ()
    faults: tuple[ActiveFault, ...] = ()
    counters: Counters = Counters()
    identity: Identity | None = None
    link: Link = Link(state="no_port")
    asleep: bool = False
    advisories: tuple[str, ...] = ()
    """Sentences for the owner about settings that are doubtful or will not work."""
    modes: tuple[ActiveMode, ...] = ()
    """What the owner has asked for, for a time."""
    soc_unsynchronised_days: float | None = None
    """Days since the BMS's SoC was last known to be right, or since it was first seen."""
