"""What CAN, MQTT and HTTP say of the limits, held against the LIVE_DATA that they come from."""

from __future__ import annotations

import http.client
import json
import struct
from typing import Any, Self

from harness_gateway import BusProbe
from harness_net import LOOPBACK
from harness_stack import Stack, now_s
from tinybms_messages.live import Limits, LiveData
from tinybms_messages.topics import LIVE_DATA

LIMITS = 0x351
NAMES = ("charge_voltage", "charge_current", "discharge_current", "discharge_voltage")
Tenths = tuple[int, ...]
"""CVL, CCL, DCL and DVL in tenths."""


class Witness:
    """Keeps every LIVE_DATA, and what HTTP answers, while it is asked to look."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._probe = BusProbe(stack.paths)
        self._probe.listen(LIVE_DATA)
        self.answers: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._probe.bus.close()
        self._probe.__exit__(None, None, None)

    def look(self, seconds: float = 0.2) -> None:
        """Receive for some time, then ask once by HTTP."""
        self._probe.wait_for(lambda: False, seconds)
        answer = _live(self._stack.http_port)
        if answer is not None:
            self.answers.append(answer)

    def sent(self) -> list[tuple[float, str, int, Tenths]]:
        """(time in s, boot, number, limits) of each LIVE_DATA that had limits."""
        found = []
        for message in self._probe.messages["LIVE_DATA"]:
            body: LiveData = message.body
            header = message.header
            if body.limits is not None:
                limits = tenths_of(body.limits)
                found.append((header.boottime_ns / 1e9, header.boot, header.seq, limits))
        return found

    def on_can(self, since_s: float = 0.0) -> list[tuple[float, Tenths]]:
        """(time of reception, limits) of each frame 0x351."""
        return [
            (frame["t"], struct.unpack("<HhhH", bytes.fromhex(frame["data"])))
            for frame in self._stack.frames(LIMITS, since_s)
        ]

    def agreed(self) -> Tenths | None:
        """What the newest words of all three are, when they are the same."""
        frames = self.on_can(now_s() - 2.0)
        answer = self.answers[-1]["limits"] if self.answers else None
        values = [self._stack.mqtt.value(f"{name}_limit") for name in NAMES]
        if not frames or answer is None or None in values:
            return None
        by_mqtt = tuple(round(10 * value) for value in values)
        return by_mqtt if by_mqtt == frames[-1][1] == tenths_of_answer(answer) else None


def tenths_of(limits: Limits) -> Tenths:
    """Limits as 0x351 carries them."""
    return tuple(round(10 * getattr(limits, f"{name}_{_unit(name)}")) for name in NAMES)


def tenths_of_answer(limits: dict[str, Any]) -> Tenths:
    """The same of a JSON answer."""
    return tuple(round(10 * limits[f"{name}_{_unit(name)}"]) for name in NAMES)


def _unit(name: str) -> str:
    return name.rpartition("_")[2][0].replace("c", "a")


def _live(port: int) -> dict[str, Any] | None:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2.0)
    try:
        connection.request("GET", "/api/live")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    document: dict[str, Any] | None = json.loads(body) if answer.status == http.client.OK else None
    return document
