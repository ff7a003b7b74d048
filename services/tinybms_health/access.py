"""Who may read the HTTP interface: this machine always, others with the token alone."""

from __future__ import annotations

import hmac
import ipaddress
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE: Final = "tinybms_token"
SHORTEST_TOKEN: Final = 16
_YEAR_S: Final = 365 * 86_400


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host` (an address, or the name localhost)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Access:
    """Lets a request pass to `app`, or answers 401.

    `token` None: everybody may read. A browser gives it once, as `/?token=...`, and keeps a cookie.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token.encode() if token is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or self._token is None or _from_here(scope):
            await self._app(scope, receive, send)
        elif self._right(_query_token(scope)):
            await self._with_cookie(scope)(scope, receive, send)
        elif self._right(_header_token(scope)):
            await self._app(scope, receive, send)
        else:
            text = "a token is needed: open /?token=..., or send 'Authorization: Bearer ...'"
            answer = JSONResponse(
                {"error": text}, status_code=401, headers={"WWW-Authenticate": "Bearer"}
            )
            await answer(scope, receive, send)

    def _right(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(
            given.encode("utf-8", "surrogateescape"), self._token
        )

    @staticmethod
    def _with_cookie(scope: Scope) -> RedirectResponse:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        token = query.pop("token")[0]
        # Below our own path: nobody is sent to another host by a doubled slash.
        path = "/" + str(scope["path"]).lstrip("/")
        rest = urlencode(query, doseq=True)
        answer = RedirectResponse(path + (f"?{rest}" if rest else ""), status_code=303)
        answer.set_cookie(COOKIE, token, max_age=_YEAR_S, httponly=True, samesite="strict")
        return answer


def _from_here(scope: Scope) -> bool:
    client, server = scope.get("client"), scope.get("server")
    if client is None:
        return False
    return is_loopback(client[0]) or (server is not None and client[0] == server[0])


def _query_token(scope: Scope) -> str:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return str(query.get("token", [""])[0])


def _header_token(scope: Scope) -> str:
    headers = Headers(scope=scope)
    kind, _, given = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return given.strip()
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return str(cookie.value) if cookie is not None else ""
