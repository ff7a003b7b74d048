"""A measuring rig: a TinyBMS line, a CAN adapter and an MQTT subscriber that note the time.

The line is paced like the real one. All times are of CLOCK_MONOTONIC of this machine, taken where
the byte or message is handed over: after the write of an answer's last byte, on the read of a
frame's last byte, on the arrival of an MQTT message.
"""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from fake_slcan import FakeSlcan
from harness_net import LOOPBACK
from tinybms_sim.line import make_line
from tinybms_sim.pty_line import PtyLine

PROBE_1: Final = 42
LIVE_REQUEST: Final = bytes.fromhex("aa0300000038")
IMAGE: Final[Mapping[int, int]] = {305: 0, 306: 28000, 317: 400, 318: 400, PROBE_1: 200, 43: 0x8000}
"""A 16S pack of 280 Ah at rest, with cut-offs high enough to leave the limits to temperature."""


class MeasuredBms:
    """The simulated BMS on a pty, in a thread; notes when each live answer has been written."""

    def __init__(self, link: Path) -> None:
        self._line = make_line(start_s=time.monotonic(), overrides=dict(IMAGE))
        self._pty = PtyLine(link)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="bms")
        self._wanted: int | None = None
        self._carried: int | None = None
        self._answered: dict[int, float] = {}

    def __enter__(self) -> Self:
        self._pty.open()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._pty.close()

    def set_probe(self, tenths_c: int) -> None:
        """Let the next live answer carry this temperature of probe 1."""
        self._answered.pop(tenths_c, None)
        self._wanted = tenths_c

    def answered_s(self, tenths_c: int) -> float | None:
        """When the last byte of the first live answer with this temperature had been written."""
        return self._answered.get(tenths_c)

    def _serve(self) -> None:
        descriptor = self._pty.fd
        assert descriptor is not None, "the pty is open while the thread runs"
        while not self._ended.is_set():
            due_s = self._line.next_due_s()
            wait_s = 0.05 if due_s is None else max(0.0, due_s - time.monotonic())
            if select.select([descriptor], [], [], min(wait_s, 0.05))[0]:
                self._receive(self._pty.read())
            self._answer()

    def _receive(self, data: bytes) -> None:
        if data.startswith(LIVE_REQUEST) and self._wanted is not None:
            self._line.bms.override({PROBE_1: self._wanted})
            self._carried, self._wanted = self._wanted, None
        self._line.receive(data, time.monotonic())

    def _answer(self) -> None:
        data = self._line.due(time.monotonic())
        if not data:
            return
        self._pty.write(data)
        if self._carried is not None and self._line.next_due_s() is None:
            self._answered[self._carried] = time.monotonic()
            self._carried = None


class MeasuredMqtt:
    """A subscriber that notes when the values of a topic arrive."""

    def __init__(self, port: int, topic: str) -> None:
        self._topic = topic
        self._arrived: list[tuple[float, dict[str, Any]]] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_socket_open = _no_delay
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_message = self._keep
        self._client.connect(LOOPBACK, port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def first_below(self, value: float, since_s: float) -> float | None:
        """When a value under `value` arrived for the first time after `since_s`."""
        for at_s, payload in list(self._arrived):
            if at_s >= since_s and payload["value"] < value:
                return at_s
        return None

    def _keep(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        self._arrived.append((time.monotonic(), json.loads(message.payload)))


def _no_delay(_client: mqtt.Client, _data: object, sock: mqtt.SocketLike) -> None:
    assert isinstance(sock, socket.socket), "a plain TCP connection"
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def first_dcl_below(can: FakeSlcan, value_a: float, since_s: float) -> float | None:
    """When the first 0x351 with a discharge limit under `value_a` came after `since_s`."""
    for frame in can.frames:
        if frame.id != 0x351 or frame.at_s < since_s:
            continue
        if int.from_bytes(frame.data[4:6], "little", signed=True) / 10 < value_a:
            return frame.at_s
    return None


def last_dcl_a(can: FakeSlcan) -> float | None:
    """Discharge limit in the newest 0x351."""
    frames = [frame for frame in can.frames if frame.id == 0x351]
    if not frames:
        return None
    return int.from_bytes(frames[-1].data[4:6], "little", signed=True) / 10
