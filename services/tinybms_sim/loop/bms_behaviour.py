"""What a TinyBMS does beside measuring: switches, balancing, state of charge and status.

Written from the TinyBMS user manual Rev D (charging, protections, balancing). Where the manual is
silent the model takes the harder case for the charge control: in single-port mode the one switch
that opens at register 300 also cuts the load.
"""

from typing import Final

from tinybms_sim.loop.registers import BmsRegisters

CHARGING: Final = 0x91
FULLY_CHARGED: Final = 0x92
DISCHARGING: Final = 0x93
IDLE: Final = 0x97
FAULT: Final = 0x9B

UNDER_VOLTAGE: Final = 0x02
OVER_VOLTAGE: Final = 0x03
OVER_HEAT: Final = 0x04
DISCHARGE_OVER_CURRENT: Final = 0x05
CHARGE_OVER_CURRENT: Final = 0x06
FULLY_DISCHARGED: Final = 0x31
TOO_COLD_TO_CHARGE: Final = 0x37

IDLE_BELOW_HIGH_POWER_A: Final = 0.8
IDLE_BELOW_LOW_POWER_A: Final = 0.08
BALANCE_PHASE_S: Final = 10.0
BALANCE_PHASES: Final = 3

_NO_CHARGE: Final = frozenset(
    {UNDER_VOLTAGE, OVER_VOLTAGE, OVER_HEAT, CHARGE_OVER_CURRENT, TOO_COLD_TO_CHARGE}
)
_NO_DISCHARGE: Final = frozenset(
    {UNDER_VOLTAGE, OVER_HEAT, DISCHARGE_OVER_CURRENT, FULLY_DISCHARGED}
)
_NO_EITHER_SINGLE_PORT: Final = frozenset({CHARGE_OVER_CURRENT, DISCHARGE_OVER_CURRENT})
_WARNINGS: Final = frozenset({FULLY_DISCHARGED, TOO_COLD_TO_CHARGE})


