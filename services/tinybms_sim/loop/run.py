"""One run: pack, BMS, chargers and a controller, step by step in simulated time."""

import random
from dataclasses import dataclass

from tinybms_sim.loop.bms_behaviour import Bms
from tinybms_sim.loop.link import Link, within
from tinybms_sim.loop.metrics import Meter, Metrics
from tinybms_sim.loop.pack import Pack
from tinybms_sim.loop.scenario import Criterion, Glitch, Scenario
from tinybms_sim.loop.scenarios import scenario_for
from tinybms_sim.loop.thermal import ThermalNode
from tinybms_sim.loop.victron import Victron
from tinybms_sim.loop.view import Command, ControllerFactory, View
from tinybms_sim.loop.watches import DischargeWatch, StaleWatch, SyncWatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line of a trace."""

    time_s: float
    command: Command | None
    state: str
    pack_v: float
    highest_v: float
    lowest_v: float
    current_a: float
    surplus_a: float
    soc_pct: float
    counted_soc_pct: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Figures of one run."""

    scenario: Scenario
    seed: int
    metrics: Metrics
    trace: tuple[Moment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One pass criterion with what was reached; a figure that is missing does not pass."""

    criterion: Criterion
    value: float | None
    base: float
    passed: bool


def run(
    scenario: Scenario,
    make_controller: ControllerFactory,
    seed: int,
    *,
    dt_s: float | None = None,
    trace_every_s: float = 0.0,
    switch_acts: bool | None = None,
) -> Result:
    """Run `scenario` to its end; equal arguments give equal figures.

    `trace_every_s` above 0 keeps a trace; `switch_acts` overrides whether the BMS may open its
    switch.
    """
    loop = _Loop(scenario, make_controller, seed, switch_acts=switch_acts)
    dt_s = scenario.dt_s if dt_s is None else dt_s
    steps = round(scenario.hours * 3600.0 / dt_s)
    every = max(round(trace_every_s / dt_s), 1) if trace_every_s else 0
    trace = []
    for number in range(steps):
        loop.step(number * dt_s, dt_s)
        if every and number % every == 0:
            trace.append(loop.moment(number * dt_s))
    return Result(scenario=scenario, seed=seed, metrics=loop.figures(), trace=tuple(trace))


def judge(
    result: Result, make_controller: ControllerFactory, *, dt_s: float | None = None
) -> tuple[Verdict, ...]:
    """The scenario's criteria held against `result`; also runs what it is compared with."""
    others: dict[str, Metrics] = {}
    verdicts = []
    for criterion in result.scenario.criteria:
        base: float | None = 0.0
        name = criterion.relative_to
        if name:
            if name not in others:
                other = scenario_for(name, result.seed)
                others[name] = run(other, make_controller, result.seed, dt_s=dt_s).metrics
            base = others[name][criterion.metric]
        verdicts.append(_verdict(criterion, result.metrics[criterion.metric], base))
    return tuple(verdicts)


def _verdict(criterion: Criterion, value: float | None, base: float | None) -> Verdict:
    passed = (
        value is not None
        and base is not None
        and (criterion.most is None or value <= criterion.most + base + 1e-9)
        and (criterion.least is None or value >= criterion.least + base - 1e-9)
    )
    return Verdict(criterion=criterion, value=value, base=base or 0.0, passed=passed)


class _Loop:
    """Everything of one run; `step` is the inner loop and written for speed."""

    def __init__(
        self,
        scenario: Scenario,
        make_controller: ControllerFactory,
        seed: int,
        *,
        switch_acts: bool | None,
    ) -> None:
        rng = random.Random(seed)
        self._scenario = scenario
        self._pack = pack = Pack(scenario.pack, rng)
        start_pct = sum(pack.soc_pct()) / pack.cells
        spec = scenario.bms
        self._bms = Bms(
            scenario.registers,
            soc_pct=min(start_pct + spec.soc_error_pct, 100.0),
            balance_a=spec.balance_a,
            gain_error=spec.gain_error,
            offset_a=spec.offset_a,
            switch_acts=spec.switch_acts if switch_acts is None else switch_acts,
            always_balances=spec.always_balances,
        )
        self._victron = Victron(scenario.victron, pack.cells, rng)
        self._rng = rng
        self._sun, self._load = scenario.sun_a.at, scenario.load_a.at
        self._temperature = scenario.temperature_c.at
        thermal = scenario.thermal
        self._node = None if thermal is None else ThermalNode(thermal, pack.resistance_ohm)
        self._full_due_s = scenario.happenings.full_at_s
        self._glitches = scenario.happenings.glitches
        self._view = View(cell_voltages_v=pack.measured_v())
        self._link = Link(scenario, make_controller(scenario.site, scenario.registers))
        self._meter = Meter(scenario.site, scenario.registers)
        self._stale = StaleWatch()
        self._discharge = DischargeWatch(scenario.site)
        self._sync = SyncWatch()
        self._command: Command | None = None
        self._current_a = self._surplus_a = 0.0
        self._read(0.0)

    def step(self, time_s: float, dt_s: float) -> None:
        """Limits from the last reading, current from the limits, the next reading from both."""
        link, pack, bms, victron = self._link, self._pack, self._bms, self._victron
        if self._full_due_s is not None and time_s >= self._full_due_s:
            self._full_due_s = None
            bms.force_full()
        command = self._command = link.command(self._view, time_s, dt_s)
        if link.soc_write_pct is not None:
            bms.write_soc(link.soc_write_pct)
        sun_a, load_a = self._sun(time_s), self._load(time_s)
        self._surplus_a = surplus_a = sun_a - load_a
        current_a = victron.step(
            time_s, dt_s, command, pack.source_v, pack.resistance_ohm, sun_a, load_a
        )
        if not (bms.charge_on and bms.discharge_on):
            current_a = self._switched(current_a, dt_s)
        elif victron.ac_off:
            self._meter.outage(dt_s, ac_off=True, switch_open=False)
        self._current_a = current_a
        pack.step(current_a, dt_s, bms.balance_a, bms.bleeding)
        self._read(time_s + dt_s, dt_s, current_a, surplus_a)
        state = link.state
        self._meter.step(dt_s, pack, current_a, surplus_a, command, state)
        self._sync.step(time_s, state, pack, bms.soc_pct)
        if link.age_s or command is None:
            self._stale.step(dt_s, link.age_s, command)
        if command is not None:
            self._discharge.step(dt_s, min(self._view.cell_voltages_v), current_a, command)

    def moment(self, time_s: float) -> Moment:
        """How things stand now."""
        cells_v = self._pack.cell_v
        soc = self._pack.soc_pct()
        return Moment(
            time_s=time_s,
            command=self._command,
            state=self._link.state,
            pack_v=sum(cells_v),
            highest_v=max(cells_v),
            lowest_v=min(cells_v),
            current_a=self._current_a,
            surplus_a=self._surplus_a,
            soc_pct=sum(soc) / len(soc),
            counted_soc_pct=self._bms.soc_pct,
        )

    def figures(self) -> Metrics:
        """All figures of the run."""
        return {
            **self._meter.figures(self._pack),
            **self._stale.figures(),
            **self._discharge.figures(),
            **self._sync.figures(),
        }

    def _switched(self, current_a: float, dt_s: float) -> float:
        """The current that an open switch leaves."""
        bms, victron = self._bms, self._victron
        blocked = (current_a > 0.0 and not bms.charge_on) or (
            current_a < 0.0 and not bms.discharge_on
        )
        dark = not victron.spec.grid and current_a < 0.0 and not bms.discharge_on
        open_ = not (bms.charge_on or bms.discharge_on)
        self._meter.outage(dt_s, ac_off=dark or victron.ac_off, switch_open=open_)
        if open_:
            victron.cut()
        return 0.0 if blocked else current_a

    def _read(
        self, time_s: float, dt_s: float = 0.0, current_a: float = 0.0, surplus_a: float = 1.0
    ) -> None:
        """The BMS reads the pack, and the gateway the BMS."""
        bms, view = self._bms, self._view
        cells_v = self._pack.measured_v()
        celsius = self._temperature(time_s)
        if self._node is not None:
            celsius = self._node.step(current_a, celsius, dt_s)
        noise_c = self._scenario.temperature_noise_c
        if noise_c:
            celsius += self._rng.uniform(-noise_c, noise_c)
        if self._scenario.happenings.opened:
            bms.forced_open = within(self._scenario.happenings.opened, time_s) is not None
        bms.step(cells_v, current_a, celsius, dt_s, charger_present=surplus_a > 0.0)
        view.time_s = time_s
        view.cell_voltages_v = cells_v
        view.pack_voltage_v = sum(cells_v)
        view.pack_current_a = round(bms.shown_current_a, 2)
        view.soc_pct = bms.soc_pct
        view.status_raw = bms.status
        view.balancing_cells = bms.bleeding
        view.event_ids = bms.event_ids
        view.temperatures_c = ((1, round(celsius, 1)),)
        for glitch in self._glitches:
            if glitch.at_s <= time_s < glitch.at_s + glitch.readings * dt_s:
                _spoil(view, glitch)


def _spoil(view: View, glitch: Glitch) -> None:
    before_v = view.cell_voltages_v[glitch.cell]
    after_v = before_v + glitch.added_v if glitch.volts is None else glitch.volts
    view.cell_voltages_v[glitch.cell] = after_v
    view.pack_voltage_v += glitch.pack_added_v
    if glitch.pack_too:
        view.pack_voltage_v += after_v - before_v
