"""A file or folder that the buffer can't use: it is said in words, and live values go on."""

from __future__ import annotations

import os
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from fake_clock import FakeClock
from fake_critical import make_alarm, make_record
from fake_store import open_store
from harness_mosquitto import Mosquitto
from harness_mqtt import Listener, MqttStack
from tinybms_buffer.opening import SCHEMA_VERSION
from tinybms_buffer.rows import MAX_RECORD_BYTES
from tinybms_messages.critical import Critical
from tinybms_messages.status import BufferStatus
from tinybms_messages.topics import BUFFER_STATUS, CRITICAL, GATEWAY_EVENT, MQTT_DELIVERED

BUFFER = [sys.executable, "-P", "-m", "tinybms_buffer"]
ON_NFS = (
    "import runpy\n"
    "from tinybms_buffer import opening\n"
    "opening.network_file_system = lambda folder: 'NFS'\n"
    "runpy.run_module('tinybms_buffer', run_name='__main__', alter_sys=True)\n"
)
WITHOUT_ROOTS_RIGHT = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Words before a command for which a folder that may not be written holds for root as well."""
NEW_V = 3.412


def _nothing(_: Path) -> None:
    pass


def _of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE music (title TEXT)")


def _of_a_newer_release(path: Path) -> None:
    open_store(path, FakeClock()).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


def _in_a_read_only_folder(path: Path) -> None:
    path.parent.chmod(0o555)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What lies there, what starts the buffer, and what it says of it."""

    make: Callable[[Path], None]
    words: tuple[str, ...]
    command: tuple[str, ...] = tuple(BUFFER)


CASES = {
    "another program": Case(
        make=_of_another_program, words=("another program", "move it away or set gateway.state_dir")
    ),
    "newer release": Case(
        make=_of_a_newer_release, words=("newer release", "install that release again")
    ),
    "read-only folder": Case(
        make=_in_a_read_only_folder,
        words=("no right to write", "the gateway's user must be able to write"),
        command=(*(WITHOUT_ROOTS_RIGHT if os.geteuid() == 0 else ()), *BUFFER),
    ),
    "network file system": Case(
        make=_nothing,
        words=("network file system (NFS)", "set gateway.state_dir"),
        command=(sys.executable, "-P", "-c", ON_NFS),
    ),
}


