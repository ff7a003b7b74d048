"""From the blocks of a poll to the one snapshot that everybody shows. Pure: no port, no clock.

The limits are stepped at each sample with the time since the sample before, and with the reading
that is doubtful beside the one that is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tinybms_acquisition.battery import Battery, Settled
from tinybms_acquisition.counters import CounterBook
from tinybms_acquisition.faults import FaultTracker, event_ids
from tinybms_acquisition.glitch import Filtered, GlitchFilter
from tinybms_acquisition.modes import Modes
from tinybms_acquisition.poller import BlockRead
from tinybms_acquisition.registervalues import RegisterDecoder
from tinybms_acquisition.sample import Moment, sample_of, sign_warning
from tinybms_acquisition.socsync import SocSync
from tinybms_charge.machine import truly_full
from tinybms_charge.measurement import measurement_of
from tinybms_charge.parameters import ChargeParameters
from tinybms_charge.state import ChargeState
from tinybms_charge.step import step
from tinybms_messages.live import ActiveFault, Alarm, Identity, Limits, Sample
from tinybms_messages.registers import RegisterValue
from tinybms_protocol.live import LiveBlock
from tinybms_protocol.plausibility import consistency_warnings
from tinybms_protocol.poll_plan import BlockName

CONSISTENCY_PERIOD_S: Final = 10.0
"""How often live values are checked against each other for the owner's advisories."""
_NO_REGISTERS: Final = frozenset({BlockName.LIMITS_MIN, BlockName.LIMITS_MAX})


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something worth an event: a stable code, words, and info, warning or alarm."""

    code: str
    text: str
    severity: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one poll cycle made. `values`: register values read in this cycle."""

    sample: Sample
    limits: Limits
    alarms: tuple[Alarm, ...]
    faults: tuple[ActiveFault, ...]
    identity: Identity
    advisories: tuple[str, ...]
    soc_unsynchronised_days: float
    values: tuple[RegisterValue, ...]


