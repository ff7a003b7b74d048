"""The gateway's own charge control as a controller of the closed loop."""

from typing import Final

from msgspec.structs import replace

from tinybms_charge.ageing import aged
from tinybms_charge.bms import BmsLimits
from tinybms_charge.machine import truly_full
from tinybms_charge.measurement import Measurement
from tinybms_charge.parameters import ChargeParameters, charge_parameters
from tinybms_charge.soc_sync import FULL_PCT, SyncReading, SyncState, synchronised
from tinybms_charge.state import ChargeState, from_bytes, resume, to_bytes
from tinybms_charge.step import Step, step
from tinybms_config.model import Charge, Config
from tinybms_messages.live import Limits, LiveData, Sample
from tinybms_protocol.settings import FIRMWARE_RECOMMENDED
from tinybms_protocol.status import OnlineStatus
from tinybms_sim.loop.registers import BmsRegisters
from tinybms_sim.loop.view import Command, Site, View

_WORDS: Final = {raw: OnlineStatus.from_raw(raw).value for raw in range(0x90, 0xA0)}
_BOOT: Final = "simulated"


def gateway(site: Site, registers: BmsRegisters) -> "GatewayController":
    """The charge control with the preset of the site's chemistry and the site's currents."""
    charge = Charge(
        max_charge_current_a=site.max_charge_a, max_discharge_current_a=site.max_discharge_a
    )
    tables = Config(charge=replace(charge, chemistry=site.chemistry))
    controller = GatewayController(charge_parameters(tables), limits_of(registers))
    controller.allow_writes = site.allow_writes
    return controller


def limits_of(registers: BmsRegisters) -> BmsLimits:
    """The BMS's settings as the gateway knows them."""
    return BmsLimits(
        series_cells=registers.series_cells,
        fully_charged_v=registers.fully_charged_v,
        fully_discharged_v=registers.fully_discharged_v,
        early_balancing_v=registers.early_balancing_v,
        allowed_imbalance_v=registers.allowed_imbalance_v,
        over_voltage_v=registers.over_voltage_v,
        under_voltage_v=registers.under_voltage_v,
        discharge_over_current_a=registers.discharge_over_current_a,
        charge_over_current_a=registers.charge_over_current_a,
        peak_discharge_a=registers.peak_discharge_a,
        over_heat_c=registers.over_heat_c,
        low_temperature_charge_c=registers.low_temperature_charge_c,
        capacity_ah=registers.capacity_ah,
        charge_restart_enabled=registers.charge_restart_enabled,
        single_port=registers.single_port,
        high_power=registers.high_power,
    )


class GatewayController:
    """Calls `tinybms_charge.step` with each reading, and ages the limits while there is none."""

    def __init__(self, parameters: ChargeParameters, bms: BmsLimits) -> None:
        self._parameters = parameters
        self._bms = bms
        self._memory = ChargeState()
        self._result: Step | None = None
        self._measurement: Measurement | None = None
        self._soc = SyncState()
        self._write = False
        self.allow_writes = False
        """acquisition.allow_writes."""

    @property
    def state(self) -> str:
        """State of the charge control: bulk, absorb, float and so on."""
        return "init" if self._result is None else self._result.limits.system_state

    @property
    def limits(self) -> Limits | None:
        """The last limits with their reasons."""
        return None if self._result is None else self._result.limits

    @property
    def memory(self) -> ChargeState:
        """What the charge control remembers."""
        return self._memory

    def reset(self) -> None:
        """Start with a fresh memory."""
        self._memory = ChargeState()
        self._result = None

    def restart(self, gap_s: float) -> None:
        """Save the memory, be away for `gap_s`, and go on with what was saved."""
        data = to_bytes(self._memory, kernel_boot_id=_BOOT, boottime_ns=0)
        saved = from_bytes(data)
        self.reset()
        if saved is not None:
            self._memory = resume(saved.state, saved.age_s(_BOOT, round(gap_s * 1e9)))

    def step(self, view: View, dt_s: float) -> Command | None:
        """Limits for a new reading."""
        measurement = Measurement(
            cell_voltages_v=tuple(view.cell_voltages_v),
            pack_voltage_v=view.pack_voltage_v,
            pack_current_a=view.pack_current_a,
            soc_pct=view.soc_pct,
            temperatures_c=view.temperatures_c,
            status=_WORDS.get(view.status_raw, "unknown"),
            event_ids=view.event_ids,
            balancing=bool(view.balancing_cells),
        )
        result = step(self._memory, measurement, self._bms, self._parameters, dt_s)
        self._look_at_soc(measurement, result, dt_s)
        self._memory = result.state
        self._result = result
        self._measurement = measurement
        limits = result.limits
        return limits.charge_voltage_v, limits.charge_current_a, limits.discharge_current_a

    def take_soc_write(self) -> float | None:
        """SoC in % to be written to the BMS now."""
        write, self._write = self._write, False
        return FULL_PCT if write else None

    def _look_at_soc(self, measurement: Measurement, result: Step, dt_s: float) -> None:
        reading = SyncReading(
            soc_pct=measurement.soc_pct or 0.0,
            status=measurement.status,
            firmware=FIRMWARE_RECOMMENDED,
            full=truly_full(self._memory.cycle, result.state.cycle),
            allowed=self.allow_writes,
        )
        synced = synchronised(self._soc, reading, dt_s)
        self._soc = synced.state
        self._write = synced.write

    def missing(self, age_s: float) -> Command | None:
        """What is sent when the last reading is `age_s` old."""
        if self._result is None or self._measurement is None:
            return None
        live = LiveData(
            sample=_sample(self._measurement),
            limits=self._result.limits,
            alarms=self._result.alarms,
        )
        limits = aged(live, age_s, self._parameters).limits
        if limits is None:
            return None
        return limits.charge_voltage_v, limits.charge_current_a, limits.discharge_current_a


def _sample(measurement: Measurement) -> Sample:
    """The measurement as LIVE_DATA carries it."""
    cells_v = tuple(v for v in measurement.cell_voltages_v if v is not None)
    return Sample(
        seq=0,
        boottime_ns=0,
        wall_ns=0,
        time_ok=False,
        cell_voltages_v=cells_v,
        cells_balancing=(False,) * len(cells_v),
        pack_voltage_v=measurement.pack_voltage_v or 0.0,
        pack_current_a=measurement.pack_current_a or 0.0,
        soc_pct=measurement.soc_pct or 0.0,
        soh_pct=None,
        battery_temperature_c=measurement.temperatures_c[0][1],
        external_temperature_1_c=measurement.temperatures_c[0][1],
        external_temperature_2_c=None,
        internal_temperature_c=None,
        online_status_raw=0,
        online_status=measurement.status,
        time_to_go_s=None,
        lifetime_s=0,
    )
