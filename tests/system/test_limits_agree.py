"""CAN, MQTT and HTTP say the same of the limits: a cold pack, a runaway cell, a fault, silence.

Each word is held against the LIVE_DATA that it comes from: MQTT and HTTP name its number, CAN may
be as old as its slot of a second.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from bench_gateway import MeasuredGateway
from bench_measures import LIMIT_TOPIC, measure_latencies
from bench_rig import MeasuredMqtt
from harness_agree import NAMES, Tenths, Witness, tenths_of_answer
from harness_stack import Stack, now_s

CAN_LAG_S = 1.5
"""A frame's slot is a second long; the rest is for a busy machine."""
FALLS = 12
PROMISED_MS = 50.0
COLD, MILD = 34, 200
"""Probe 1 in tenths of a degree."""
FAULT, IDLE = 0x9B, 0x97
CELL_6 = 5


def pack(high_v: float = 3.30, *, probe: int = MILD, status: int = IDLE) -> dict[int, int]:
    """Registers of 16 cells at 3.30 V, the sixth at `high_v`, at rest."""
    cells_v = [3.30] * 16
    cells_v[CELL_6] = high_v
    words = {number: round(10_000 * volts) for number, volts in enumerate(cells_v)}
    words[36], words[37] = struct.unpack("<HH", struct.pack("<f", sum(cells_v)))
    words[38] = words[39] = 0
    words[40], words[41] = 3300, round(1000 * max(cells_v))
    words[42], words[43], words[48] = probe, 0x8000, 250
    return words | {46: 0x3C00, 47: 0x02FB, 50: status, 53: 16}


@pytest.mark.long
@pytest.mark.timeout(400)
def test_can_mqtt_and_http_agree_at_every_moment(run_dir: Path) -> None:
    with Stack(run_dir, registers=pack(probe=COLD)) as stack, Witness(stack) as witness:
        stack.wait_until_well()
        began_s = now_s()
        check_cold_pack(stack, witness)
        check_runaway_cell(stack, witness)
        check_fault(stack, witness)
        silent_s = now_s()
        check_against_live(stack, witness, began_s, silent_s)
        check_stale_line(stack, witness)


def check_cold_pack(stack: Stack, witness: Witness) -> None:
    """CCL rises to what 3.4 degC allows: 0.05 C and 2.4/4 of the way to 0.12 C."""
    look_until(stack, witness, lambda now: now[1] == 257, 90.0, "25.7 A for a cold pack")
    sentence = "Charge limited to 25.7 A by low temperature (probe 1, 3.4 °C); next step at 5 °C"
    assert witness.answers[-1]["limits"]["charge_sentence"] == sentence
    status = stack.status()
    assert status is not None
    assert status["limits"]["charge_sentence"] == sentence
    assert newest(stack, "limit_reason_charge")["text"] == sentence
    assert newest(stack, "limit_reason_charge")["value"] == "low_temperature"
    shown = " ".join(stack.ctl("status").stdout.replace("│", " ").split())
    assert sentence in shown


def check_runaway_cell(stack: Stack, witness: Witness) -> None:
    before = look_until(stack, witness, lambda _: True, 20.0, "the same everywhere")
    for probe in range(COLD, MILD, 8):
        stack.bms.set_words(pack(probe=probe))
        witness.look(0.15)
    for step in range(1, 14):
        stack.bms.set_words(pack(3.30 + 0.025 * step))
        witness.look(0.4)
    after = look_until(stack, witness, lambda now: now[1] == 0, 20.0, "no charge for a full cell")
    assert after[0] < before[0], "CVL comes down with the cell"
    assert after[2] > 0, "a full cell may be discharged"
    assert newest(stack, "limit_reason_charge")["value"] == "high_cell"


def check_fault(stack: Stack, witness: Witness) -> None:
    for step in range(13, -1, -1):
        stack.bms.set_words(pack(3.30 + 0.025 * step))
        witness.look(0.2)
    look_until(stack, witness, lambda now: now[1] > 0, 90.0, "charge again")
    stack.bms.set_words(pack(status=FAULT))
    look_until(stack, witness, lambda now: now[1] == now[2] == 0, 20.0, "nothing in a fault")
    assert newest(stack, "limit_reason_discharge")["value"] == "fault"
    stack.bms.set_words(pack())
    look_until(stack, witness, lambda now: now[2] > 0, 120.0, "discharge after the fault")


