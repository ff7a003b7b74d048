"""What the simulated BMS measures, and its live registers: a living pack or a fixed image.

A fixed image stays word for word as given (only the lifetime runs, unless the image gives it) until
a battery scenario is chosen; then its own pack is disturbed and the protections act on it.
"""

from collections.abc import Collection

from tinybms_sim import image as reg
from tinybms_sim.battery import IDLE_BELOW_A, REFRESH_S, LivingBattery, Pack, disturbed, pack_of
from tinybms_sim.events import Event, EventLog
from tinybms_sim.image import Image
from tinybms_sim.protection import STATUS_CHARGING, Protections

BATTERY_SCENARIOS = ("over_voltage", "under_voltage", "low_temperature", "runaway_cell", "empty")
_NO_CONDITION = ""


class Plant:
    """Writes the live and statistics registers of an image as time passes."""

    def __init__(
        self,
        *,
        battery: LivingBattery | None,
        image: Image,
        start_s: float,
        given: Collection[int] = (),
    ) -> None:
        self.protections = Protections()
        self._battery = battery
        self._resting = pack_of(image)
        self._rest_words = image.block(0, 56)
        self._start_s = start_s
        self._lifetime_at_start = image.u32(reg.LIFETIME)
        self._lifetime_runs = not {reg.LIFETIME, reg.LIFETIME + 1} & set(given)
        self._soc_shift_pct = 0.0
        self._tick = -1
        self._condition = _NO_CONDITION
        self._condition_since_s = start_s

    @property
    def living(self) -> bool:
        """Whether the values move by themselves."""
        return self._battery is not None

    @property
    def condition(self) -> str:
        """The battery scenario in force, or an empty text."""
        return self._condition

    def set_condition(self, name: str, now_s: float) -> None:
        """Choose a battery scenario; an empty text ends it."""
        self._condition = name
        self._condition_since_s = now_s
        self._tick = -1

    def refresh(self, image: Image, events: EventLog, now_s: float) -> None:
        """Write the registers of the present 100 ms step; nothing within the same step."""
        elapsed_s = now_s - self._start_s
        tick = int(elapsed_s / REFRESH_S + 1e-6)
        if tick == self._tick:
            return
        self._tick = tick
        if self._lifetime_runs:
            image.put_u32(reg.LIFETIME, self._lifetime_at_start + int(elapsed_s))
        if self._battery is not None:
            pack = self._battery.at(elapsed_s)
        elif self._condition or self.protections.active:
            pack = self._resting
        else:
            return
        pack = disturbed(pack, self._condition, now_s - self._condition_since_s, image)
        self._write(pack, image, events, now_s)

    def may_sleep(self, image: Image) -> bool:
        """Whether the manual's conditions for sleep hold: no current, no over-current fault."""
        current_a = image.float32(reg.PACK_CURRENT)
        return abs(current_a) < IDLE_BELOW_A and not self.protections.over_current

    def set_soc(self, image: Image, soc_pct: float) -> None:
        """Set the state of charge, as writing register 328 does."""
        shown_pct = image.u32(reg.SOC) / 1e6
        self._soc_shift_pct += soc_pct - shown_pct
        image.put_u32(reg.SOC, round(soc_pct * 1e6))

    def restart(self) -> None:
        """Forget faults, as a restart does."""
        self.protections.restart()
        self._tick = -1

    def clear_statistics(self, image: Image) -> None:
        """Set the statistics registers to their state after command 0x02 option 2."""
        for address in range(100, reg.STATS_CLEARED_AT):
            if address not in (reg.CELL_SPREAD, reg.CAUSES):
                image[address] = 0
        board_c = reg.signed(image[reg.BOARD_TEMP]) // 10 & 0xFF
        image[reg.TEMP_EXTREMES] = board_c << 8 | board_c
        image.put_u32(reg.STATS_CLEARED_AT, image.u32(reg.LIFETIME))

    def _write(self, pack: Pack, image: Image, events: EventLog, now_s: float) -> None:
        lifetime_s = image.u32(reg.LIFETIME)
        for event in self.protections.step(pack, image, now_s):
            events.append(event, lifetime_s)
        if self._battery is None and not self._condition and not self.protections.active:
            for address, word in enumerate(self._rest_words):
                if address not in (reg.LIFETIME, reg.LIFETIME + 1):
                    image[address] = word
            return
        pack = self.protections.limited(pack)
        status = self.protections.status(pack)
        self._charge_edges(status, image, events)
        _write_live(pack, status, image, self._soc_shift_pct)
        _write_statistics(pack, image)

    def _charge_edges(self, status: int, image: Image, events: EventLog) -> None:
        was_charging = image[reg.STATUS] == STATUS_CHARGING
        lifetime_s = image.u32(reg.LIFETIME)
        if status == STATUS_CHARGING and not was_charging:
            events.append(Event.CHARGER_CONNECTED, lifetime_s)
            events.append(Event.CHARGING_STARTED, lifetime_s)
            image[reg.CHARGING_COUNT] += 1
        elif was_charging and status != STATUS_CHARGING:
            events.append(Event.CHARGER_DISCONNECTED, lifetime_s)