class Rig:
    """Bus broker, mqtt_out and buffer; the test is acquisition."""

    def __init__(self, stack: MqttStack, listener: Listener) -> None:
        self.stack = stack
        self.listener = listener
        self.probe = stack.probe
        self.probe.listen(MQTT_DELIVERED, BUFFER_STATUS, GATEWAY_EVENT)
        self.boot = secrets.token_hex(8)
        self.path = stack.gateway.paths.state_file("buffer.sqlite")
        self.seq = 0

    def start_buffer(self, command: tuple[str, ...]) -> None:
        gateway = self.stack.gateway
        with gateway.log("buffer").open("ab") as output:
            gateway.processes["buffer"] = subprocess.Popen(
                [*command, "--config", str(gateway.config_file)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def start_mqtt_out(self) -> None:
        self.stack.start()
        self.stack.wait_until(lambda: self.stack.online() and self.status().state != "")

    def say(self, make: Callable[..., Critical] = make_record, **changes: object) -> None:
        self.seq += 1
        self.probe.publish(CRITICAL, make(self.seq, boot=self.boot, **changes))

    def say_until_heard(self) -> None:
        """Say records until the buffer has one: what it says is heard before it hears."""
        while not self.probe.wait_for(lambda: self.status().waiting + self.status().rows > 0, 1.0):
            self.say()

    def status(self) -> BufferStatus:
        last = self.probe.last(BUFFER_STATUS)
        return BufferStatus(state="") if last is None else last.body

    def told(self, code: str) -> list[tuple[str, str]]:
        """Severity and text of the events with this code."""
        events = self.probe.bodies(GATEWAY_EVENT)
        return [(event.severity, event.text) for event in events if event.code == code]

    def last_is_delivered(self) -> bool:
        """Whether mqtt_out says that the newest record has arrived."""
        last = self.probe.last(MQTT_DELIVERED)
        boots = () if last is None else last.body.boots
        return any(boot.boot == self.boot and self.seq in boot.numbers() for boot in boots)

    def live_goes_on(self, cell_v: float) -> None:
        """This voltage and a new record reach the subscriber, the record as a live one."""
        self.say()
        self.stack.feed_until(
            lambda: any(one.json["value"] == cell_v for one in self.listener.of("cell_voltage_01")),
            cell_voltages_v=(cell_v,) * 16,
        )
        self.stack.wait_until(self.last_is_delivered)
        live = [one.json for one in self.listener.of("soc_percent")]
        assert (self.boot, 10 * self.seq) in [(one["boot"], one["seq"]) for one in live]


@pytest.fixture
def rig(run_dir: Path, mosquitto: Mosquitto) -> Iterator[Rig]:
    with (
        Listener(mosquitto, run_dir / "heard") as listener,
        MqttStack(run_dir, mosquitto.port) as stack,
    ):
        rig = Rig(stack, listener)
        yield rig
        rig.path.parent.chmod(0o755)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_can_not_be_used_is_said_and_left_alone_and_live_values_go_on(
    rig: Rig, case: Case
) -> None:
    case.make(rig.path)
    before = rig.path.read_bytes() if rig.path.exists() else None
    rig.start_buffer(case.command)
    rig.start_mqtt_out()
    rig.stack.wait_until(lambda: rig.status().state == "storage_off")
    rig.live_goes_on(NEW_V)
    status = rig.status()
    assert (status.state, status.rows) == ("storage_off", 0)
    for words in (str(rig.path.parent), *case.words):
        assert words in status.detail
    rig.stack.wait_until(lambda: bool(rig.told("storage_off")))
    ((severity, text),) = rig.told("storage_off")
    assert severity == "alarm"
    assert status.detail in text
    after = rig.path.read_bytes() if rig.path.exists() else None
    assert after == before
    assert rig.stack.gateway.processes["buffer"].poll() is None


def test_a_damaged_file_is_moved_aside_and_said_and_live_values_go_on(rig: Rig) -> None:
    rig.path.write_bytes(os.urandom(50_000))
    before = rig.path.read_bytes()
    rig.start_buffer(tuple(BUFFER))
    rig.start_mqtt_out()
    rig.live_goes_on(NEW_V)
    rig.stack.wait_until(lambda: bool(rig.told("storage_damaged")))
    ((severity, text),) = rig.told("storage_damaged")
    aside = rig.path.with_name(f"{rig.path.name}.damaged-1")
    assert (severity, str(aside) in text) == ("alarm", True)
    assert aside.read_bytes() == before
    assert (rig.status().state, rig.status().set_aside) == ("idle", 1)


def test_a_record_that_is_too_large_is_named_and_missing_and_all_others_go_on(rig: Rig) -> None:
    rig.start_buffer(tuple(BUFFER))
    rig.say_until_heard()
    rig.say(make_alarm, text="x" * (MAX_RECORD_BYTES + 1))
    refused = rig.seq
    rig.say()
    rig.stack.wait_until(lambda: bool(rig.told("record_refused")))
    ((severity, text),) = rig.told("record_refused")
    assert severity == "warning"
    assert f"record {refused} of alarm_low_soc of boot {rig.boot}" in text
    assert f"at most {MAX_RECORD_BYTES}" in text
    rig.stack.wait_until(lambda: (rig.status().refused, rig.status().state) == (1, "storing"))
    rig.start_mqtt_out()
    rig.live_goes_on(NEW_V)
    rig.stack.wait_until(lambda: (rig.status().rows, rig.status().state) == (0, "idle"))
    rig.stack.wait_until(lambda: bool(rig.listener.of("replay/event")))
    (gap,) = rig.listener.of("replay/event")
    assert gap.json["text"].startswith("1 alarm records not stored")
    assert 10 * (refused + 1) in [one.json["seq"] for one in rig.listener.of("replay/soc_percent")]
    assert rig.listener.of("replay/alarm_low_soc") == []
