"""Faults of the serial line: what becomes of an answer on its way to the host.

Deterministic by seed. Each scenario hits an answer with its own probability (`rate`), so that a
driver sees good and bad answers mixed; `silence` hits every one.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tinybms_sim.wire import Refusal, refused

LATE_FROM_S, LATE_TO_S = 0.2, 1.2
_TEXTS = (b"\r\nOS:151\tEXT1:----\r\n", b"VOLT:53.36\tCURR:0.00\tSOC:62.3\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What leaves instead of an answer: the bytes, after an extra delay; no bytes is silence."""

    data: bytes
    delay_s: float = 0.0


_Fault = Callable[[bytes, random.Random], Delivery]


def _silence(_reply: bytes, _rng: random.Random) -> Delivery:
    return Delivery(data=b"")


def _noise(reply: bytes, rng: random.Random) -> Delivery:
    """One to three bit errors, or a lost or an added byte."""
    data = bytearray(reply)
    kind = rng.random()
    position = rng.randrange(len(data))
    if kind < 0.15:
        del data[position]
    elif kind < 0.3:
        data.insert(position, rng.randrange(256))
    else:
        for bit in rng.sample(range(8 * len(data)), rng.randint(1, 3)):
            data[bit // 8] ^= 1 << bit % 8
    return Delivery(data=bytes(data))


def _truncated(reply: bytes, rng: random.Random) -> Delivery:
    return Delivery(data=reply[: rng.randrange(len(reply))])


def _late(reply: bytes, rng: random.Random) -> Delivery:
    return Delivery(data=reply, delay_s=rng.uniform(LATE_FROM_S, LATE_TO_S))


def _nack(reply: bytes, rng: random.Random) -> Delivery:
    command = reply[2] if reply[1] in (0x00, 0x01) else reply[1]
    return Delivery(data=refused(command, rng.choice((Refusal.COMMAND, Refusal.CRC))))


def _broadcast(reply: bytes, rng: random.Random) -> Delivery:
    """Text directly in front of the answer."""
    return Delivery(data=rng.choice(_TEXTS) + reply)


_FAULTS: Mapping[str, tuple[_Fault, float]] = {
    "silence": (_silence, 1.0),
    "noise": (_noise, 0.3),
    "truncated": (_truncated, 0.3),
    "late": (_late, 0.3),
    "nack": (_nack, 0.3),
    "broadcast": (_broadcast, 0.5),
}
LINE_SCENARIOS = tuple(_FAULTS)


class LineFaults:
    """The line fault in force; `apply` decides for each answer whether it is hit."""

    def __init__(self, *, seed: int) -> None:
        self._rng = random.Random(seed)
        self._fault: _Fault | None = None
        self._rate = 0.0
        self.hits = 0

    def choose(self, scenario: str, rate: float | None = None) -> None:
        """Choose a line scenario; any other name ends the fault."""
        self._fault, default_rate = _FAULTS.get(scenario, (None, 0.0))
        self._rate = default_rate if rate is None else rate

    def apply(self, reply: bytes) -> Delivery:
        """What leaves for this answer."""
        if self._fault is None or self._rng.random() >= self._rate:
            return Delivery(data=reply)
        self.hits += 1
        return self._fault(reply, self._rng)


def broadcast_text(pack_voltage_v: float, current_a: float, soc_pct: float, status: int) -> bytes:
    """One unsolicited ASCII broadcast: tab-separated text lines, bytes below 0x80."""
    return (
        f"VOLT:{pack_voltage_v:.2f}\tCURR:{current_a:.2f}\tSOC:{soc_pct:.1f}\r\n"
        f"OS:{status}\tEXT1:----\tEXT2:----\r\n"
    ).encode("ascii")
