"""The acquisition process: line, pipeline, files and bus tied together on one loop."""

from __future__ import annotations

from typing import Final

import msgspec

from tinybms_acquisition.battery import Battery
from tinybms_acquisition.chargefile import ChargeFile
from tinybms_acquisition.connection import Connection
from tinybms_acquisition.counterfile import CounterFiles
from tinybms_acquisition.framelog import frames_now
from tinybms_acquisition.ownerdesk import OwnerDesk
from tinybms_acquisition.pipeline import Pipeline, Snapshot
from tinybms_acquisition.poller import BlockRead, Poller, Turn
from tinybms_acquisition.publisher import Publisher
from tinybms_acquisition.quiet import QuietMode
from tinybms_acquisition.recorder import Recorder, RecordingContext
from tinybms_acquisition.sample import Moment
from tinybms_acquisition.socfile import SocFile
from tinybms_acquisition.socsync import SET_FULL
from tinybms_charge.parameters import charge_parameters
from tinybms_charge.soc_sync import Outcome
from tinybms_messages.codec import Message
from tinybms_messages.line import FramesNow
from tinybms_messages.live import Link, LiveData
from tinybms_messages.status import CanStatus
from tinybms_messages.topics import CAN_STATUS
from tinybms_protocol.poll_plan import BlockName
from tinybms_protocol.timing import MAX_SILENCE_S
from tinybms_runtime.outage import Outage
from tinybms_runtime.runner import ServiceContext

LONGEST_STEP_S: Final = 1.0
"""More time between two samples (or three polls, if that is more) is not integrated over."""
TICK_S: Final = 0.25
RECHECK_S: Final = 10.0
"""How often a battery that can't be used is asked again who it is."""


