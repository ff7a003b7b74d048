"""Reads systemd's own file form; configparser would lose keys that are given twice."""

from __future__ import annotations

from pathlib import Path

SYSTEMD = Path(__file__).parents[2] / "deploy" / "systemd"
GATEWAY = SYSTEMD / "tinybms-gateway.service"
SLCAN = SYSTEMD / "tinybms-slcan@.service"
NETWORK = SYSTEMD / "80-can0.network"


def read_unit(file: Path) -> dict[str, list[str]]:
    """Values by `Section.Key`, in their order; AssertionError for a line of no known form."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        key, equals, value = line.partition("=")
        assert section, f"{file.name}: {line!r} stands before the first section"
        assert equals == "=", f"{file.name}: {line!r} is no setting"
        assert key.isalnum(), f"{file.name}: {key!r} is no key"
        found.setdefault(f"{section}.{key}", []).append(value)
    return found
