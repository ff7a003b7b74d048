"""tinybms-ctl init beside simulated batteries: finds the port, changes nothing, writes a file."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from harness_sim import SimBms
from tinybms_config.parse import parse


def init(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-P", "-m", "tinybms_ctl", "init", "--yes"),
            *("--config", str(folder / "gateway.toml"), "--search", f"{folder}/ports/*-port"),
            *options,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_port_with_a_battery_is_found_among_others(run_dir: Path) -> None:
    folder = run_dir / "ports"
    with SimBms(folder, name="b-port") as bms:
        far, near = pty.openpty()
        try:
            (folder / "a-port").symlink_to(os.ttyname(near))
            answer = init(run_dir, "--json", "--can", "slcan:/dev/ttyACM0", "--mqtt", "h.lan:8883")
        finally:
            os.close(far)
            os.close(near)
        assert answer.returncode == 0, answer.stderr
        assert bms.status()["requests"] == 1
    document = json.loads(answer.stdout)
    assert document["port"] == str(folder / "b-port")
    assert document["firmware"] > 200
    assert (run_dir / "gateway.toml").stat().st_mode & 0o777 == 0o644
    text = (run_dir / "gateway.toml").read_text(encoding="utf-8")
    config = parse(text, {}).config
    assert config.acquisition.port == str(folder / "b-port")
    assert (config.can.interface, config.can.channel) == ("slcan", "/dev/ttyACM0")
    assert (config.mqtt.host, config.mqtt.port) == ("h.lan", 8883)
    assert document["serial_number"] in text


def test_without_a_battery_nothing_is_written_and_what_was_tried_is_said(run_dir: Path) -> None:
    folder = run_dir / "ports"
    with SimBms(folder, name="a-port") as bms:
        bms.scenario("silence")
        answer = init(run_dir)
    assert answer.returncode == 1
    assert f"tried {folder}/a-port: not one byte came" in answer.stderr
    assert not (run_dir / "gateway.toml").exists()


def test_a_port_that_is_named_is_taken_without_an_answer_with_a_warning(run_dir: Path) -> None:
    answer = init(run_dir, "--port", "/dev/none", "--can", "off")
    assert answer.returncode == 0
    assert "no TinyBMS answers" in answer.stderr
    assert (
        parse((run_dir / "gateway.toml").read_text(encoding="utf-8"), {}).config.can.enabled
        is False
    )


def test_a_file_that_is_there_stays_unless_forced(run_dir: Path) -> None:
    file = run_dir / "gateway.toml"
    file.write_text("# mine\n", encoding="utf-8")
    refused = init(run_dir, "--port", "/dev/none")
    assert (refused.returncode, file.read_text(encoding="utf-8")) == (1, "# mine\n")
    assert "--force" in refused.stderr
    assert init(run_dir, "--port", "/dev/none", "--force").returncode == 0
    assert "port =" in file.read_text(encoding="utf-8")


def test_two_batteries_are_not_guessed_between(run_dir: Path) -> None:
    folder = run_dir / "ports"
    with SimBms(folder, name="a-port"), SimBms(folder, name="b-port"):
        answer = init(run_dir)
    assert answer.returncode == 1
    assert "--port" in answer.stderr
    assert "a-port" in answer.stderr
    assert "b-port" in answer.stderr


def test_options_that_the_configuration_refuses_are_named(run_dir: Path) -> None:
    answer = init(run_dir, "--port", "/dev/none", "--device", "No Spaces")
    assert answer.returncode == 1
    assert "gateway.device" in answer.stderr
    assert not (run_dir / "gateway.toml").exists()
