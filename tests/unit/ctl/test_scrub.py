"""No secret passes, in whatever form it got into a text."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_ctl.scrub import Scrubber

CANARY = "c4nary!p@ss/w:ord é+%"

FORMS = {
    "plain": CANARY,
    "url": quote(CANARY, safe=""),
    "path": quote(CANARY),
    "form": quote_plus(CANARY),
    "lower url": quote(CANARY, safe="").lower(),
    "json": json.dumps(CANARY),
    "repr": repr(CANARY),
    "bytes": CANARY.encode().hex(),
    "base64": base64.b64encode(CANARY.encode()).decode(),
    "url base64": base64.urlsafe_b64encode(CANARY.encode()).decode(),
    "basic": base64.b64encode(f"gateway:{CANARY}".encode()).decode(),
    "basic 2": base64.b64encode(f"ab:{CANARY}:more".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_known_secret_is_hidden_in_every_form(form: str) -> None:
    text = Scrubber([CANARY])(f"before {FORMS[form]} behind")
    assert text.startswith("before ")
    assert text.endswith(" behind")
    assert "***" in text
    for piece in (CANARY, quote(CANARY, safe=""), CANARY.encode().hex(), "c4nary"):
        assert piece not in text
    middle = text.removeprefix("before ").removesuffix(" behind")
    assert len(middle) < len(FORMS[form])


@given(
    secret=st.text(st.characters(codec="utf-8"), min_size=6, max_size=30),
    before=st.text(st.characters(codec="ascii"), max_size=9),
)
def test_of_base64_of_a_longer_text_too_little_is_left(secret: str, before: str) -> None:
    whole = base64.b64encode((before + secret).encode()).decode()
    left = Scrubber([secret])(whole)
    assert len(left.replace("***", "")) <= len(whole) - 8 * len(secret.encode()) // 6 + 2


@pytest.mark.parametrize(
    "text",
    [
        "mqtt://user:hunter2@broker",
        'password = "hunter2"',
        '{"password": "hunter2"}',
        "Authorization: Bearer hunter2",
        "token=hunter2&x=1",
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nhunter2 cut off",
    ],
)
def test_what_looks_like_a_secret_is_hidden_without_being_known(text: str) -> None:
    assert "hunter2" not in Scrubber([])(text)


def test_other_text_stays() -> None:
    text = 'status: ok, port 1883, "password_file": "/etc/tinybms/password", 3.29 V\n'
    assert Scrubber(["", CANARY])(text) == text
