"""The paths of the HTTP interface: what each answers, and how its parameters are read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tinybms_health.document import StatusDocument
from tinybms_health.event_log import ASKED_AT_MOST, EventsReport
from tinybms_health.history import HistoryOffError, HistoryReport
from tinybms_health.history_points import BadSpanError, Question, question
from tinybms_health.live_report import LiveReport
from tinybms_health.manifest import Manifest
from tinybms_health.metrics import CONTENT_TYPE
from tinybms_health.openapi import Operation, Parameter, openapi
from tinybms_health.stream import StreamHub
from tinybms_health.web_page import page_routes
from tinybms_runtime.loop import Loop

ANSWER_S: Final = 1.0
_JSON: Final = "application/json"
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_LARGEST_ID: Final = 2**53
_HISTORY_S: Final = 5.0
_TIME: Final = {"type": "string"}

Render = Callable[[], bytes]


class HealthReport(msgspec.Struct, frozen=True, kw_only=True):
    """`status`: ok, partial or down, as in `/api/status`."""

    status: str
    version: str


class BadQueryError(ValueError):
    """A parameter that is not right; the text says which and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where answers come from; each is called by the work loop."""

    status: Render
    health: Render
    live: Render
    manifest: Render
    metrics: Render
    events: Callable[[int, int], bytes]
    """(after, limit)"""
    history: Callable[[Question], Future[bytes]] | None
    """Answers from a thread of its own; None when it is switched off."""


OPERATIONS: Final = (
    Operation(path="/api/status", summary="The whole gateway", type=StatusDocument),
    Operation(path="/api/live", summary="The battery now", type=LiveReport),
    Operation(
        path="/api/stream",
        summary="Server-sent events: live (as it comes), status (each 2 s), event",
        media="text/event-stream",
    ),
    Operation(
        path="/api/events",
        summary="What happened, oldest first",
        type=EventsReport,
        parameters=(
            Parameter(
                name="after",
                text="Only events with a number above this.",
                schema={"type": "integer", "minimum": 0, "maximum": _LARGEST_ID},
            ),
            Parameter(
                name="limit",
                text="At most so many, the newest.",
                schema={"type": "integer", "minimum": 1, "maximum": ASKED_AT_MOST, "default": 100},
            ),
        ),
    ),
    Operation(
        path="/api/history",
        summary="Points of the past; without parameters the last hour",
        type=HistoryReport,
        parameters=(
            Parameter(name="from", text="Begin: ISO 8601 or Unix seconds.", schema=_TIME),
            Parameter(name="to", text="End, now by default.", schema=_TIME),
            Parameter(
                name="step",
                text="Seconds that one row stands for; chosen by the length when left out.",
                schema={"type": "integer", "minimum": 1, "maximum": 999_999_999},
            ),
        ),
    ),
    Operation(path="/api/manifest", summary="Units, registers and GX paths", type=Manifest),
    Operation(path="/healthz", summary="One word", type=HealthReport),
    Operation(path="/metrics", summary="Prometheus text", media="text/plain"),
)


class Routes:
    """Builds the application. Requests are answered by `loop`, which alone knows the state."""

    def __init__(self, sources: Sources, loop: Loop, hub: StreamHub, version: str) -> None:
        self._sources = sources
        self._loop = loop
        self._hub = hub
        self._description = msgspec.json.encode(openapi(version, OPERATIONS))

    def application(self) -> Starlette:
        """The ASGI application, without access control."""
        sources = self._sources
        plain = {
            "/api/status": sources.status,
            "/api/live": sources.live,
            "/api/manifest": sources.manifest,
            "/healthz": sources.health,
        }
        return Starlette(
            routes=[
                *(Route(path, self._plain(render)) for path, render in plain.items()),
                Route("/metrics", self._plain(sources.metrics, CONTENT_TYPE)),
                Route("/api/events", self._events),
                Route("/api/history", self._history),
                Route("/api/openapi.json", self._openapi),
                Route("/api/stream", self._hub, methods=["GET"]),
                *page_routes(),
            ]
        )

    def _plain(
        self, render: Render, media: str = _JSON
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(_request: Request) -> Response:
            return await self._answer(render, media)

        return endpoint

    async def _events(self, request: Request) -> Response:
        try:
            after = whole_number(request.query_params, "after", 0, 0, _LARGEST_ID)
            limit = whole_number(request.query_params, "limit", 100, 1, ASKED_AT_MOST)
        except BadQueryError as error:
            return refused(400, str(error))
        return await self._answer(partial(self._sources.events, after, limit))

    async def _history(self, request: Request) -> Response:
        if self._sources.history is None:
            return refused(503, "the history is switched off: health.history = false")
        try:
            asked = question(dict(request.query_params), time.time())
        except BadSpanError as error:
            return refused(400, str(error))
        try:
            future = asyncio.wrap_future(self._sources.history(asked))
            body = await asyncio.wait_for(future, _HISTORY_S)
        except HistoryOffError as error:
            return refused(503, str(error))
        except TimeoutError:
            return refused(503, f"the history did not answer within {_HISTORY_S:.0f} s")
        return Response(body, headers={**_HEADERS, "Content-Type": _JSON})

    async def _openapi(self, _request: Request) -> Response:
        return Response(self._description, media_type=_JSON, headers=_HEADERS)

    async def _answer(self, render: Render, media: str = _JSON) -> Response:
        future: Future[bytes] = Future()
        self._loop.from_thread(partial(_render_into, future, render))
        try:
            body = await asyncio.wait_for(asyncio.wrap_future(future), ANSWER_S)
        except TimeoutError:
            return refused(503, "health does not answer: its loop hangs")
        return Response(body, headers={**_HEADERS, "Content-Type": media})


def refused(code: int, text: str) -> Response:
    """An error in words."""
    return Response(
        msgspec.json.encode({"error": text}), status_code=code, media_type=_JSON, headers=_HEADERS
    )


def whole_number(query: QueryParams, name: str, default: int, least: int, most: int) -> int:
    """The parameter `name`; BadQueryError when it is no whole number between the bounds."""
    text = query.get(name)
    if text is None:
        return default
    digits = text.strip()
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else -1
    if not least <= number <= most:
        raise BadQueryError(f"{name} = {text[:40]!r}: must be a whole number, {least} to {most}")
    return number


def _render_into(future: Future[bytes], render: Render) -> None:
    if future.set_running_or_notify_cancel():
        future.set_result(render())