class AcquisitionService:
    """Reads the battery and publishes what it says."""

    def __init__(self, context: ServiceContext) -> None:
        config = context.config
        interval_s = config.acquisition.poll_interval_s
        now_s = context.clock.boottime_ns() / 1e9
        parameters = charge_parameters(config)
        self._recorder = Recorder(context, parameters)
        context = RecordingContext.of(context, self._recorder.said)
        self._context = context
        self._poller = Poller(interval_s)
        self._connection = Connection(context, self._poller, self)
        self._counters = CounterFiles(context, longest_step_s=max(LONGEST_STEP_S, 3 * interval_s))
        self._charge = ChargeFile(context)
        self._battery = Battery(config.acquisition.bms_serial)
        self._soc = SocFile(context)
        self._desk = OwnerDesk(
            context,
            catch_up=self._recorder.caught_up,
            frames=self._frames,
            changed=self._modes_changed,
            soc=self._soc,
        )
        self._pipeline = Pipeline(
            battery=self._battery,
            book=self._counters.book,
            parameters=parameters,
            charge_state=self._charge.state,
            state_at_ns=self._charge.state_at_ns,
            modes=self._desk.modes,
            soc=self._soc.sync,
        )
        self._quiet = QuietMode(
            enabled=config.acquisition.quiet_mode, can_enabled=config.can.enabled, now_s=now_s
        )
        self._publisher = Publisher(context)
        self._outage = Outage()
        self._answered_s: float | None = None
        self._poll_time_ms: float | None = None
        self._snapshot: Snapshot | None = None

    def start(self) -> None:
        """Open the port, or begin to look for it."""
        loop = self._context.loop
        self._context.bus.subscribe(CAN_STATUS, self._on_can_status)
        self._recorder.start()
        self._desk.start()
        self._connection.open()
        loop.every(TICK_S, self._tick)
        loop.every(RECHECK_S, self._recheck, first_s=RECHECK_S)

    def stop(self) -> None:
        """Close the port and store what is known."""
        self._connection.close("", retry=False)
        self._charge.keep(self._pipeline.charge_state, self._pipeline.state_at_ns)
        self._counters.close(self._now_s())
        self._soc.store()
        self._desk.close()
        self._recorder.close()

    def state(self) -> tuple[str, str]:
        """See tinybms_runtime.runner.Service."""
        link = self._link()
        return link.state, link.detail

    def on_turn(self, turn: Turn) -> None:
        """See connection.Listener."""
        self._hear_of_write()
        for block in turn.blocks:
            self._on_block(block)
        if turn.lost:
            self._pipeline.line_lost()
            self._connection.search_on()
        if turn.failed is not None and not self._is_answered():
            self._note_silence()
            self._connection.check_path()

    def on_closed(self) -> None:
        """See connection.Listener."""
        self._answered_s = None
        self._pipeline.line_lost()

    def _on_block(self, block: BlockRead) -> None:
        self._answered_s = block.ended_s
        seq = self._publisher.next_seq()
        snapshot = self._pipeline.take(block, self._moment(block.taken_s), seq)
        if snapshot is not None:
            self._poll_time_ms = round((block.ended_s - block.asked_s) * 1e3, 3)
            self._snapshot = snapshot
            live, _ = self._publish()
            self._publisher.publish_values(snapshot, seq)
            self._recorder.live(live, seq)
            self._after_sample(snapshot)
        elif block.name in {BlockName.SETTINGS, BlockName.VERSION}:
            self._after_identity()
        for note in self._pipeline.take_notes():
            self._context.event(note.code, note.text, note.severity)

    def _after_sample(self, snapshot: Snapshot) -> None:
        """What can wait until the snapshot is out."""
        now_s = self._now_s()
        settled = self._battery.settled
        if settled is not None:
            self._quiet.note_sample(
                snapshot.sample,
                self._pipeline.active_ids,
                settled.settings.fully_discharged_voltage_v,
            )
        self._update_quiet(now_s)
        self._connection.steady()
        summary = self._outage.end(now_s)
        if summary is not None:
            text = f"the BMS answers again after {summary.duration_s:.1f} s"
            self._context.event("bms_answers", text)
        self._charge.keep_now_and_then(self._pipeline.charge_state, self._pipeline.state_at_ns)
        self._counters.store(now_s)
        self._set_soc()

    def _hear_of_write(self) -> None:
        written = self._poller.take_written()
        if written is not None:
            self._soc.sync.written(Outcome(written.value))

    def _set_soc(self) -> None:
        """Write SoC when that is wanted, but never without a note that survives us."""
        noted = self._soc.store_when_due()
        if not self._soc.sync.take_write():
            return
        if noted:
            self._poller.write(SET_FULL, self._now_s())
        else:
            self._soc.sync.written(Outcome.NOT_SENT)

    def _after_identity(self) -> None:
        battery = self._battery
        if battery.cell_count.pending:
            self._poller.want(BlockName.SETTINGS)
        self._publisher.publish_settings_if_changed(battery)
        if battery.refusal:
            self._connection.search_on()

    def _on_can_status(self, message: Message[msgspec.Struct]) -> None:
        if isinstance(message.body, CanStatus):
            self._quiet.note_can(message.body, message.header.boottime_ns / 1e9)
            self._update_quiet(self._now_s())

    def _update_quiet(self, now_s: float) -> None:
        quiet = self._quiet.is_quiet(now_s)
        if quiet == self._poller.quiet:
            return
        self._poller.quiet = quiet
        if quiet:
            self._context.event(
                "quiet_mode", "the pack is empty and no GX is heard: looking each 60 s"
            )
        else:
            self._context.event("quiet_mode_over", "polling at full pace again")
            self._poller.look_now(now_s)
            self._connection.work()

    def _modes_changed(self) -> None:
        self._recorder.live(*self._publish())

    def _tick(self) -> None:
        self._desk.tick()
        self._update_quiet(self._now_s())
        if self._publisher.repeat_is_due():
            self._recorder.live(*self._publish())
        self._publisher.repeat_settings()

    def _recheck(self) -> None:
        if self._battery.settled is None:
            self._poller.want(BlockName.VERSION)
            self._poller.want(BlockName.SETTINGS)

    def _note_silence(self) -> None:
        """One line for each outage of the line, whatever it is made of."""
        if self._poller.quiet:
            return
        if self._outage.begin(self._now_s(), self._no_answer()):
            self._context.event("bms_silent", self._no_answer(), "warning")

    def _publish(self) -> tuple[LiveData, int]:
        return self._publisher.publish_live(
            self._snapshot,
            self._counters.counters(),
            self._link(),
            self._desk.modes.active,
            asleep=self._poller.quiet,
        )

    def _link(self) -> Link:
        line = self._poller.line
        state, detail = self._link_state()
        return Link(
            state=state,
            detail=detail,
            port=self._connection.path,
            polls=line.requests,
            replies=line.replies,
            timeouts=line.timeouts,
            overruns=self._poller.overruns,
            reopened=self._connection.reopened,
            line_errors=dict(line.errors),
            poll_time_ms=self._poll_time_ms,
        )

    def _frames(self) -> FramesNow:
        offset_ns = self._context.clock.wall_ns() - self._context.clock.boottime_ns()
        return frames_now(self._poller.line.frames, self._link(), offset_ns)

    def _link_state(self) -> tuple[str, str]:
        if not self._connection.is_open:
            return "no_port", self._connection.detail
        if self._poller.quiet:
            return "asleep", "the pack is empty and no GX is heard"
        if not self._is_answered():
            return "no_answer", self._no_answer()
        if self._battery.refusal:
            return "wrong_battery", self._battery.refusal
        return "online", self._battery.waiting_for

    def _no_answer(self) -> str:
        return (
            f"no valid answer on {self._connection.path}: check cable, BMS supply and that nothing "
            "else uses the line"
        )

    def _is_answered(self) -> bool:
        answered_s = self._answered_s
        if answered_s is None:
            return False
        longest_s = max(MAX_SILENCE_S, 2 * self._context.config.acquisition.poll_interval_s)
        return self._now_s() - answered_s < longest_s

    def _moment(self, taken_s: float) -> Moment:
        clock = self._context.clock
        boottime_ns = round(taken_s * 1e9)
        return Moment(
            boottime_ns=boottime_ns,
            wall_ns=clock.wall_ns() - (clock.boottime_ns() - boottime_ns),
            time_ok=clock.time_ok(),
        )

    def _now_s(self) -> float:
        return self._context.clock.boottime_ns() / 1e9
