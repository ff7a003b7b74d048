"""Where requests to acquisition are answered, and where the owner's modes are kept.

The modes lie in the state folder, for a restart must not undo what the owner asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tinybms_acquisition.modes import ModeRefused, Modes, restored, saved
from tinybms_acquisition.sample import Moment
from tinybms_acquisition.socfile import SocFile
from tinybms_messages.line import FramesNow, ShowFrames
from tinybms_messages.owner import (
    ActiveMode,
    ClearModes,
    ModesNow,
    ResumeSoc,
    SetMode,
    ShowModes,
    SocNow,
    mode_words,
    time_left,
)
from tinybms_messages.requests import CatchUp, CaughtUp, ReplyBody, RequestBody
from tinybms_runtime.requests import RequestRefused, RequestServer
from tinybms_runtime.runner import ServiceContext
from tinybms_runtime.statefile import read_bytes, write_atomic

FILE_NAME: Final = "owner-modes"


class OwnerDesk:
    """Answers requests; `changed` is called when other modes hold than before."""

    def __init__(
        self,
        context: ServiceContext,
        *,
        catch_up: Callable[[CatchUp], CaughtUp],
        frames: Callable[[], FramesNow],
        changed: Callable[[], None],
        soc: SocFile,
    ) -> None:
        self._context = context
        self._soc = soc
        self._catch_up = catch_up
        self._frames = frames
        self._changed = changed
        self._path = context.paths.state_file(FILE_NAME)
        self.modes = self._load()
        self._kept: tuple[ActiveMode, ...] = self.modes.active
        self._server: RequestServer | None = None

    def start(self) -> None:
        """Begin to answer."""
        for mode in self.modes.active:
            left = time_left(mode.left_s(self._context.clock.boottime_ns()))
            self._context.event("mode_kept", f"still asked for: {mode_words(mode)}, {left}")
        self._server = self._context.serve(self._answer)

    def close(self) -> None:
        """Answer no more; the modes stay."""
        if self._server is not None:
            self._server.close()

    def tick(self) -> None:
        """End what is over, and keep what has changed; to be called a few times a second."""
        for mode in self.modes.expired(self._context.clock.boottime_ns()):
            self._context.event("mode_over", f"{mode_words(mode)} is over: its time has ended")
        if self.modes.active != self._kept:
            self._keep()

    def _answer(self, body: RequestBody) -> ReplyBody:
        self.tick()
        match body:
            case CatchUp():
                return self._catch_up(body)
            case ShowFrames():
                return self._frames()
            case SetMode():
                self._set(body)
            case ClearModes():
                for mode in self.modes.clear(body.modes):
                    self._context.event("mode_over", f"{mode_words(mode)} was ended by the owner")
                self._keep()
            case ResumeSoc():
                return self._resume_soc()
            case ShowModes():
                pass
            case _:
                raise RequestRefused("acquisition does not answer this")
        return ModesNow(modes=self.modes.active)

    def _resume_soc(self) -> SocNow:
        sync = self._soc.sync
        if sync.state.blocked:
            sync.resume()
            self._soc.store()
            self._context.event("soc_resumed", "the owner lets SoC be set at a full charge again")
        return SocNow(
            allowed=self._context.config.acquisition.allow_writes,
            unsynchronised_days=sync.state.unsynchronised_days,
        )

    def _set(self, asked: SetMode) -> None:
        now_ns = self._context.clock.boottime_ns()
        try:
            mode = self.modes.set(asked, now_ns)
        except ModeRefused as error:
            raise RequestRefused(str(error)) from error
        text = f"the owner asks for {mode_words(mode)}, {time_left(mode.left_s(now_ns))}"
        self._context.event("mode_set", text)
        self._keep()

    def _keep(self) -> None:
        changed = self.modes.active != self._kept
        self._kept = self.modes.active
        data = saved(self.modes, self._context.clock.kernel_boot_id, self._moment())
        try:
            write_atomic(self._path, data, durable=True)
        except OSError as error:
            text = f"{self._path}: {error.strerror}; a restart will forget the owner's modes"
            self._context.event("modes_not_kept", text, "warning")
        if changed:
            self._changed()

    def _load(self) -> Modes:
        try:
            data = read_bytes(self._path)
        except OSError as error:
            self._context.log.warning("%s: %s; no mode is set", self._path, error.strerror)
            return Modes()
        return restored(data, self._context.clock.kernel_boot_id, self._moment())

    def _moment(self) -> Moment:
        clock = self._context.clock
        return Moment(
            boottime_ns=clock.boottime_ns(), wall_ns=clock.wall_ns(), time_ok=clock.time_ok()
        )