class Bms:
    """One TinyBMS; `charge_on` and `discharge_on` say which current its switches let through."""

    def __init__(
        self,
        registers: BmsRegisters,
        *,
        soc_pct: float,
        balance_a: float = 0.15,
        gain_error: float = 0.0,
        offset_a: float = 0.0,
        switch_acts: bool = True,
        always_balances: bool = False,
    ) -> None:
        self._reg = registers
        self._gain = (1.0 + gain_error) * 100.0 / (registers.capacity_ah * 3600.0)
        self._offset_a = offset_a
        self._switch_acts = switch_acts
        self._always_balances = always_balances
        high_power = registers.high_power
        self._idle_below_a = IDLE_BELOW_HIGH_POWER_A if high_power else IDLE_BELOW_LOW_POWER_A
        self._clear_s: dict[int, float] = {}
        self._over_current_s = 0.0
        self._phase_s = 0.0
        self.balance_a = balance_a
        self.soc_pct = soc_pct
        self.shown_current_a = 0.0
        self.status = IDLE
        self.full = False
        self.topped = False
        """A cell reached register 300: the charger switch is open until the cells are level."""
        self.forced_open = False
        self.charge_on = self.discharge_on = True
        self.bleeding: tuple[int, ...] = ()
        self.event_ids: frozenset[int] = frozenset()

    def step(
        self,
        cells_v: list[float],
        current_a: float,
        temperature_c: float,
        dt_s: float,
        *,
        charger_present: bool = True,
    ) -> None:
        """Take in one reading of the cells, and the current that flowed for `dt_s`."""
        shown_a = current_a + self._offset_a
        if abs(shown_a) < self._idle_below_a:
            shown_a = 0.0
        self.shown_current_a = shown_a
        self.soc_pct = min(max(self.soc_pct + shown_a * self._gain * dt_s, 0.0), 100.0)
        high_v, low_v = max(cells_v), min(cells_v)
        self._watch_charge(high_v, low_v, current_a)
        bad = self._conditions(high_v, low_v, current_a, temperature_c, dt_s)
        if bad or self._clear_s:
            self._hold(bad, dt_s, charger_present=charger_present)
        self._switch()
        self.status = self._status(shown_a)
        self._balance(cells_v, high_v, low_v, dt_s)

    def write_soc(self, soc_pct: float) -> None:
        """Set the state of charge, as writing register 328 does."""
        self.soc_pct = soc_pct

    def force_full(self) -> None:
        """Be fully charged without the reason for it, as after warning 0x38."""
        self.full = True

    def _watch_charge(self, high_v: float, low_v: float, current_a: float) -> None:
        reg = self._reg
        level = high_v - low_v < reg.allowed_imbalance_v
        if high_v >= reg.fully_charged_v and current_a > self._idle_below_a:
            if level and low_v >= reg.fully_charged_v and current_a < reg.charge_finished_a:
                self.full = True
                self.soc_pct = 100.0
            self.topped = True
        elif self.topped and level and high_v < reg.fully_charged_v:
            self.topped = False
        if self.full and (
            low_v <= reg.fully_discharged_v
            or (reg.charge_restart_enabled and self.soc_pct < reg.charge_restart_pct)
        ):
            self.full = False

    def _conditions(
        self, high_v: float, low_v: float, current_a: float, temperature_c: float, dt_s: float
    ) -> set[int]:
        """Faults and warnings whose cause holds now."""
        reg = self._reg
        bad: set[int] = set()
        if high_v > reg.over_voltage_v:
            bad.add(OVER_VOLTAGE)
        if low_v < reg.fully_discharged_v:
            bad.add(FULLY_DISCHARGED)
            if low_v < reg.under_voltage_v:
                bad.add(UNDER_VOLTAGE)
        if temperature_c < reg.low_temperature_charge_c:
            bad.add(TOO_COLD_TO_CHARGE)
        elif temperature_c >= reg.over_heat_c:
            bad.add(OVER_HEAT)
        if current_a > reg.charge_over_current_a:
            bad.add(CHARGE_OVER_CURRENT)
        over = -current_a > reg.discharge_over_current_a
        self._over_current_s = self._over_current_s + dt_s if over else 0.0
        if (
            self._over_current_s > reg.discharge_over_current_timeout_s
            or -current_a > reg.peak_discharge_a
        ):
            bad.add(DISCHARGE_OVER_CURRENT)
        return bad

    def _hold(self, bad: set[int], dt_s: float, *, charger_present: bool) -> None:
        """Begin what is bad and end what has been good for register 332."""
        for event in list(self._clear_s):
            if event == UNDER_VOLTAGE and not charger_present:
                continue
            self._clear_s[event] += dt_s
            if self._clear_s[event] > self._reg.recovery_s:
                del self._clear_s[event]
        for event in bad:
            self._clear_s[event] = 0.0
        self.event_ids = frozenset(self._clear_s)

    def _switch(self) -> None:
        if not self._switch_acts:
            return
        if not (self.topped or self.full or self.forced_open or self.event_ids):
            self.charge_on = self.discharge_on = True
            return
        events = self.event_ids
        single = self._reg.single_port
        neither = self.forced_open or (single and bool(events & _NO_EITHER_SINGLE_PORT))
        self.charge_on = not (neither or self.topped or self.full or events & _NO_CHARGE)
        cut_load = single and self.topped and not self.full
        self.discharge_on = not (neither or cut_load or events & _NO_DISCHARGE)

    def _status(self, shown_a: float) -> int:
        if self.event_ids - _WARNINGS:
            return FAULT
        if shown_a < 0.0:
            return DISCHARGING
        if self.full:
            return FULLY_CHARGED
        if shown_a > 0.0 or (self.topped and not self.charge_on):
            return CHARGING
        return IDLE

    def _balance(self, cells_v: list[float], high_v: float, low_v: float, dt_s: float) -> None:
        """Choose the cells to bleed: those over register 303 that stand out, a third at a time."""
        reg = self._reg
        floor_v = max(reg.early_balancing_v, low_v + reg.allowed_imbalance_v)
        if high_v <= floor_v or not self._may_balance():
            self.bleeding = ()
            return
        wanted = tuple(i for i, v in enumerate(cells_v) if v > floor_v)
        if len(wanted) > 1:
            self._phase_s = (self._phase_s + dt_s) % (BALANCE_PHASES * BALANCE_PHASE_S)
            phase = int(self._phase_s / BALANCE_PHASE_S)
            wanted = tuple(i for i in wanted if i % BALANCE_PHASES == phase)
        self.bleeding = wanted

    def _may_balance(self) -> bool:
        return self._always_balances or self.status == CHARGING or OVER_VOLTAGE in self.event_ids
