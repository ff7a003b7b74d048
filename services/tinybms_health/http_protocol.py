"""Connections that cost nothing: uvicorn's HTTP protocol with bounds on number, size and time.

uvicorn closes a connection that is idle *after* a request, but waits for ever for the first one,
and for ever for a client that does not read. Both would let a few hundred mute clients keep
everybody else out.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS_AT_MOST: Final = 200
HEAD_WITHIN_S: Final = 10.0
"""Time for the whole head of a first request."""
READ_WITHIN_S: Final = 15.0
"""Time in which a client must take what was sent to it."""
HEAD_BYTES: Final = 16 * 1024
_SEND_BUFFER: Final = 64 * 1024


class BoundedProtocol(H11Protocol):
    """One connection. When there are too many, the oldest without a request gives way."""

    _head_timer: asyncio.TimerHandle | None = None
    _read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """See asyncio.Protocol."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_SEND_BUFFER)
        self._head_timer = self.loop.call_later(HEAD_WITHIN_S, self._head_is_late)
        if len(self.connections) > CONNECTIONS_AT_MOST:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._cancel_timers()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        super().pause_writing()
        self._read_timer = self.loop.call_later(READ_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        super().resume_writing()
        if self._read_timer is not None:
            self._read_timer.cancel()

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self._asked and not self.cycle.response_complete

    @property
    def age_key(self) -> float:
        """Smaller for older connections."""
        return self._head_timer.when() if self._head_timer is not None else 0.0

    @property
    def _asked(self) -> bool:
        # uvicorn's type says that there always is one; before the first request there is not.
        cycle: object | None = self.cycle
        return cycle is not None

    def _head_is_late(self) -> None:
        if not self._asked:
            self.transport.abort()

    def _make_room(self) -> None:
        idle = [
            other
            for other in self.connections
            if isinstance(other, BoundedProtocol) and not other.busy and other is not self
        ]
        oldest = min(idle, key=lambda other: other.age_key, default=self)
        self.connections.discard(oldest)
        oldest.transport.abort()

    def _cancel_timers(self) -> None:
        for timer in (self._head_timer, self._read_timer):
            if timer is not None:
                timer.cancel()