class Pipeline:
    """Turns blocks into snapshots and keeps all that must be known from one poll to the next.

    `state_at_ns`: CLOCK_BOOTTIME of the sample that `charge_state` was made from, None when the
    state is a fresh one.
    """

    def __init__(
        self,
        *,
        battery: Battery,
        book: CounterBook,
        parameters: ChargeParameters,
        charge_state: ChargeState,
        state_at_ns: int | None,
        modes: Modes,
        soc: SocSync,
    ) -> None:
        self.battery = battery
        self.modes = modes
        self.soc = soc
        self.charge_state = charge_state
        self.state_at_ns = state_at_ns
        self.active_ids: frozenset[int] = frozenset()
        self._book = book
        self._parameters = parameters
        self._faults = FaultTracker()
        self._glitches = GlitchFilter()
        self._decoder = RegisterDecoder()
        self._log_words: tuple[int, ...] | None = None
        self._values: dict[BlockName, tuple[RegisterValue, ...]] = {}
        self._notes: list[Note] = []
        self._consistency: tuple[str, ...] = ()
        self._checked_ns: int | None = None
        self._lifetime_s: int | None = None

    def take(self, block: BlockRead, moment: Moment, seq: int) -> Snapshot | None:
        """Take a block; the snapshot when it was a live block of a known battery.

        `seq`: number of the LIVE_DATA message that will carry the snapshot.
        """
        match block.name:
            case BlockName.LIVE:
                return self._take_live(block.words, moment, seq)
            case BlockName.VERSION:
                self._take_version(block.words)
            case BlockName.SETTINGS:
                self._take_settings(block.words)
            case BlockName.EVENTS:
                self._log_words = block.words
            case _:
                pass
        self._keep_values(block.name, block.words)
        return None

    def line_lost(self) -> None:
        """The BMS was silent or the port was closed: who answers next must say who it is."""
        self.battery.forget()
        self._values.clear()

    def take_notes(self) -> list[Note]:
        """What happened since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def _take_version(self, words: tuple[int, ...]) -> None:
        refused_before = self.battery.refusal
        before = self.battery.serial_number
        if self.battery.take_version(words):
            self._start_afresh()
            text = f"another battery: {self.battery.serial_number} instead of {before}"
            self._notes.append(Note(code="battery_changed", text=text, severity="warning"))
        refusal = self.battery.refusal
        if refusal and refusal != refused_before:
            self._notes.append(Note(code="battery_refused", text=refusal, severity="warning"))

    def _take_settings(self, words: tuple[int, ...]) -> None:
        if self.battery.take_settings(words):
            self._glitches.forget()
            text = f"the number of cells changed to {self.battery.cell_count.accepted}"
            self._notes.append(Note(code="cell_count_changed", text=text, severity="warning"))

    def _take_live(self, words: tuple[int, ...], moment: Moment, seq: int) -> Snapshot | None:
        known = self.battery.settled
        if known is None:
            return None
        live = LiveBlock.from_words(words, firmware=known.version.firmware)
        if self._log_words is not None:
            self._faults.take_log(self._log_words, live.lifetime_s)
            self._log_words = None
        filtered = self._glitches.take(sample_of(live, known, moment, seq))
        for text in filtered.notes:
            self._notes.append(Note(code="doubtful_reading", text=text, severity="warning"))
        # A reading that is held back is not shown by way of its registers either.
        if filtered.alternative is None:
            self._keep_values(BlockName.LIVE, words)
        faults = self._faults.active(filtered.sample, known, moment)
        self._note_faults(faults)
        self._check_consistency(live, known, moment)
        return self._snapshot(filtered, faults, known)

    def _snapshot(
        self, filtered: Filtered, faults: tuple[ActiveFault, ...], known: Settled
    ) -> Snapshot:
        sample = filtered.sample
        ids = self.active_ids
        other = filtered.alternative
        owner = self.modes.owner(sample.boottime_ns)
        doubtful = None if other is None else measurement_of(other, ids, owner=owner)
        measurement = measurement_of(sample, ids, doubtful, owner=owner)
        before_ns = self.state_at_ns
        dt_s = 0.0 if before_ns is None else (sample.boottime_ns - before_ns) / 1e9
        result = step(self.charge_state, measurement, known.limits, self._parameters, dt_s)
        if self.modes.charged(self.charge_state.cycle.mode, result.state.cycle.mode):
            self._notes.append(Note(code="mode_over", text="the top balance is done"))
        self.soc.take(
            sample,
            known.identity,
            full=truly_full(self.charge_state.cycle, result.state.cycle),
            trusted=other is None,
        )
        for note in self.soc.take_notes():
            self._notes.append(Note(code=note.code, text=note.text, severity=note.severity))
        self.charge_state = result.state
        self.state_at_ns = sample.boottime_ns
        self._book.take(sample)
        values = tuple(value for block in self._values.values() for value in block)
        self._values.clear()
        return Snapshot(
            sample=sample,
            limits=result.limits,
            alarms=result.alarms,
            faults=faults,
            identity=known.identity,
            advisories=(
                *self.battery.advisories,
                *self._consistency,
                *result.advisories,
                *self.soc.advisories,
            ),
            soc_unsynchronised_days=self.soc.state.unsynchronised_days,
            values=values,
        )

    def _note_faults(self, faults: tuple[ActiveFault, ...]) -> None:
        ids = event_ids(faults)
        if ids == self.active_ids:
            return
        for fault in faults:
            if fault.number in ids - self.active_ids:
                severity = "alarm" if fault.kind == "fault" else "warning"
                self._notes.append(Note(code="bms_fault", text=fault.text, severity=severity))
        for number in sorted(self.active_ids - ids):
            text = f"the BMS's fault or warning 0x{number:02X} is over"
            self._notes.append(Note(code="bms_fault_over", text=text))
        self.active_ids = ids

    def _check_consistency(self, live: LiveBlock, known: Settled, moment: Moment) -> None:
        """Now and then only: the sentences hold numbers, which would change with every poll."""
        at_ns = self._checked_ns
        if at_ns is not None and moment.boottime_ns - at_ns < CONSISTENCY_PERIOD_S * 1e9:
            return
        self._checked_ns = moment.boottime_ns
        found = consistency_warnings(live, known.cells)
        wrong_sign = sign_warning(live)
        self._consistency = tuple([*found, wrong_sign] if wrong_sign else found)

    def _keep_values(self, name: BlockName, words: tuple[int, ...]) -> None:
        settled = self.battery.settled
        if settled is not None and name not in _NO_REGISTERS:
            firmware = settled.version.firmware
            self._values[name] = self._decoder.values(name, words, firmware)

    def _start_afresh(self) -> None:
        """Another battery: what was learned about the one before does not hold."""
        self._glitches.forget()
        self._faults.forget()
        self._log_words = None
        self.charge_state = ChargeState()
        self.state_at_ns = None