def _write_live(pack: Pack, status: int, image: Image, soc_shift_pct: float) -> None:
    raw_cells = [round(v * 10_000) for v in pack.cell_voltages_v]
    below = reg.CELL_CHANNELS - len(raw_cells)
    for channel in range(reg.CELL_CHANNELS):
        image[channel] = raw_cells[channel - below] if channel >= below else 0
    raw_soc = round(min(max(pack.soc_pct + soc_shift_pct, 0.0), 100.0) * 1e6)
    image.put_u32(reg.SOC, raw_soc)
    image.put_u32(reg.TIME_LEFT, _time_left(pack, raw_soc, image))
    image.put_float32(reg.PACK_VOLTAGE, sum(raw_cells) / 10_000)
    image.put_float32(reg.PACK_CURRENT, pack.current_a)
    image[reg.MIN_CELL] = round(min(raw_cells) / 10)
    image[reg.MAX_CELL] = round(max(raw_cells) / 10)
    image[reg.EXTERNAL_TEMP_1] = _probe_word(pack.external_1_c)
    image[reg.EXTERNAL_TEMP_2] = _probe_word(pack.external_2_c)
    image[reg.BOARD_TEMP] = round(pack.board_temp_c * 10)
    image[reg.STATUS] = status
    image[reg.DETECTED_CELLS] = len(raw_cells)
    image[reg.CELL_SPREAD] = max(raw_cells) - min(raw_cells)
    wanted = _balancing_bits(raw_cells, below, status, image)
    image[reg.BALANCING_WANTED] = wanted
    image[reg.BALANCING_ACTIVE] = wanted & 0x9249


def _time_left(pack: Pack, raw_soc: int, image: Image) -> int:
    if pack.current_a >= 0:
        return raw_soc // 2
    capacity_as = image[reg.CAPACITY] * 36.0
    return round(capacity_as * raw_soc / 1e8 / -pack.current_a)


def _probe_word(temperature_c: float | None) -> int:
    return reg.ABSENT_PROBE if temperature_c is None else round(temperature_c * 10)


def _balancing_bits(raw_cells: list[int], below: int, status: int, image: Image) -> int:
    """Channels that need balancing; only every third one works at a time."""
    if status != STATUS_CHARGING:
        return 0
    floor = max(image[reg.BALANCING_FROM] * 10, min(raw_cells) + image[reg.ALLOWED_DISBALANCE] * 10)
    return sum(1 << (below + i) for i, raw in enumerate(raw_cells) if raw > floor)


def _write_statistics(pack: Pack, image: Image) -> None:
    tenths = round(abs(pack.current_a) * 10)
    address = reg.PEAK_CHARGE if pack.current_a > 0 else reg.PEAK_DISCHARGE
    image[address] = max(image[address], tenths)
    low = _signed8(image[reg.TEMP_EXTREMES] & 0xFF)
    high = _signed8(image[reg.TEMP_EXTREMES] >> 8)
    low = min(low, round(min(pack.temperatures_c)))
    high = max(high, round(max(pack.temperatures_c)))
    image[reg.TEMP_EXTREMES] = (high & 0xFF) << 8 | low & 0xFF


def _signed8(byte: int) -> int:
    return byte - 0x100 if byte & 0x80 else byte
