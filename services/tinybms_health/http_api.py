"""The HTTP interface: uvicorn in a thread of its own, answers made by the service's loop.

A request is handed to the loop and waits for its answer at most a second. So one thread alone
touches what is known, and a loop that hangs shows as 503, never as old figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from tinybms_health.access import SHORTEST_TOKEN, Access
from tinybms_health.http_protocol import HEAD_BYTES, BoundedProtocol
from tinybms_runtime.backoff import Backoff
from tinybms_runtime.loop import Loop

_BACKLOG: Final = 128
_IDLE_S: Final = 5
_STOP_S: Final = 2.0
_DATE_PERIOD_S: Final = 1.0


class HttpApi:
    """Serves `app` on host:port, and tries again while that is taken or the token is missing.

    `token_file`: others than this machine must show its content; None asks nobody. The callbacks
    are run by the loop: `on_listening` with the URL, `on_refused` once for each reason why the
    address cannot be had.
    """

    def __init__(
        self,
        app: ASGIApp,
        listen: str,
        loop: Loop,
        *,
        token_file: str | None,
        on_listening: Callable[[str], None],
        on_refused: Callable[[str], None],
    ) -> None:
        host, port = listen.rsplit(":", 1)
        self._address = (host.strip("[]"), int(port))
        self._app = app
        self._loop = loop
        self._token_file = token_file
        self._on_listening = on_listening
        self._on_refused = on_refused
        self._stopping = threading.Event()
        self._server: _Server | None = None
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> None:
        """Begin to listen, now or as soon as the address is free."""
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and end the thread."""
        self._stopping.set()
        if self._server is not None:
            self._server.end()
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        backoff = Backoff(0.5, 30.0)
        reason = ""
        while not self._stopping.is_set():
            try:
                token = _token(self._token_file)
                listener = _listen(self._address)
            except (OSError, ValueError) as error:
                text = self._refusal(error)
                if text != reason:
                    reason = text
                    self._loop.from_thread(partial(self._on_refused, text))
                self._stopping.wait(backoff.next_delay_s())
                continue
            text = f"http://{self._address[0]}:{self._address[1]}/api/status"
            self._loop.from_thread(partial(self._on_listening, text))
            self._server = _Server(_settings(Access(self._app, token)))
            with listener:
                if self._stopping.is_set():
                    return
                asyncio.run(self._server.serve(sockets=[listener]))
            return

    def _refusal(self, error: OSError | ValueError) -> str:
        if isinstance(error, OSError) and error.filename is None:
            where = f"{self._address[0]}:{self._address[1]}"
            return f"cannot listen on {where}: {error.strerror}"
        why = error.strerror if isinstance(error, OSError) else str(error)
        return f"cannot listen: health.token_file = {self._token_file!r}: {why}"


class _Server(uvicorn.Server):
    """Looks once a second, for the Date of its answers, where uvicorn wakes ten times."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()
        self._running: asyncio.AbstractEventLoop | None = None

    def end(self) -> None:
        """Close all connections and stop serving soon; may be called by any thread."""
        self.should_exit = True
        if self._running is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._running.call_soon_threadsafe(self._ending.set)

    async def main_loop(self) -> None:
        """See uvicorn.Server."""
        self._running = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DATE_PERIOD_S):
                    await self._ending.wait()


def _settings(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.CRITICAL,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEAD_BYTES,
        backlog=_BACKLOG,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=1,
    )


def _token(name: str | None) -> str | None:
    if name is None:
        return None
    token = Path(name).read_text(encoding="utf-8").strip()
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        raise ValueError(
            f"must hold one line of at least {SHORTEST_TOKEN} ASCII characters; make one with "
            "openssl rand -hex 24"
        )
    return token


def _listen(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return socket.create_server(address, family=family, backlog=_BACKLOG)
