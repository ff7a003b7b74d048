"""Frames of the vendor, of real devices and rebuilt from their values: both sides agree with each.

`request` is the request that the frame is, or answers. Expected values are written down by hand
from what the devices and documents say, never taken from the decoder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tinybms_protocol import commands
from tinybms_protocol.commands import Command, OptionCode, Request, SettingsOption
from tinybms_protocol.crc import crc16
from tinybms_protocol.device import RequestDecoder, RequestFrame, encode_nack, encode_reply
from tinybms_protocol.errors import BadRequest, LineErrorKind
from tinybms_protocol.events import parse_event_reply
from tinybms_protocol.frames import LineError, Nack, Reply, ReplyDecoder
from tinybms_protocol.replies import reply_readings
from tinybms_protocol.wire import MORE_PACKETS

VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("tinybms_frames.json").read_text(encoding="utf-8")
)
BY_NAME = {vector["name"]: vector for vector in VECTORS}
REQUESTS = [v for v in VECTORS if v["to"] == "bms" and "request" in v and "bad_crc" not in v]
BAD = [v for v in VECTORS if v.get("bad_crc")]
ANSWERS = [v for v in VECTORS if v["to"] == "host" and "more" not in v]
VALUES = [v for v in ANSWERS if "values" in v]
ENUMS: dict[tuple[str, str], Any] = {
    ("Query", "query"): Command,
    ("Option", "option"): OptionCode,
    ("ReadSettings", "option"): SettingsOption,
}


def build(spec: dict[str, Any]) -> Request:
    kind = spec["type"]
    arguments = {}
    for key, value in spec.items():
        if key == "type":
            continue
        if (kind, key) in ENUMS:
            arguments[key] = ENUMS[kind, key][value]
        elif isinstance(value, list):
            arguments[key] = tuple(tuple(v) if isinstance(v, list) else v for v in value)
        else:
            arguments[key] = value
    request = getattr(commands, kind)(**arguments)
    assert isinstance(request, Request)
    return request


def answer_bytes(vector: dict[str, Any]) -> bytes:
    before = BY_NAME[vector["after"]]["hex"] if "after" in vector else ""
    return bytes.fromhex(before + vector["hex"])


def the_only_event(request: Request, data: bytes) -> Reply | Nack | LineError:
    (event,) = ReplyDecoder(request).feed(data)
    return event


def name_of(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def test_all_78_vectors_are_here() -> None:
    assert len(VECTORS) == len(BY_NAME) == 78


@pytest.mark.parametrize("vector", VECTORS, ids=name_of)
def test_the_crc_over_a_whole_frame_is_zero_unless_it_is_a_known_bad_one(
    vector: dict[str, Any],
) -> None:
    assert (crc16(bytes.fromhex(vector["hex"])) == 0) is not vector.get("bad_crc", False)


@pytest.mark.parametrize("vector", REQUESTS, ids=name_of)
def test_our_request_is_the_vector_byte_for_byte(vector: dict[str, Any]) -> None:
    assert build(vector["request"]).encode().hex(" ") == vector["hex"]


@pytest.mark.parametrize("vector", REQUESTS, ids=name_of)
def test_the_device_side_reads_the_request_and_gives_it_back(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    (frame,) = RequestDecoder().feed(data)
    assert isinstance(frame, RequestFrame)
    assert frame.encode() == data
    request = build(vector["request"])
    assert frame.command == request.command
    for field in ("address", "count", "addresses", "words", "option"):
        if hasattr(request, field):
            assert getattr(frame, field) == getattr(request, field)


def test_a_request_with_swapped_address_bytes_is_refused_by_us_and_read_as_it_is() -> None:
    vector = BY_NAME["write_swapped_address"]
    with pytest.raises(BadRequest, match="only 300-399"):
        build(vector["refused"])
    (frame,) = RequestDecoder().feed(bytes.fromhex(vector["hex"]))
    assert isinstance(frame, RequestFrame)
    parsed = vector["parsed"]
    assert (frame.command, frame.address, frame.count, list(frame.words)) == (
        parsed["command"],
        parsed["address"],
        parsed["count"],
        parsed["words"],
    )


@pytest.mark.parametrize("vector", BAD, ids=name_of)
def test_a_request_with_a_wrong_crc_is_named_as_damaged(vector: dict[str, Any]) -> None:
    request = build(vector["request"])
    assert request.encode().hex(" ")[:-6] == vector["hex"][:-6]
    assert request.encode().hex(" ") != vector["hex"]
    (error,) = RequestDecoder().feed(bytes.fromhex(vector["hex"]))
    assert isinstance(error, LineError)
    assert (error.kind, error.command) == (LineErrorKind.CRC, request.command)


@pytest.mark.parametrize("vector", ANSWERS, ids=name_of)
def test_the_answer_is_found_and_means_what_the_vector_says(vector: dict[str, Any]) -> None:
    event = the_only_event(build(vector["request"]), answer_bytes(vector))
    if "nack" in vector:
        assert isinstance(event, Nack)
        assert event.code == vector["nack"]
        return
    assert isinstance(event, Reply)
    if "done" in vector:
        assert event.payload == b""
    if "words" in vector:
        assert list(event.words) == vector["words"]
    if "events" in vector:
        lifetime_s, events = parse_event_reply(event.payload)
        assert lifetime_s == vector["lifetime_s"]
        assert [[e.time_s, e.kind.number] for e in events] == vector["events"]


@pytest.mark.parametrize("vector", VALUES, ids=name_of)
def test_the_values_are_exactly_those_of_the_device(vector: dict[str, Any]) -> None:
    event = the_only_event(build(vector["request"]), answer_bytes(vector))
    assert isinstance(event, Reply)
    readings = reply_readings(event)
    assert {key: readings[key].value for key in vector["values"]} == vector["values"]
    if "after" not in vector:
        assert readings.keys() == vector["values"].keys()
    raws = vector.get("raws", {})
    assert {key: readings[key].raw for key in raws} == raws


@pytest.mark.parametrize("vector", ANSWERS, ids=name_of)
def test_the_device_side_lays_out_the_answer_byte_for_byte(vector: dict[str, Any]) -> None:
    request = build(vector["request"])
    data = answer_bytes(vector)
    (frame,) = RequestDecoder().feed(request.encode())
    assert isinstance(frame, RequestFrame)
    if "nack" in vector:
        assert encode_nack(frame.command, vector["nack"]) == data
        return
    event = the_only_event(request, data)
    assert isinstance(event, Reply)
    assert encode_reply(frame, event.payload) == data


def test_the_first_of_two_packets_alone_is_no_answer() -> None:
    vector = BY_NAME["packet_1_of_2"]
    data = bytes.fromhex(vector["hex"])
    assert data[2] & MORE_PACKETS
    decoder = ReplyDecoder(build(vector["request"]))
    assert decoder.feed(data) == []
    (timeout,) = decoder.finish()
    assert isinstance(timeout, LineError)
    assert timeout.kind is LineErrorKind.TIMEOUT


def test_an_answer_of_119_bytes_in_two_deliveries_of_64_and_55_is_one_answer() -> None:
    vector = BY_NAME["read_57"]
    request = build(vector["request"])
    (frame,) = RequestDecoder().feed(bytes.fromhex(vector["hex"]))
    assert isinstance(frame, RequestFrame)
    data = encode_reply(frame, bytes(range(114)))
    assert len(data) == 119
    assert data[:3] == bytes.fromhex("aa 03 72")
    decoder = ReplyDecoder(request)
    assert decoder.feed(data[:64]) == []
    (reply,) = decoder.feed(data[64:])
    assert isinstance(reply, Reply)
    assert len(reply.words) == 57
