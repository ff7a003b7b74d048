"""The HTTP interface: uvicorn in a thread of its own, answers made by the service's loop.

A request is handed to the loop and waits for its answer at most a second. So one thread alone
touches what is known, and a loop that hangs shows as 503, never as old figures.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tinybms_runtime.backoff import Backoff
from tinybms_runtime.loop import Loop

ANSWER_S: Final = 1.0
_CONNECTIONS: Final = 64
_IDLE_S: Final = 5
_STOP_S: Final = 2.0
_JSON: Final = "application/json"

Render = Callable[[], bytes]


class HttpApi:
    """Serves `GET /api/status` and `/healthz` on host:port, and tries again while that is taken.

    Every callback is run by the loop: `render_*` for each request, `on_listening` with the URL,
    `on_refused` once for each reason why the address cannot be had.
    """

    def __init__(
        self,
        listen: str,
        loop: Loop,
        *,
        render_status: Render,
        render_health: Render,
        on_listening: Callable[[str], None],
        on_refused: Callable[[str], None],
    ) -> None:
        host, port = listen.rsplit(":", 1)
        self._address = (host.strip("[]"), int(port))
        self._loop = loop
        self._on_listening = on_listening
        self._on_refused = on_refused
        self._stopping = threading.Event()
        self._server = uvicorn.Server(self._settings(render_status, render_health))
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> None:
        """Begin to listen, now or as soon as the address is free."""
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and end the thread."""
        self._stopping.set()
        self._server.should_exit = True
        self._thread.join(_STOP_S)

    def _settings(self, render_status: Render, render_health: Render) -> uvicorn.Config:
        async def status(_request: Request) -> Response:
            return await self._answer(render_status)

        async def health(_request: Request) -> Response:
            return await self._answer(render_health)

        return uvicorn.Config(
            Starlette(routes=[Route("/api/status", status), Route("/healthz", health)]),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.CRITICAL,
            access_log=False,
            server_header=False,
            limit_concurrency=_CONNECTIONS,
            backlog=_CONNECTIONS,
            timeout_keep_alive=_IDLE_S,
            timeout_graceful_shutdown=1,
        )

    async def _answer(self, render: Render) -> Response:
        future: Future[bytes] = Future()
        self._loop.from_thread(partial(_render_into, future, render))
        try:
            body = await asyncio.wait_for(asyncio.wrap_future(future), ANSWER_S)
        except TimeoutError:
            text = b'{"error": "health does not answer: its loop hangs"}'
            return Response(text, status_code=503, media_type=_JSON)
        return Response(body, media_type=_JSON, headers={"Cache-Control": "no-store"})

    def _run(self) -> None:
        backoff = Backoff(0.5, 30.0)
        reason = ""
        while not self._stopping.is_set():
            try:
                listener = _listen(self._address)
            except OSError as error:
                text = f"cannot listen on {self._address[0]}:{self._address[1]}: {error.strerror}"
                if text != reason:
                    reason = text
                    self._loop.from_thread(partial(self._on_refused, text))
                self._stopping.wait(backoff.next_delay_s())
                continue
            text = f"http://{self._address[0]}:{self._address[1]}/api/status"
            self._loop.from_thread(partial(self._on_listening, text))
            with listener:
                asyncio.run(self._server.serve(sockets=[listener]))
            return


def _listen(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return socket.create_server(address, family=family, backlog=_CONNECTIONS)


def _render_into(future: Future[bytes], render: Render) -> None:
    if future.set_running_or_notify_cancel():
        future.set_result(render())
