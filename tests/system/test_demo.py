"""The demo shows data on CAN and MQTT, and leaves no process and no file outside .demo."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness_sim import wait_until

OURS = ("TINYBMS_CONFIG", "TINYBMS_RUN_DIR", "TINYBMS_LOG_DIR")


class Demo:
    """The demo in `folder`, its output in a file."""

    def __init__(self, folder: Path, *arguments: str, tmp: Path | None = None) -> None:
        self.output = folder / "output"
        environment = {k: v for k, v in os.environ.items() if k not in OURS}
        if tmp is not None:
            environment["XDG_RUNTIME_DIR"] = str(tmp)
        self.folder = folder
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tinybms_ctl", "demo", *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def shows_data(self) -> bool:
        return bool(re.search(r"^demo: ok; CAN: .* V, .*MQTT: .* V, ", self.text(), re.MULTILINE))

    def wait_for_data(self) -> None:
        try:
            wait_until(self.shows_data, 60, "data on CAN and MQTT")
        except AssertionError as error:
            self.process.terminate()
            self.process.wait(40)
            raise AssertionError(f"{error}\n{self.text()}") from None

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)


def names_in(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_shows_data_until_it_is_told_to_end(run_dir: Path, number: signal.Signals) -> None:
    demo = Demo(run_dir)
    demo.wait_for_data()
    assert demo.end(number) == 0
    assert names_in(run_dir) == {"output", ".demo"}
    assert names_in(run_dir / ".demo") >= {"gateway.toml", "log"}
    assert not (run_dir / ".demo" / "run").exists()
    assert "Traceback" not in demo.text()


@pytest.mark.long
@pytest.mark.timeout(120)
def test_a_long_path_is_no_hindrance_and_the_short_folder_is_removed(run_dir: Path) -> None:
    folder = run_dir / ("a-folder-with-a-long-name-" * 4)
    short = run_dir / "short"
    for each in (folder, short):
        each.mkdir()
    demo = Demo(folder, tmp=short)
    demo.wait_for_data()
    assert len(names_in(short)) == 1
    assert demo.end(signal.SIGTERM) == 0
    assert names_in(short) == set()
    assert names_in(folder) == {"output", ".demo"}


def test_it_can_end_by_itself_and_tells_when_nothing_arrived(run_dir: Path) -> None:
    demo = Demo(run_dir, "--seconds", "0.1")
    assert demo.process.wait(40) == 1
    assert "no data arrived" in demo.text()


def test_a_second_demo_in_the_same_folder_is_refused(run_dir: Path) -> None:
    first = Demo(run_dir)
    wait_until(lambda: "Ctrl-C" in first.text(), 20, "its greeting")
    second = subprocess.run(
        [sys.executable, "-P", "-m", "tinybms_ctl", "demo"],
        cwd=run_dir,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == 1
    assert "another demo runs" in second.stderr
    assert first.end(signal.SIGTERM) == 0
