"""What every service does alike, shown with the smallest of them, the broker."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from harness_gateway import BusProbe, GatewayFolder
from tinybms_messages.topics import HEARTBEAT


def run_broker(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "tinybms_broker", *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={**os.environ, **environ},
    )


def test_a_bad_configuration_ends_with_78_and_all_problems(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("[can]\nbitrate = 3\nchanel = 1\n", encoding="utf-8")
    ended = run_broker("--config", str(file))
    assert ended.returncode == 78
    assert "can.bitrate" in ended.stderr
    assert "can.chanel" in ended.stderr
    assert str(file) in ended.stderr


def test_a_missing_configuration_names_the_file(tmp_path: Path) -> None:
    ended = run_broker("--config", str(tmp_path / "none.toml"))
    assert ended.returncode == 78
    assert "none.toml" in ended.stderr
    assert "No such file" in ended.stderr


def test_the_same_problems_are_printed_once_for_each_change_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    environ = {"TINYBMS_CONFIG": str(file), "TINYBMS_RUN_DIR": str(tmp_path)}
    file.write_text("[can]\nbitrate = 3\n", encoding="utf-8")
    assert "can.bitrate" in run_broker(**environ).stderr
    assert run_broker(**environ).stderr == ""
    file.write_text("[can]\nbitrate = 4\n", encoding="utf-8")
    assert "can.bitrate = 4" in run_broker(**environ).stderr


def test_a_device_that_the_file_does_not_name_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(f'[gateway]\nrun_dir = "{tmp_path}"\n', encoding="utf-8")
    ended = run_broker("--config", str(file), "--device", "pack2")
    assert ended.returncode == 78
    assert "pack2" in ended.stderr


def test_a_run_folder_that_can_not_be_made_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    file = tmp_path / "gateway.toml"
    file.write_text(f'[gateway]\nrun_dir = "{tmp_path}/taken/run"\n', encoding="utf-8")
    ended = run_broker("--config", str(file))
    assert ended.returncode == 78
    assert "must be writable" in ended.stderr


def test_a_broken_log_pipe_does_not_end_the_process(run_dir: Path) -> None:
    reader, writer = os.pipe()
    with GatewayFolder(run_dir, {}) as gateway, BusProbe(gateway.paths) as probe:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tinybms_broker", "--config", str(gateway.config_file)],
            stdout=writer,
            stderr=writer,
        )
        gateway.processes["broker"] = process
        os.close(writer)
        os.close(reader)
        probe.listen(HEARTBEAT)
        assert probe.wait_for(lambda: len(probe.messages["HEARTBEAT"]) >= 2)
        assert gateway.stop("broker") == 0


def test_log_lines_are_json_and_name_the_start_and_the_end(run_dir: Path) -> None:
    with GatewayFolder(run_dir, {}) as gateway, BusProbe(gateway.paths) as probe:
        gateway.start("broker")
        probe.listen(HEARTBEAT)
        assert probe.wait_for(lambda: bool(probe.messages["HEARTBEAT"]))
        gateway.stop("broker")
        lines = gateway.log("broker").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["started", "stopped"]


def test_the_heartbeat_stops_while_the_process_is_stopped_and_returns(run_dir: Path) -> None:
    with GatewayFolder(run_dir, {}) as gateway, BusProbe(gateway.paths) as probe:
        process = gateway.start("broker")
        probe.listen(HEARTBEAT)
        assert probe.wait_for(lambda: bool(probe.messages["HEARTBEAT"]))
        process.send_signal(signal.SIGSTOP)
        held = len(probe.messages["HEARTBEAT"])
        assert not probe.wait_for(lambda: len(probe.messages["HEARTBEAT"]) > held + 1, 2.5)
        process.send_signal(signal.SIGCONT)
        assert probe.wait_for(lambda: len(probe.messages["HEARTBEAT"]) > held + 1)
