"""Other machines need the token; this machine does not."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tinybms_health.access import COOKIE, Access, is_loopback

TOKEN = "0123456789abcdef+/= x"


def client(host: str, *, token: str | None = TOKEN) -> TestClient:
    def answer(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("here")

    app = Starlette(routes=[Route("/", answer), Route("/{path:path}", answer)])
    return TestClient(
        Access(app, token), client=(host, 40_000), base_url="http://gateway", cookies=None
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert client(host).get("/api/status").status_code == 200


def test_without_a_token_in_the_configuration_nobody_needs_one() -> None:
    assert client("192.0.2.7", token=None).get("/").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": "Bearer \xe9\xff"},
        {"Cookie": f"{COOKIE}=wrong"},
        {"Cookie": "=;;=\x01"},
    ],
)
def test_others_without_it_are_refused(headers: dict[str, str]) -> None:
    raw = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
    answer = client("192.0.2.7").get("/api/status", headers=raw)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "token" in answer.json()["error"]


def test_others_with_it_are_let_in() -> None:
    remote = client("192.0.2.7")
    assert remote.get("/", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert remote.get("/").status_code == 401


def test_a_browser_gives_it_once_and_keeps_a_cookie() -> None:
    remote = client("192.0.2.7")
    answer = remote.get("/", params={"token": TOKEN, "lang": "fr"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?lang=fr")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert remote.get("/").status_code == 200


def test_the_way_back_never_leads_to_another_host() -> None:
    answer = client("192.0.2.7").get(
        "http://gateway//evil.example", params={"token": TOKEN}, follow_redirects=False
    )
    assert answer.headers["location"] == "/evil.example"


@pytest.mark.parametrize(
    ("host", "only_here"),
    [("127.0.0.1", True), ("[::1]", True), ("localhost", True), ("0.0.0.0", False), ("x", False)],
)
def test_which_addresses_are_of_this_machine_alone(host: str, only_here: bool) -> None:
    assert is_loopback(host) is only_here
