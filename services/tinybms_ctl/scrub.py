"""Takes secrets out of text, in every form in which they could have got there: pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

HIDDEN: Final = "***"
_SHORTEST_BASE64: Final = 4
"""Shorter pieces of base64 would hit words that are none."""
_URL_USER: Final = re.compile(r"(?<=://)[^/\s:@\"']+:[^/\s@\"']+(?=@)")
_NAMED: Final = re.compile(
    r"""(?ix)((?:password|passwd|token|secret|authorization)["']?\s*[:=]\s*["']?(?:bearer\s+)?)
    ([^\s"',;&]+)"""
)
_KEY_FILE: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL
)


class Scrubber:
    """Hides `secrets`, and whatever looks like one, in texts."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        longest_first = sorted(forms, key=len, reverse=True)
        pattern = "|".join(re.escape(form) for form in longest_first)
        self._known = re.compile(pattern, re.IGNORECASE) if pattern else None

    def __call__(self, text: str) -> str:
        """`text` without secrets."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        text = _KEY_FILE.sub(HIDDEN, text)
        text = _URL_USER.sub(HIDDEN, text)
        return _NAMED.sub(rf"\g<1>{HIDDEN}", text)


def _forms(secret: str) -> Iterator[str]:
    data = secret.encode("utf-8", "surrogateescape")
    yield secret
    yield quote(data, safe="")
    yield quote(data)
    yield quote_plus(data)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield data.hex()
    yield from (form for form in _base64_forms(data) if len(form) >= _SHORTEST_BASE64)


def _base64_forms(data: bytes) -> Iterator[str]:
    """What of `data` is always the same in base64, wherever in a longer text it stands."""
    for before in range(3):
        padded = bytes(before) + data
        text = base64.b64encode(padded).decode("ascii")
        first = -(-8 * before // 6)
        last = 8 * len(padded) // 6
        yield text[first:last]
        yield text[first:last].replace("+", "-").replace("/", "_")
