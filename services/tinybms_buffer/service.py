"""The buffer process: reports that it stores nothing, and writes no file."""

from __future__ import annotations

from typing import Final

from tinybms_messages.status import BufferStatus
from tinybms_messages.topics import BUFFER_STATUS
from tinybms_runtime.runner import ServiceContext

_PERIOD_S: Final = 1.0


class BufferService:
    """Publishes BUFFER_STATUS each second.

    `disabled` when [buffer] is off; `idle` else, also while MQTT is off, for then nothing is owed.
    """

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._state = "idle" if context.config.buffer.enabled else "disabled"

    def start(self) -> None:
        """Plan the reports."""
        self._context.loop.every(_PERIOD_S, self._report)

    def stop(self) -> None:
        """Nothing is held."""

    def state(self) -> tuple[str, str]:
        """See tinybms_runtime.runner.Service."""
        return self._state, ""

    def _report(self) -> None:
        self._context.bus.publish(BUFFER_STATUS, BufferStatus(state=self._state))
