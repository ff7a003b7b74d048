"""A volume that is really full: storing stops and is said, live values go on, it ends by itself."""

from __future__ import annotations

import errno
import os
import resource
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

import pytest

from fake_critical import make_record
from harness_gateway import BusProbe, GatewayFolder
from harness_mosquitto import Mosquitto
from harness_mqtt import Listener, MqttStack
from tinybms_messages.status import BufferStatus
from tinybms_messages.topics import BUFFER_STATUS, CRITICAL, GATEWAY_EVENT, MQTT_DELIVERED

VOLUME_BYTES = 3 * 1024 * 1024
LONGEST_FILE_BYTES = 48 * 1024
BEFORE = 20
WHILE_FULL = 40
LIVE_WITHIN_S = 2.0
NEW_V = 3.412


class Volume(Protocol):
    """Where the buffer's state folder lies; `pid` is that of the buffer.

    `advice`: words of the status when it is full.
    """

    advice: str

    def __init__(self, gateway: GatewayFolder) -> None:
        """Nothing is made before the buffer starts."""

    def command(self) -> list[str]:
        """What starts the buffer on it."""

    def fill(self, pid: int) -> None:
        """Leave no room on it."""

    def make_room(self, pid: int) -> None:
        """Give the room back."""


class SmallTmpfs:
    """A file system of its own, which the buffer's process alone sees; making it needs root."""

    advice = "the disk is full"

    def __init__(self, gateway: GatewayFolder) -> None:
        self._buffer = _buffer(gateway)
        self._folder = gateway.paths.state_dir

    def command(self) -> list[str]:
        mount = f"mount -t tmpfs -o size={VOLUME_BYTES} tmpfs {shlex.quote(str(self._folder))}"
        script = f"{mount} && exec {shlex.join(self._buffer)}"
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]

    def fill(self, pid: int) -> None:
        with self._filler(pid).open("wb", buffering=0) as filler:
            while _written(filler):
                pass

    def make_room(self, pid: int) -> None:
        self._filler(pid).unlink()

    def _filler(self, pid: int) -> Path:
        return Path(f"/proc/{pid}/root{self._folder}/filler")


class FileSizeLimit:
    """The kernel lets no file of the buffer's process grow beyond a bound; any user may say so."""

    advice = "look at the disk"

    def __init__(self, gateway: GatewayFolder) -> None:
        self._buffer = _buffer(gateway)

    def command(self) -> list[str]:
        return self._buffer

    def fill(self, pid: int) -> None:
        _limit_files(pid, LONGEST_FILE_BYTES)

    def make_room(self, pid: int) -> None:
        _limit_files(pid, resource.RLIM_INFINITY)


def _written(file: IO[bytes]) -> bool:
    """Whether one more page found room."""
    try:
        return file.write(bytes(4096)) > 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False


def _limit_files(pid: int, size: int) -> None:
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def _buffer(gateway: GatewayFolder) -> list[str]:
    return [sys.executable, "-P", "-m", "tinybms_buffer", "--config", str(gateway.config_file)]


def may_mount() -> bool:
    """Whether this user may make a file system of his own."""
    attempt = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return (
        os.geteuid() == 0
        and subprocess.run(attempt, capture_output=True, check=False).returncode == 0
    )


class Rig:
    """Bus broker, mqtt_out and a buffer on `volume`; the test is acquisition."""

    def __init__(self, stack: MqttStack, listener: Listener, volume: Volume) -> None:
        self.stack = stack
        self.listener = listener
        self.probe: BusProbe = stack.probe
        self.probe.listen(MQTT_DELIVERED, BUFFER_STATUS, GATEWAY_EVENT)
        self.boot = secrets.token_hex(8)
        self.seq = 0
        self.volume = volume
        with stack.gateway.log("buffer").open("ab") as output:
            process = subprocess.Popen(
                volume.command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        stack.gateway.processes["buffer"] = process
        self._pid = process.pid

    def fill(self) -> None:
        self.volume.fill(self._pid)

    def make_room(self) -> None:
        self.volume.make_room(self._pid)

    def say(self, count: int) -> None:
        for _ in range(count):
            self.seq += 1
            self.probe.publish(CRITICAL, make_record(self.seq, boot=self.boot, text="x" * 2000))
            self.probe.wait_for(lambda: False, 0.02)

    def status(self) -> BufferStatus:
        last = self.probe.last(BUFFER_STATUS)
        return BufferStatus(state="") if last is None else last.body

    def told(self) -> list[tuple[str, str]]:
        """Code and severity of the buffer's events about its storage."""
        events = [(body.code, body.severity) for body in self.probe.bodies(GATEWAY_EVENT)]
        return [event for event in events if event[0].startswith("storage_")]

    def all_delivered(self) -> bool:
        last = self.probe.last(MQTT_DELIVERED)
        up_to = {} if last is None else {boot.boot: boot.up_to for boot in last.body.boots}
        return up_to.get(self.boot) == self.seq

    def hears(self, topic: str, value: float) -> bool:
        """Whether the subscriber has this value."""
        return any(message.json["value"] == value for message in self.listener.of(topic))

    def heard(self) -> set[int]:
        """Numbers of the samples that reached the subscriber."""
        bodies = [
            message.json
            for suffix in ("soc_percent", "replay/soc_percent")
            for message in self.listener.of(suffix)
        ]
        return {body["seq"] // 10 for body in bodies if body["boot"] == self.boot}


@pytest.fixture(
    params=[FileSizeLimit, *([SmallTmpfs] if may_mount() else [])], ids=lambda kind: kind.__name__
)
def rig(run_dir: Path, mosquitto: Mosquitto, request: pytest.FixtureRequest) -> Iterator[Rig]:
    with (
        Listener(mosquitto, run_dir / "heard") as listener,
        MqttStack(run_dir, mosquitto.port) as stack,
    ):
        rig = Rig(stack, listener, request.param(stack.gateway))
        stack.start()
        stack.wait_until(lambda: stack.online() and rig.status().state == "idle")
        yield rig


def test_a_full_volume_is_said_live_values_go_on_and_storing_begins_again(
    rig: Rig, mosquitto: Mosquitto
) -> None:
    mosquitto.freeze()
    rig.say(BEFORE)
    rig.stack.wait_until(lambda: rig.status().rows == BEFORE)
    rig.fill()
    rig.say(WHILE_FULL)
    rig.stack.wait_until(lambda: rig.status().state == "storage_off")
    rig.stack.wait_until(lambda: ("storage_off", "alarm") in rig.told())
    assert rig.volume.advice in rig.status().detail
    assert rig.status().waiting > 0
    mosquitto.thaw()
    rig.stack.feed_until(
        lambda: rig.hears("cell_voltage_01", NEW_V),
        timeout_s=LIVE_WITHIN_S,
        cell_voltages_v=(NEW_V,) * 16,
    )
    assert rig.status().state == "storage_off"
    rig.make_room()
    rig.stack.wait_until(
        lambda: rig.all_delivered() and (rig.status().state, rig.status().rows) == ("idle", 0)
    )
    assert rig.heard() == set(range(1, rig.seq + 1))
    assert rig.told() == [("storage_off", "alarm"), ("storage_on", "info")]
    assert rig.listener.of("replay/event") == []
