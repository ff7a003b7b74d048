"""The commands of tinybms-ctl beside a whole gateway."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from harness_sim import wait_until
from harness_stack import Stack

CANARY = "c4nary!p@ss/w:ord"


@pytest.mark.timeout(150)
def test_the_commands_beside_a_whole_gateway(run_dir: Path) -> None:
    secret = run_dir / "secret"
    secret.write_text(f"{CANARY}\n", encoding="utf-8")
    mqtt = {"username": "user-canary", "password_file": str(secret)}
    with Stack(run_dir, tables={"mqtt": mqtt}) as stack:
        stack.wait_until_well()
        _frames(stack)
        _as_json(stack)
        _watch(stack)
        _restart(stack)
        _events(stack)
        _logs(stack)
        _history(stack)
        _bundle(stack, run_dir)


def _frames(stack: Stack) -> None:
    stack.wait_for(
        lambda: len(stack.ctl("frames").stdout.splitlines()) == 50, 20, "fifty frames of the line"
    )
    answer = stack.ctl("frames")
    lines = answer.stdout.splitlines()
    assert (answer.returncode, len(lines)) == (0, 50)
    assert any(" -> asked    AA 03 " in line for line in lines)
    assert any(" <- ok       AA 03 " in line for line in lines)
    document = json.loads(stack.ctl("frames", "--json").stdout)
    assert document["link"]["state"] == "online"
    assert {frame["verdict"] for frame in document["frames"]} >= {"asked", "ok"}


def _as_json(stack: Stack) -> None:
    def said(*words: str) -> Any:  # noqa: ANN401 - whatever the JSON holds
        answer = stack.ctl(*words, "--json")
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    assert said("can", "start") == {"stopped": False, "service_left_s": 0.0}
    assert said("soc", "resume")["allowed"] is False
    steps = said("mqtt", "test")
    assert [step["step"] for step in steps][:3] == ["resolve", "connect", "login"]
    assert all(step["ok"] for step in steps)
    assert said("config", "check")["file"] == str(stack.gateway.config_file)
    assert {row["level"] for row in said("doctor")["findings"]} == {"ok", "warning"}


def _watch(stack: Stack) -> None:
    plain = stack.ctl("watch", "--count", "2", "--interval", "0.2")
    assert plain.returncode == 0
    assert plain.stdout.count("acquisition: running") == 2
    lines = stack.ctl("watch", "--count", "2", "--interval", "0.2", "--json").stdout.splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["ok", "ok"]


def _restart(stack: Stack) -> None:
    before = stack.pids()
    answer = stack.ctl("restart", "buffer", "--json")
    assert answer.returncode == 0, answer.stderr
    after = stack.pids()
    assert json.loads(answer.stdout) == {"process": "buffer", "pid": after["buffer"]}
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed == {"buffer"}
    stack.kill("buffer", signal.SIGSTOP)
    assert stack.ctl("restart", "buffer").returncode == 0
    assert stack.pids()["buffer"] not in {before["buffer"], after["buffer"]}
    refused = stack.ctl("restart", "nothing")
    assert (refused.returncode, "allowed: broker" in refused.stderr) == (2, True)


def _events(stack: Stack) -> None:
    stack.bms.scenario("silence")
    wait_until(lambda: "bms_silent" in stack.ctl("events").stdout, 15.0, "the event")
    stack.bms.scenario("normal")
    rows = [json.loads(line) for line in stack.ctl("events", "--json").stdout.splitlines()]
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert any(row["code"] == "bms_silent" and row["source"] == "acquisition" for row in rows)
    assert len(stack.ctl("events", "-n", "1").stdout.splitlines()) == 1


def _logs(stack: Stack) -> None:
    whole = stack.ctl("logs", "-n", "1000")
    assert whole.returncode == 0
    times = [line.split()[0] for line in whole.stdout.splitlines() if line.startswith("20")]
    assert times == sorted(times)
    one = stack.ctl("logs", "acquisition", "--json", "-n", "3").stdout.splitlines()
    assert {json.loads(line)["process"] for line in one} == {"acquisition"}
    assert stack.ctl("logs", "nothing").returncode == 2
    file, output = stack.paths.log_dir / "acquisition.log", stack.folder / "followed"
    with output.open("wb") as target:
        follower = subprocess.Popen(
            [sys.executable, "-P", "-m", "tinybms_ctl", "logs", "acquisition", "-n", "0", "-f"],
            stdin=subprocess.DEVNULL,
            stdout=target,
            env=stack.environment(),
        )

    def came() -> bool:
        with file.open("a", encoding="utf-8") as log:
            log.write("a line of the test\n")
        return "acquisition: a line of the test" in output.read_text(encoding="utf-8")

    try:
        wait_until(came, 15.0, "the new line")
    finally:
        follower.kill()
        follower.wait()


def _history(stack: Stack) -> None:
    def rows() -> list[dict[str, str]]:
        answer = stack.ctl("history", "--csv")
        assert answer.returncode == 0, answer.stderr
        return list(csv.DictReader(io.StringIO(answer.stdout)))

    wait_until(lambda: len(rows()) >= 3, 15.0, "three rows")
    found = rows()
    assert all(40 < float(row["pack_voltage_v"]) < 60 for row in found)
    assert all(row["time"].endswith("Z") for row in found)
    assert json.loads(stack.ctl("history", "--json").stdout)["columns"][0] == "time"
    bad = stack.ctl("history", "--from", "yesterday")
    assert (bad.returncode, "refuses" in bad.stderr) == (1, True)


def _bundle(stack: Stack, folder: Path) -> None:
    with (stack.paths.log_dir / "mqtt_out.log").open("a", encoding="utf-8") as log:
        log.write(f"url mqtt://user-canary:{CANARY}@host c4nary%21p%40ss%2Fw%3Aord\n")
        log.write("dXNlci1jYW5hcnk6YzRuYXJ5IXBAc3Mvdzpvcmq=\n")
        log.write("a harmless line\n")
    file = folder / "bundle.tar.gz"
    answer = stack.ctl("support-bundle", "--output", str(file))
    assert answer.returncode == 0, answer.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as archive:
        parts = {
            member.name.split("/", 1)[1]: (archive.extractfile(member) or io.BytesIO()).read()
            for member in archive.getmembers()
        }
    assert parts.keys() >= {
        *("doctor.txt", "status.json", "config.json", "versions.json", "frames.txt"),
        *("events.txt", "logs/mqtt_out.log", "logs/acquisition.log"),
    }
    whole = b"\n".join(parts.values())
    for piece in (b"c4nary", b"user-canary", b"YzRuYXJ5", b"%21p%40ss"):
        assert piece not in whole
    assert b"a harmless line" in parts["logs/mqtt_out.log"]
    assert b"gx: ok" in parts["doctor.txt"]
    assert b"-> asked" in parts["frames.txt"]
    assert json.loads(parts["config.json"])["sections"]["mqtt"]["username"] == "***"
    assert json.loads(parts["status.json"])["device"] == "pack1"


def test_the_shell_completes_commands_and_processes() -> None:
    def completed(words: str, at: int) -> list[str]:
        answer = subprocess.run(
            [str(Path(sys.executable).parent / "tinybms-ctl")],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={
                **os.environ,
                "_TINYBMS_CTL_COMPLETE": "complete_bash",
                "COMP_WORDS": words,
                "COMP_CWORD": str(at),
            },
        )
        return answer.stdout.split()

    assert completed("tinybms-ctl sup", 1) == ["support-bundle"]
    assert completed("tinybms-ctl restart can", 2) == ["can_out"]
    assert completed("tinybms-ctl logs sup", 2) == ["supervisord"]
