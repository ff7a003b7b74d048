"""Frames seen on real buses or computed by hand: decoder and encoder agree byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tinybms_victron.decode import decode
from tinybms_victron.encode import encode
from tinybms_victron.signals import ALARMS, ANY_BY_ID

VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("victron_frames.json").read_text()
)


def _name(vector: dict[str, Any]) -> str:
    return f"{vector['id']}-{vector['data'].replace(' ', '')}"


def _values(vector: dict[str, Any]) -> dict[str, Any]:
    if "values" in vector:
        return dict(vector["values"])
    digits = vector["pairs"].replace(" ", "")
    return {field.key: int(digit) for field, digit in zip(ALARMS.fields, digits, strict=True)}


@pytest.mark.parametrize("vector", VECTORS, ids=_name)
def test_a_frame_decodes_to_its_values(vector: dict[str, Any]) -> None:
    decoded = decode(int(vector["id"], 16), bytes.fromhex(vector["data"]))
    assert decoded == pytest.approx(_values(vector))


@pytest.mark.parametrize("vector", VECTORS, ids=_name)
def test_its_values_encode_to_the_frame(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["data"])
    frame = ANY_BY_ID[int(vector["id"], 16)]
    assert encode(frame, _values(vector), length=len(data)).hex() == data.hex()
