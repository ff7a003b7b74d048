"""Looks for a planted secret in every form in which programs put one into text."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from urllib.parse import quote, quote_plus

_LETTERS_OF_A_CHANCE = 8
"""Fewer letters of base64 in a row would be found by chance."""


def forms_of(secret: str) -> dict[str, str]:
    """Name and text of each form, in lower case; base64 also as a part of a longer text."""
    data = secret.encode()
    forms = {
        "plain": secret,
        "url": quote(secret, safe=""),
        "path of a url": quote(secret),
        "form": quote_plus(secret),
        "json": json.dumps(secret)[1:-1],
        "repr": repr(secret)[1:-1],
        "hex": data.hex(),
        "hex with spaces": data.hex(" "),
        "list of numbers": ", ".join(map(str, data)),
    }
    for before in range(3):
        # The first and last letters also tell of the neighbours.
        middle = base64.b64encode(bytes(before) + data).decode().rstrip("=")[4:-2]
        assert len(middle) >= _LETTERS_OF_A_CHANCE
        forms[f"base64 after {before}"] = middle
        forms[f"url base64 after {before}"] = middle.replace("+", "-").replace("/", "_")
    return {name: form.lower() for name, form in forms.items()}


def traces(text: str, *secrets: str) -> list[str]:
    """What was found of `secrets` in `text`: the form and where, with what stands around it."""
    low = text.lower()
    found = []
    for secret in secrets:
        for name, form in forms_of(secret).items():
            at = low.find(form)
            if at >= 0:
                found.append(f"{name}: {text[max(0, at - 80) : at + len(form) + 20]!r}")
    return found


def support_bundle(config: Path, environ: dict[str, str]) -> str:
    """Everything that is in a support bundle, and what its making said."""
    file = config.with_name("bundle.tar.gz")
    answer = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "tinybms_ctl", "support-bundle"),
            *("--config", str(config), "--output", str(file)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env=environ,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    parts = [answer.stdout, answer.stderr]
    with tarfile.open(file) as archive:
        for member in archive.getmembers():
            data = (archive.extractfile(member) or io.BytesIO()).read()
            parts += [member.name, data.decode("utf-8", "replace")]
    assert len(parts) > 10
    return "\n".join(parts)
