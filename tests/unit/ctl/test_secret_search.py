"""The search for a planted secret finds it: one that finds nothing would prove nothing."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

import pytest

from harness_secrets import traces

SECRET = "canary-91c4!@/:wörd+\\"

LEAKS = {
    "plain": f"password {SECRET} refused",
    "upper": f"password {SECRET.upper()} refused",
    "url": f"mqtt://gateway:{quote(SECRET, safe='')}@host",
    "path": f"/{quote(SECRET)}/",
    "form": f"password={quote_plus(SECRET)}&x=1",
    "repr": f"ValueError({SECRET!r})",
    "hex": SECRET.encode().hex(),
    "dump": SECRET.encode().hex(" "),
    "bytes": str(list(SECRET.encode())),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "basic": base64.b64encode(f"gateway:{SECRET}".encode()).decode(),
    "between": base64.b64encode(f"ab:{SECRET}:more".encode()).decode(),
    "url base64": base64.urlsafe_b64encode(f"x{SECRET}".encode()).decode(),
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS.keys())
def test_a_leak_is_found_in_every_form(leak: str) -> None:
    assert traces(f"before {leak} behind", "another-secret", SECRET)


def test_nothing_is_found_where_nothing_is() -> None:
    assert traces("status: not authorized, canary-fish, Y2FuYXJ5", SECRET) == []
