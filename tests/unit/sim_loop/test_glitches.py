"""S12 as the product meets it: ten readings a second, and the glitch filter before the control."""

from __future__ import annotations

from fake_live import fake_sample
from tinybms_acquisition.glitch import GlitchFilter
from tinybms_charge.bms import BmsLimits
from tinybms_charge.measurement import measurement_of
from tinybms_charge.parameters import ChargeParameters, charge_parameters
from tinybms_charge.state import ChargeState
from tinybms_charge.step import step
from tinybms_config.model import Charge, Config
from tinybms_messages.live import Sample
from tinybms_sim.loop.gateway import limits_of
from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.run import run
from tinybms_sim.loop.scenarios import scenario_for
from tinybms_sim.loop.view import Command, Site, View


class FilteredControl:
    """Glitch filter and charge control, as acquisition joins them."""

    def __init__(self, parameters: ChargeParameters, bms: BmsLimits) -> None:
        self._parameters, self._bms = parameters, bms
        self.reset()

    def reset(self) -> None:
        """Start with nothing known."""
        self._filter = GlitchFilter()
        self._memory = ChargeState()
        self.state = "init"

    def restart(self, _gap_s: float) -> None:
        """Not used here."""

    def step(self, view: View, dt_s: float) -> Command:
        """Limits for a reading that may be a glitch."""
        found = self._filter.take(sample_of(view))
        other = found.alternative
        alternative = None if other is None else measurement_of(other, view.event_ids)
        measurement = measurement_of(found.sample, view.event_ids, alternative)
        result = step(self._memory, measurement, self._bms, self._parameters, dt_s)
        self._memory, self.state = result.state, result.limits.system_state
        limits = result.limits
        assert all(alarm.level == 0 for alarm in result.alarms)
        return limits.charge_voltage_v, limits.charge_current_a, limits.discharge_current_a


def sample_of(view: View) -> Sample:
    """What was read, as a sample."""
    return fake_sample(
        boottime_ns=round(view.time_s * 1e9),
        cell_voltages_v=tuple(view.cell_voltages_v),
        cells_balancing=(False,) * len(view.cell_voltages_v),
        pack_voltage_v=view.pack_voltage_v,
        pack_current_a=view.pack_current_a,
        soc_pct=view.soc_pct,
        external_temperature_1_c=view.temperatures_c[0][1],
        external_temperature_2_c=None,
        online_status="idle",
    )


def filtered(site: Site, registers: BmsRegisters) -> FilteredControl:
    """A factory for the closed loop."""
    charge = Charge(
        max_charge_current_a=site.max_charge_a, max_discharge_current_a=site.max_discharge_a
    )
    return FilteredControl(charge_parameters(Config(charge=charge)), limits_of(registers))


def test_a_glitch_costs_its_own_sample_of_ccl_and_raises_no_alarm() -> None:
    metrics = run(scenario_for("S12", 1), filtered, 1, dt_s=0.1).metrics
    ccl_zero_s, range_v = metrics["ccl_zero_s"], metrics["cvl_range_v"]
    assert ccl_zero_s is not None
    assert range_v is not None
    # Three wrong readings of a tenth of a second each, and as much for the start of the ramp.
    assert 0.1 - 1e-6 <= ccl_zero_s <= 0.4 + 1e-6
    # CVL goes to float at most and from there rises in its own time.
    assert range_v <= 16 * (3.450 - 3.375) + 1e-6
