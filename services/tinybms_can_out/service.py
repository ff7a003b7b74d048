"""The can_out process: bus and CAN channel on either side of the core."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import msgspec

from tinybms_can_out.adapter import Adapter, PythonCanAdapter
from tinybms_can_out.channel import Channel
from tinybms_can_out.core import CanFrame, CanOut
from tinybms_can_out.desk import OwnerDesk
from tinybms_can_out.slcan import SlcanAdapter
from tinybms_can_out.status import can_status
from tinybms_charge.parameters import charge_parameters
from tinybms_config.model import Can
from tinybms_messages.codec import Message
from tinybms_messages.live import LiveData
from tinybms_messages.topics import CAN_STATUS, LIVE_DATA
from tinybms_runtime.runner import ServiceContext
from tinybms_victron.schedule import SLOTS_PER_S

STATUS_PERIOD_S: Final = 1.0
SLOT_EARLY_S: Final = 0.05
"""How much before its time a slot may go out, behind a sample that wakes the process anyway."""


class CanOutService:
    """Sends what the core says, when it says it."""

    def __init__(self, context: ServiceContext, adapter: Adapter | None = None) -> None:
        self._context = context
        self._enabled = context.config.can.enabled
        parameters = charge_parameters(context.config)
        self._desk = OwnerDesk(context, parameters)
        self._core = CanOut(
            device=context.config.gateway.device,
            parameters=parameters,
            kernel_boot_id=context.clock.kernel_boot_id,
            owner=self._desk.owner,
        )
        self._channel = Channel(
            context=context,
            adapter=adapter or make_adapter(context.config.can),
            on_frame=self._heard,
            on_open=self._core.interrupted,
        )
        self._told: set[str] = set()

    def start(self) -> None:
        """See tinybms_runtime.runner.Service."""
        # python-can repeats each failure in lines of its own; the channel says it once.
        logging.getLogger("can").setLevel(logging.CRITICAL)
        loop = self._context.loop
        loop.every(STATUS_PERIOD_S, self._report, early_s=STATUS_PERIOD_S / 5)
        self._desk.start(lambda: self._core.newest(self._now()))
        if not self._enabled:
            return
        self._context.bus.subscribe(LIVE_DATA, self._take)
        self._channel.open()
        loop.every(self._context.config.can.keepalive_period_ms / 1000, self._beat)
        loop.every(1 / SLOTS_PER_S, self._slot, early_s=SLOT_EARLY_S)

    def stop(self) -> None:
        """See tinybms_runtime.runner.Service."""
        self._desk.close()
        self._channel.close()

    def state(self) -> tuple[str, str]:
        """See tinybms_runtime.runner.Service."""
        status = can_status(self._context.config.can, self._core, self._channel, self._now())
        return status.state, status.detail

    def _take(self, message: Message[msgspec.Struct]) -> None:
        if isinstance(message.body, LiveData):
            self._core.take(message.header, message.body)
            self._send(self._core.urgent(self._now()))

    def _beat(self) -> None:
        self._send(self._core.limits(self._now()))

    def _slot(self) -> None:
        self._channel.look()
        self._send(self._core.slot(self._now()))
        self._desk.tick()

    def _send(self, frames: Sequence[CanFrame]) -> None:
        for frame in frames:
            if self._channel.send(frame):
                self._core.sent(frame, self._now())

    def _heard(self, frame: CanFrame) -> None:
        self._core.received(frame, self._now())

    def _report(self) -> None:
        now_ns = self._now()
        status = can_status(self._context.config.can, self._core, self._channel, now_ns)
        self._context.bus.publish(CAN_STATUS, status)
        self._tell_once("refused", self._core.last_refusal, "frame held back")
        self._tell_once("clamped", ", ".join(self._core.clamped(now_ns)), "value beyond its field")

    def _tell_once(self, kind: str, what: str, text: str) -> None:
        """One warning for each kind of oddity in the process's life; counters tell the rest."""
        if what and kind not in self._told:
            self._told.add(kind)
            self._context.event(f"can_{kind}", f"{text}: {what}", "warning")

    def _now(self) -> int:
        return self._context.clock.boottime_ns()


def make_adapter(config: Can) -> Adapter:
    """The adapter for the configured interface."""
    return SlcanAdapter(config) if config.interface == "slcan" else PythonCanAdapter(config)
