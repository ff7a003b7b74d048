"""The files of the page at `/`: served from memory, and allowed to load nothing from elsewhere."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_MEDIA: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_FOLDERS: Final = ("", "vendor", "words")

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
        "object-src 'none'"
    ),
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page_routes() -> list[Route]:
    """`/`, and `/page/...` for what it loads."""
    return [
        Route("/", _index),
        Route("/page/{name:path}", _file),
    ]


@cache
def page_files() -> dict[str, bytes]:
    """Content by path below `/page/`."""
    found: dict[str, bytes] = {}
    top = resources.files("tinybms_health") / "page"
    for folder in _FOLDERS:
        for entry in (top / folder if folder else top).iterdir():
            if entry.is_file() and _media(entry.name):
                found[f"{folder}/{entry.name}" if folder else entry.name] = entry.read_bytes()
    return found


async def _index(_request: Request) -> Response:
    return _served("index.html")


async def _file(request: Request) -> Response:
    return _served(request.path_params["name"])


def _served(name: str) -> Response:
    content = page_files().get(name)
    if content is None:
        return Response(b"there is no such file\n", status_code=404, headers=HEADERS)
    return Response(content, headers={**HEADERS, "Content-Type": _media(name)})


def _media(name: str) -> str:
    return _MEDIA.get(f".{name.rpartition('.')[2]}", "")