def check_stale_line(stack: Stack, witness: Witness) -> None:
    """From 10 s on no charge, and from 30 s on no frame and no limits."""
    stack.bms.scenario("silence")
    look_until(
        stack, witness, lambda now: now[1] == 0 and is_stale(witness), 25.0, "no charge when stale"
    )
    stack.wait_for(lambda: is_lost(witness), 40.0, "lost data")
    lost_s = now_s()
    assert witness.answers[-1]["limits"] is None
    stack.wait_for(lambda: now_s() > lost_s + 3.0, 5.0, "three seconds")
    assert witness.on_can(lost_s + 1.0) == []


def look_until(
    stack: Stack, witness: Witness, done: Callable[[Tenths], bool], timeout_s: float, what: str
) -> Tenths:
    """The limits once all three name the same and `done` is content with them."""
    found: list[Tenths] = []

    def agreed() -> bool:
        witness.look()
        now = witness.agreed()
        if now is not None and done(now):
            found.append(now)
        return bool(found)

    stack.wait_for(agreed, timeout_s, f"the same on CAN, MQTT and HTTP: {what}")
    return found[0]


def is_stale(witness: Witness) -> bool:
    return bool(witness.answers[-1]["data"]["state"] == "stale")


def is_lost(witness: Witness) -> bool:
    witness.look()
    return bool(witness.answers[-1]["data"]["state"] == "lost")


def newest(stack: Stack, topic: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(stack.mqtt.of(topic)[-1])
    return payload


def check_against_live(stack: Stack, witness: Witness, from_s: float, until_s: float) -> None:
    """Every word from `from_s` to `until_s`."""
    sent = witness.sent()
    by_number = {(boot, seq): limits for _, boot, seq, limits in sent}
    assert len(by_number) > 5 * (until_s - from_s), "most of ten a second were seen"
    check_can(witness, sent, from_s, until_s)
    compared = 0
    for answer in witness.answers:
        wanted = by_number.get((answer["data"]["boot"], answer["data"]["seq"]))
        if wanted is not None and answer["limits"] is not None:
            assert tenths_of_answer(answer["limits"]) == wanted, answer["time"]
            compared += 1
    assert compared > 50
    for place, name in enumerate(NAMES):
        payloads = [json.loads(load) for load in stack.mqtt.of(f"{name}_limit", from_s)]
        numbered = [(one, by_number.get((one["boot"], one["seq"]))) for one in payloads]
        known = [(one, limits) for one, limits in numbered if limits is not None]
        assert known, name
        for one, limits in known:
            assert round(10 * one["value"]) == limits[place], one


def check_can(
    witness: Witness, sent: list[tuple[float, str, int, Tenths]], from_s: float, until_s: float
) -> None:
    frames = [frame for frame in witness.on_can(from_s + CAN_LAG_S) if frame[0] < until_s]
    assert len(frames) > 30
    for at_s, limits in frames:
        in_force = [live for live in sent if live[0] <= at_s]
        recent = {live[3] for live in in_force if live[0] >= at_s - CAN_LAG_S}
        assert limits in recent | {live[3] for live in in_force[-1:]}, f"at {at_s:.2f} s"


@pytest.mark.timeout(170)
def test_a_falling_limit_is_on_can_within_fifty_milliseconds(run_dir: Path) -> None:
    """From the write of the answer's last byte to the read of the frame's; `make bench` has p99."""
    with (
        MeasuredGateway(run_dir) as gateway,
        MeasuredMqtt(gateway.broker.port, LIMIT_TOPIC) as mqtt,
    ):
        found = measure_latencies(gateway.bms, gateway.can, mqtt, FALLS, lambda _: None)
    assert len(found.can_ms) == FALLS
    assert min(found.can_ms) > 0.0
    assert median(found.can_ms) <= PROMISED_MS
