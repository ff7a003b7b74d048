"""systemd itself as the judge of the units; run by make test-systemd."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from harness_units import GATEWAY, SLCAN, read_unit

pytestmark = pytest.mark.systemd

WORST_EXPOSURE = 3.0


def analyze(*arguments: str) -> str:
    done = subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("unit", [GATEWAY, SLCAN], ids=lambda unit: unit.name)
def test_systemd_finds_no_fault(unit: Path, tmp_path: Path) -> None:
    """The programs are replaced by one that is on every machine, for verify looks for them."""
    text = re.sub(r"^(Exec\w+=-?)\S+", r"\1/bin/true", unit.read_text(), flags=re.MULTILINE)
    copy = tmp_path / unit.name
    copy.write_text(text)
    assert analyze("verify", str(copy)) == ""


def test_systemd_would_have_found_a_fault(tmp_path: Path) -> None:
    copy = tmp_path / GATEWAY.name
    copy.write_text(GATEWAY.read_text().replace("Restart=always", "Restart=perhaps"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False
    )
    assert "restart specifier" in done.stderr


def test_the_exposure_is_small() -> None:
    said = analyze("security", "--offline=true", "--no-pager", str(GATEWAY))
    figure = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert figure is not None, said
    assert float(figure[1]) <= WORST_EXPOSURE


def test_the_names_of_the_system_calls_are_known_to_systemd() -> None:
    known = set(analyze("syscall-filter", "@clock").split())
    words = {
        word for line in read_unit(GATEWAY)["Service.SystemCallFilter"] for word in line.split()
    }
    assert words - {"@system-service"} <= known
