"""Where the owner's requests to can_out are answered, and where they are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from tinybms_can_out.owner import Owner, ServiceRefused, Wishes, restored
from tinybms_charge.parameters import ChargeParameters
from tinybms_messages.live import LiveData
from tinybms_messages.owner import CanCommand, CanNow, ControlCan
from tinybms_messages.requests import ReplyBody, RequestBody
from tinybms_runtime.requests import RequestRefused, RequestServer
from tinybms_runtime.runner import ServiceContext
from tinybms_runtime.statefile import read_bytes, write_atomic

FILE_NAME: Final = "can-owner"

Newest = Callable[[], tuple[LiveData | None, float | None]]
"""The newest snapshot with a sample, and its age in s."""


class OwnerDesk:
    """Owns what the owner asked for; `owner` is for the core."""

    def __init__(self, context: ServiceContext, parameters: ChargeParameters) -> None:
        self._context = context
        self._path = context.paths.run_file(FILE_NAME)
        self.owner = Owner(parameters, self._load())
        self._kept = self.owner.wishes
        self._server: RequestServer | None = None
        self._newest: Newest = lambda: (None, None)

    def start(self, newest: Newest) -> None:
        """Begin to answer."""
        self._newest = newest
        if self.owner.wishes.stopped_ns is not None:
            self._context.log.warning("still stopped by the owner: tinybms-ctl can start")
        self._server = self._context.serve(self._answer)

    def close(self) -> None:
        """Answer no more; what was asked for stays."""
        if self._server is not None:
            self._server.close()

    def tick(self) -> None:
        """Tell what happened, and keep what has changed."""
        for code, text in self.owner.take_notes():
            self._context.event(code, text)
        if self.owner.wishes != self._kept:
            self._keep()

    def _answer(self, body: RequestBody) -> ReplyBody:
        if not isinstance(body, ControlCan):
            raise RequestRefused("can_out answers control_can alone")
        if not self._context.config.can.enabled:
            raise RequestRefused("CAN is disabled (can.enabled = false)")
        now_ns = self._context.clock.boottime_ns()
        try:
            return self._carry_out(body, now_ns)
        finally:
            self.tick()

    def _carry_out(self, asked: ControlCan, now_ns: int) -> CanNow:
        match asked.command:
            case CanCommand.STOP:
                self.owner.stop(now_ns)
            case CanCommand.START:
                self.owner.start()
            case CanCommand.SERVICE:
                live, age_s = self._newest()
                try:
                    self.owner.begin_service(live, age_s, asked.duration_s, now_ns)
                except ServiceRefused as error:
                    raise RequestRefused(f"no service: {error}") from error
            case CanCommand.SERVICE_END:
                self.owner.end_service()
        return self.owner.now(now_ns)

    def _keep(self) -> None:
        self._kept = self.owner.wishes
        try:
            write_atomic(self._path, msgspec.json.encode(self._kept), durable=False)
        except OSError as error:
            text = f"{self._path}: {error.strerror}; a restart will forget what the owner asked"
            self._context.event("can_owner_not_kept", text, "warning")

    def _load(self) -> Wishes:
        clock = self._context.clock
        try:
            data = read_bytes(self._path)
        except OSError as error:
            self._context.log.warning("%s: %s", self._path, error.strerror)
            data = None
        return restored(data, clock.kernel_boot_id, clock.boottime_ns())
