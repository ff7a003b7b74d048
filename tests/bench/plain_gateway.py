"""The gateway's job in one plain process: pyserial and paho, no bus, nobody to restart it.

Only a yardstick for what the pipeline of processes costs. It shares the pure cores with the
gateway and does everything else in the simplest way: one loop, blocking reads, no reconnection.

    python plain_gateway.py SERIAL_PORT SLCAN_PORT MQTT_PORT
"""

from __future__ import annotations

import signal
import socket
import sys
import time
from typing import Final

import paho.mqtt.client as mqtt
import serial
from paho.mqtt.enums import CallbackAPIVersion

from tinybms_acquisition.battery import Battery
from tinybms_acquisition.counters import CounterBook, Start
from tinybms_acquisition.critical import CriticalRecords, Seen
from tinybms_acquisition.modes import Modes
from tinybms_acquisition.pipeline import Pipeline, Snapshot
from tinybms_acquisition.poller import Poller, Turn
from tinybms_acquisition.sample import Moment
from tinybms_acquisition.socsync import SocSync
from tinybms_can_out.core import CanFrame, CanOut
from tinybms_charge.parameters import charge_parameters
from tinybms_charge.soc_sync import from_bytes
from tinybms_charge.state import ChargeState
from tinybms_config.model import Charge, Config
from tinybms_messages.header import Header
from tinybms_messages.live import Link, LiveData
from tinybms_messages.registers import RegisterValues
from tinybms_mqtt_out.feed import Feed
from tinybms_mqtt_out.publication import Publication
from tinybms_mqtt_out.values import Values
from tinybms_victron.schedule import SLOTS_PER_S

CONFIG: Final = Config(charge=Charge(max_discharge_current_a=280.0))
BOOT: Final = "0" * 16


class PlainGateway:
    """Everything in one object and one thread."""

    def __init__(self, port: str, channel: str, mqtt_port: int) -> None:
        parameters = charge_parameters(CONFIG)
        self._line = serial.Serial(port, 115_200, timeout=0)
        self._can = serial.Serial(channel, 115_200, timeout=0)
        self._can.write(b"C\rS6\rO\r")
        self._mqtt = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._mqtt.on_socket_open = _no_delay
        self._mqtt.connect("127.0.0.1", mqtt_port)
        self._poller = Poller(0.1)
        self._pipeline = Pipeline(
            battery=Battery(None),
            book=CounterBook(Start(stored=None, known=True), longest_step_s=1.0),
            parameters=parameters,
            charge_state=ChargeState(),
            state_at_ns=None,
            modes=Modes(),
            soc=SocSync(from_bytes(None, kernel_boot_id="", boottime_ns=0), allowed=False),
        )
        self._core = CanOut(device="pack1", parameters=parameters, kernel_boot_id="plain")
        values = Values(CONFIG.mqtt, CONFIG.mqtt.root_topic)
        self._feed = Feed(
            values=values, parameters=parameters, kernel_boot_id="plain", offer=self._publish
        )
        self._records = CriticalRecords(boot=BOOT, kernel_boot_id="plain")
        self._seq = 0
        self._slot_s = 0.0
        self._beat_s = 0.0

    def run(self) -> None:
        """Work until SIGTERM."""
        self._poller.connect(_now_s())
        while True:
            self._handle(self._poller.step(_now_s()))
            self._beat()
            self._mqtt.loop(timeout=0)
            due_s = min(self._poller.due_s(_now_s()), self._slot_s)
            self._line.timeout = max(0.0, due_s - _now_s())
            data = self._line.read(1)
            if data:
                data += self._line.read(self._line.in_waiting)
                self._handle(self._poller.receive(data, _now_s()))
            self._can.reset_input_buffer()

    def _handle(self, turn: Turn) -> None:
        if turn.output:
            self._line.write(turn.output)
        for block in turn.blocks:
            moment = Moment(
                boottime_ns=round(block.taken_s * 1e9), wall_ns=time.time_ns(), time_ok=True
            )
            snapshot = self._pipeline.take(block, moment, self._seq + 1)
            if snapshot is not None:
                self._seq += 1
                self._show(snapshot)

    def _show(self, snapshot: Snapshot) -> None:
        now_ns = _now_ns()
        live = LiveData(
            sample=snapshot.sample,
            limits=snapshot.limits,
            alarms=snapshot.alarms,
            identity=snapshot.identity,
            link=Link(state="online"),
        )
        header = Header(
            source="plain",
            boot=BOOT,
            seq=self._seq,
            wall_ns=snapshot.sample.wall_ns,
            boottime_ns=now_ns,
            kernel_boot_id="plain",
            time_ok=True,
        )
        self._core.take(header, live)
        self._send(self._core.urgent(now_ns))
        moment = Moment(boottime_ns=now_ns, wall_ns=snapshot.sample.wall_ns, time_ok=True)
        seen = Seen(
            live_seq=self._seq,
            moment=moment,
            sample=snapshot.sample,
            shown=self._core.aged(now_ns),
        )
        for record in self._records.take(seen):
            self._publish(self._feed.values.record(record, now_ns / 1e9))
        self._feed.live(header, live, now_ns)
        registers = RegisterValues(
            live_seq=self._seq, wall_ns=snapshot.sample.wall_ns, values=snapshot.values
        )
        self._feed.registers(header, registers, now_ns)

    def _beat(self) -> None:
        now_s = _now_s()
        if now_s >= self._slot_s:
            self._slot_s = now_s + 1 / SLOTS_PER_S
            self._send(self._core.slot(_now_ns()))
        if now_s >= self._beat_s:
            self._beat_s = now_s + 1.0
            self._send(self._core.limits(_now_ns()))

    def _send(self, frames: tuple[CanFrame, ...]) -> None:
        for frame in frames:
            text = f"t{frame.id:03X}{len(frame.data)}{frame.data.hex().upper()}\r"
            self._can.write(text.encode("ascii"))
            self._core.sent(frame, _now_ns())

    def _publish(self, publication: Publication) -> None:
        self._mqtt.publish(publication.topic, publication.payload, publication.qos)


def _no_delay(_client: mqtt.Client, _data: object, sock: mqtt.SocketLike) -> None:
    assert isinstance(sock, socket.socket), "a plain TCP connection"
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _now_s() -> float:
    return _now_ns() / 1e9


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        PlainGateway(sys.argv[1], sys.argv[2], int(sys.argv[3])).run()
    except KeyboardInterrupt:
        sys.exit(0)
