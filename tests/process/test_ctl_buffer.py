"""`tinybms-ctl buffer` beside a running buffer process and without one."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_clock import FakeClock
from fake_critical import make_alarm, make_record
from fake_store import open_store
from harness_gateway import GatewayFolder
from harness_sim import wait_until
from tinybms_messages.requests import StoredRecord

DAY_NS = 86_400 * 10**9
OLD = 30


class Rig:
    """A gateway folder whose database holds old and new records."""

    def __init__(self, gateway: GatewayFolder, now_ns: int) -> None:
        self.gateway = gateway
        self.path = gateway.paths.state_file("buffer.sqlite")
        store = open_store(self.path, FakeClock())
        store.append(
            [make_record(n, wall_ns=now_ns - 10 * DAY_NS) for n in range(1, OLD + 1)]
            + [make_alarm(OLD + 1, wall_ns=now_ns, text='SoC "low", 9 %')]
        )
        store.close()

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "tinybms_ctl", "buffer", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "TINYBMS_CONFIG": str(self.gateway.config_file)},
            check=False,
        )

    def start(self) -> None:
        self.gateway.start("broker")
        self.gateway.start("buffer")
        wait_until(lambda: self.state() != "down", 10.0, "a buffer that is heard")

    def state(self) -> str:
        return str(self.status()["state"])

    def status(self) -> dict[str, object]:
        answer: dict[str, object] = json.loads(self.ctl("status", "--json").stdout)
        return answer

    def stored(self) -> list[StoredRecord]:
        store = open_store(self.path, FakeClock())
        try:
            return store.claim("test", 100)
        finally:
            store.close()


@pytest.fixture
def rig(run_dir: Path) -> Iterator[Rig]:
    with GatewayFolder(run_dir, {}) as gateway:
        yield Rig(gateway, time.time_ns())


def test_what_is_stored_is_listed_and_exported_without_the_process(rig: Rig) -> None:
    assert (rig.state(), rig.status()["rows"]) == ("down", OLD + 1)
    listed = rig.ctl("list", "--limit", "5").stdout.splitlines()
    assert len(listed) == 6
    assert "soc_percent" in listed[0]
    assert f"of {OLD + 1}" in listed[5]
    rows = list(csv.DictReader(io.StringIO(rig.ctl("export", "--csv").stdout)))
    lines = [json.loads(line) for line in rig.ctl("export", "--jsonl").stdout.splitlines()]
    assert len(rows) == len(lines) == OLD + 1
    assert [row["seq"] for row in rows] == [str(line["seq"]) for line in lines]
    assert (lines[-1]["text"], lines[-1]["value"], lines[-1]["raw"]) == ('SoC "low", 9 %', 1, None)
    assert rows[-1]["text"] == 'SoC "low", 9 %'
    assert len(rig.stored()) == OLD + 1


def test_an_export_to_a_file_says_nothing(rig: Rig) -> None:
    file = rig.gateway.folder / "records.jsonl"
    answer = rig.ctl("export", "--jsonl", "--output", str(file))
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    assert len(file.read_text().splitlines()) == OLD + 1


def left(rig: Rig) -> tuple[list[int], list[str]]:
    """Numbers of the samples and alarms that are left, and codes of what says they are missing."""
    records = [stored.record for stored in rig.stored()]
    codes = [str(record.value) for record in records if record.suffix == "event"]
    return [record.seq for record in records if record.suffix != "event"], codes


def test_old_records_are_dropped_without_the_process(rig: Rig) -> None:
    answer = rig.ctl("drop", "--older-than", "7d")
    assert (answer.returncode, answer.stdout) == (0, f"{OLD} records dropped\n")
    assert left(rig) == ([OLD + 1], ["records_expired"])


def test_old_records_are_dropped_by_the_process_while_it_runs(rig: Rig) -> None:
    rig.start()
    assert rig.status()["rows"] == OLD + 1
    answer = rig.ctl("drop", "--older-than", "7d")
    assert (answer.returncode, answer.stdout) == (0, f"{OLD} records dropped\n"), answer.stderr
    wait_until(lambda: rig.status()["rows"] == 2, 10.0, "the rows that are left")
    rig.gateway.stop("buffer")
    assert left(rig) == ([OLD + 1], ["records_expired"])


def test_mistakes_are_told_in_words(rig: Rig) -> None:
    answer = rig.ctl("drop", "--older-than", "soon")
    assert (answer.returncode, "7d" in answer.stderr) == (2, True)
    assert rig.ctl("export").returncode == 2
    rig.path.unlink()
    answer = rig.ctl("list")
    assert (answer.returncode, "nothing is stored" in answer.stderr) == (0, True)
    assert (answer.stdout, json.loads(rig.ctl("list", "--json").stdout)) == ("", [])
    assert json.loads(rig.ctl("drop", "--older-than", "7d", "--json").stdout) == {"dropped": 0}
    rig.path.write_bytes(b"no database at all" * 20)
    answer = rig.ctl("list")
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
