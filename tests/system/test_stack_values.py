"""A register image travels from the UART to CAN and MQTT: both say what the image says.

The CAN side is decoded here by hand with struct, from the Victron CAN-bus BMS protocol (2021), and
not by the gateway's own signal table.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness_stack import Stack

ABSENT = 0x8000


@dataclass(frozen=True, kw_only=True)
class Pack:
    """What an image means, written by hand beside it."""

    registers: Mapping[int, int]
    cells_v: tuple[float, ...]
    pack_v: float
    current_a: float
    soc_pct: float
    temperature_c: float
    capacity_ah: float


def float_words(value: float) -> tuple[int, int]:
    low, high = struct.unpack("<HH", struct.pack("<f", value))
    return low, high


def image(
    cells_raw: tuple[int, ...], *, pack_v: float, current_a: float, soc_raw: int, **words: int
) -> dict[int, int]:
    """Live registers of a pack whose cells sit on the top channels, with r<address> words."""
    registers = dict.fromkeys(range(16), 0)
    registers |= dict(enumerate(cells_raw, start=16 - len(cells_raw)))
    registers[36], registers[37] = float_words(pack_v)
    registers[38], registers[39] = float_words(current_a)
    registers[40], registers[41] = min(cells_raw) // 10, max(cells_raw) // 10
    registers[46], registers[47] = soc_raw & 0xFFFF, soc_raw >> 16
    return registers | {int(name[1:]): word for name, word in words.items()}


FOURTEEN_RAW = tuple(39_800 + 10 * step for step in (0, 1, 2, 3, 3, 4, 9, 10, 3, 3, 3, 4, 8, 8))
FOURTEEN_NMC = Pack(
    registers=image(
        FOURTEEN_RAW, pack_v=55.781, current_a=0.0, soc_raw=83_554_824,
        r42=214, r43=ABSENT, r48=97, r50=0x97, r53=14, r300=4150, r301=3000, r303=3900, r306=6600,
        r307=14, r315=4200, r316=2900, r317=60, r318=20, r320=1, r502=254,
    ),
    cells_v=tuple(raw / 10_000 for raw in FOURTEEN_RAW),
    pack_v=55.78,
    current_a=0.0,
    soc_pct=83.554824,
    temperature_c=21.4,
    capacity_ah=66.0,
)  # fmt: skip

SIXTEEN_RAW = tuple(32_500 + 8 * step for step in range(16))
SIXTEEN_COLD = Pack(
    registers=image(
        SIXTEEN_RAW, pack_v=52.096, current_a=-123.4, soc_raw=47_250_000,
        r42=-205 & 0xFFFF, r43=ABSENT, r48=-180 & 0xFFFF, r50=0x93, r53=16, r306=28000, r307=16,
        r317=200, r318=150, r502=254,
    ),
    cells_v=tuple(raw / 10_000 for raw in SIXTEEN_RAW),
    pack_v=52.1,
    current_a=-123.4,
    soc_pct=47.25,
    temperature_c=-20.5,
    capacity_ah=280.0,
)  # fmt: skip

VALUE_TOPICS = (
    "battery_voltage",
    "battery_current",
    "soc_percent",
    "battery_temperature",
    "external_temperature_1",
    "external_temperature_2",
    "capacity_ah",
    "min_cell_voltage",
    "max_cell_id",
)
LIMIT_TOPICS = ("charge_voltage", "charge_current", "discharge_current", "discharge_voltage")

PACKS = [
    pytest.param(FOURTEEN_NMC, "nmc", id="14 cells"),
    pytest.param(SIXTEEN_COLD, "lifepo4", id="16 cells at -20.5 degC and -123.4 A"),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("pack", "chemistry"), PACKS)
def test_can_and_mqtt_say_what_the_registers_say(run_dir: Path, pack: Pack, chemistry: str) -> None:
    tables = {"charge": {"chemistry": chemistry}}
    with Stack(run_dir, tables=tables, registers=pack.registers) as stack:
        stack.wait_until_well()
        stack.wait_for(lambda: all_frames(stack), 10, "every frame")
        wait_for_topics(stack, pack)
        check_can(stack, pack)
        check_mqtt(stack, pack)
        check_limits_agree(stack)
        assert stack.gx.frames(0x305) == []
        assert [frame for frame in stack.frames() if frame["problems"]] == []


def wait_for_topics(stack: Stack, pack: Pack) -> None:
    cells = [f"cell_voltage_{number:02d}" for number in range(1, len(pack.cells_v) + 1)]
    topics = [*cells, *VALUE_TOPICS, *(f"{name}_limit" for name in LIMIT_TOPICS)]

    def missing() -> list[str]:
        return [topic for topic in topics if not stack.mqtt.of(topic)]

    stack.wait_for(lambda: not missing(), 30, "every value by MQTT")


def all_frames(stack: Stack) -> bool:
    return len({frame["id"] for frame in stack.frames()}) == 19


def data(stack: Stack, can_id: int) -> bytes:
    return bytes.fromhex(stack.frames(can_id)[-1]["data"])


def check_can(stack: Stack, pack: Pack) -> None:
    voltage, current, temperature = struct.unpack_from("<hhh", data(stack, 0x356))
    assert voltage == round(pack.pack_v * 100)
    assert current == round(pack.current_a * 10)
    assert temperature == round(pack.temperature_c * 10)
    soc, _soh, soc_fine = struct.unpack_from("<HHH", data(stack, 0x355))
    assert soc == round(pack.soc_pct)
    assert soc_fine == round(pack.soc_pct * 100)
    low_mv, high_mv, cold_k, hot_k = struct.unpack("<HHHH", data(stack, 0x373))
    assert low_mv == round(min(pack.cells_v) * 1000)
    assert high_mv == round(max(pack.cells_v) * 1000)
    assert cold_k == hot_k == round(pack.temperature_c + 273.15)
    assert text(stack, 0x374) == str(pack.cells_v.index(min(pack.cells_v)) + 1)
    assert text(stack, 0x375) == str(pack.cells_v.index(max(pack.cells_v)) + 1)
    assert struct.unpack_from("<H", data(stack, 0x379))[0] == round(pack.capacity_ah)
    assert text(stack, 0x35E) == text(stack, 0x370) == "TinyBMS "
    assert text(stack, 0x371) == "pack1"


def text(stack: Stack, can_id: int) -> str:
    return data(stack, can_id).rstrip(b"\0").decode("ascii")


def check_mqtt(stack: Stack, pack: Pack) -> None:
    value = stack.mqtt.value
    assert value("battery_voltage") == pytest.approx(pack.pack_v, abs=0.005)
    assert value("battery_current") == pytest.approx(pack.current_a, abs=0.005)
    assert value("soc_percent") == pytest.approx(pack.soc_pct, abs=1e-6)
    assert value("battery_temperature") == pytest.approx(pack.temperature_c, abs=0.05)
    assert value("external_temperature_1") == pytest.approx(pack.temperature_c, abs=0.05)
    assert value("external_temperature_2") is None
    assert newest(stack, "capacity_ah")["address"] == 306
    assert value("capacity_ah") == pytest.approx(pack.capacity_ah)
    for number, cell_v in enumerate(pack.cells_v, start=1):
        payload = newest(stack, f"cell_voltage_{number:02d}")
        assert payload["value"] == pytest.approx(cell_v, abs=1e-9)
        assert payload["raw"] == round(cell_v * 10_000)
        assert payload["address"] == 16 - len(pack.cells_v) + number - 1
    assert stack.mqtt.of(f"cell_voltage_{len(pack.cells_v) + 1:02d}") == []
    assert value("min_cell_voltage") == pytest.approx(min(pack.cells_v), abs=5e-4)
    assert value("max_cell_id") == pack.cells_v.index(max(pack.cells_v)) + 1


def newest(stack: Stack, topic: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(stack.mqtt.of(topic)[-1])
    return payload


def check_limits_agree(stack: Stack) -> None:
    """The limits stand still for this image, so that CAN, MQTT and HTTP can be compared."""

    def agree() -> bool:
        status = stack.status()
        if status is None or status["limits"] is None:
            return False
        can = struct.unpack("<HhhH", data(stack, 0x351))
        by_mqtt = tuple(round(10 * stack.mqtt.value(f"{name}_limit")) for name in LIMIT_TOPICS)
        return can == by_mqtt == http_limits(status["limits"])

    stack.wait_for(agree, 40, "the same limits on CAN, MQTT and HTTP")


def http_limits(limits: Mapping[str, Any]) -> tuple[int, ...]:
    names = ("charge_voltage_v", "charge_current_a", "discharge_current_a", "discharge_voltage_v")
    return tuple(round(10 * limits[name]) for name in names)
