"""The stream of `/api/stream`: server-sent events to each client, the newest only.

Frames are made once for all clients, and only while there is one. A client that reads too slowly
misses frames instead of getting old ones later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

STREAMS_AT_MOST: Final = 120
_PING_S: Final = 15.0
_HEADERS: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]
_PING: Final = b": still here\n\n"
_EVENTS_WAIT_AT_MOST: Final = 100


def frame(event: str, data: bytes) -> bytes:
    """`data` (JSON on one line) as a server-sent event."""
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"


class _Client:
    """What waits for one client: the newest frame of each kind, and single events in order."""

    def __init__(self) -> None:
        self.newest: dict[str, bytes] = {}
        self.events: list[bytes] = []
        self.wake = asyncio.Event()

    def take(self) -> bytes:
        """All that waits, and nothing waits any more."""
        text = b"".join((*self.events, *self.newest.values()))
        self.events.clear()
        self.newest.clear()
        self.wake.clear()
        return text


class StreamHub:
    """Hands frames from the loop's thread to the clients, which live in that of the server.

    `on_watched` is called in the server's thread when `watched` has changed.
    """

    def __init__(self, on_watched: Callable[[], None]) -> None:
        self._on_watched = on_watched
        self._clients: set[_Client] = set()
        self._last: dict[str, bytes] = {}
        self._server: asyncio.AbstractEventLoop | None = None
        self.watched = False
        """Whether anybody listens; read by the other thread."""

    def publish(self, kind: str, data: bytes) -> None:
        """Send the newest `kind`, in place of one that still waits. Safe from the other thread."""
        self._hand_over(self._spread, kind, frame(kind, data))

    def publish_event(self, data: bytes) -> None:
        """Send an `event` of its own that no other replaces. Safe from the other thread."""
        self._hand_over(self._spread_event, "event", frame("event", data))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client until it goes."""
        if len(self._clients) >= STREAMS_AT_MOST:
            text = {"error": f"{STREAMS_AT_MOST} clients listen already; try again later"}
            await JSONResponse(text, status_code=503)(scope, receive, send)
            return
        client = _Client()
        client.newest.update(self._last)
        client.wake.set()
        self._enter(client)
        gone = asyncio.ensure_future(_until_gone(receive, client))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            while not gone.done():
                await send(
                    {
                        "type": "http.response.body",
                        "body": await _next(client),
                        "more_body": True,
                    }
                )
        finally:
            gone.cancel()
            self._leave(client)

    def _enter(self, client: _Client) -> None:
        self._server = asyncio.get_running_loop()
        self._clients.add(client)
        if not self.watched:
            self.watched = True
            self._on_watched()

    def _leave(self, client: _Client) -> None:
        self._clients.discard(client)
        if not self._clients:
            self.watched = False
            self._last.clear()
            self._on_watched()

    def _hand_over(self, action: Callable[[str, bytes], None], kind: str, text: bytes) -> None:
        server = self._server
        if not self.watched or server is None:
            return
        try:
            server.call_soon_threadsafe(action, kind, text)
        except RuntimeError:
            # The server ends just now.
            self.watched = False

    def _spread(self, kind: str, text: bytes) -> None:
        if self._clients:
            self._last[kind] = text
        for client in self._clients:
            client.newest[kind] = text
            client.wake.set()

    def _spread_event(self, _kind: str, text: bytes) -> None:
        for client in self._clients:
            if len(client.events) < _EVENTS_WAIT_AT_MOST:
                client.events.append(text)
                client.wake.set()


async def _next(client: _Client) -> bytes:
    try:
        await asyncio.wait_for(client.wake.wait(), _PING_S)
    except TimeoutError:
        return _PING
    return client.take()


async def _until_gone(receive: Receive, client: _Client) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    client.wake.set()
