"""Critical records, acknowledgements and requests survive their way; what is malformed does not."""

import contextlib
import math

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_critical import BOOT, make_alarm, make_record
from tinybms_messages.codec import BadMessage, decode, encode
from tinybms_messages.critical import Critical, DeliveredBoot, MqttDelivered
from tinybms_messages.header import Header
from tinybms_messages.requests import (
    MAX_FRAME_BYTES,
    Ack,
    BadRequestFrame,
    CatchUp,
    CaughtUp,
    Claim,
    Claimed,
    Reply,
    Request,
    RequestBody,
    Result,
    RingBoot,
    StoredRecord,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)
from tinybms_messages.sequences import SequenceSet
from tinybms_messages.topics import CRITICAL, MQTT_DELIVERED

HEADER = Header(
    source="acquisition",
    boot=BOOT,
    seq=1,
    wall_ns=1,
    boottime_ns=2,
    kernel_boot_id="k",
    time_ok=True,
)
BODIES: list[RequestBody] = [
    CatchUp(),
    CatchUp(boot=BOOT, ranges=((1, 4), (9, 9))),
    Claim(claimer="b" * 16),
    Ack(claimer="b" * 16, store="s", ids=(4, 5)),
]


def request(body: RequestBody) -> Request:
    return Request(id="r1", deadline_ns=5, kernel_boot_id="k", body=body)


@pytest.mark.parametrize("value", [0, 0.0, -3, 51.5, "cleared", None, 2**63 - 1])
def test_a_record_comes_back_as_it_was_sent(value: float | str | None) -> None:
    record = make_alarm(7, value=value, text="SoC 9 °")
    body = decode(encode(CRITICAL, "pack1", HEADER, record)).body
    assert body == record
    assert isinstance(body, Critical)
    assert type(body.value) is type(value)


@pytest.mark.parametrize(
    "change",
    [{"seq": 0}, {"raw": 2**63}, {"boot": ""}, {"suffix": "x" * 65}, {"record_class": "other"}],
)
def test_a_record_out_of_its_bounds_is_refused(change: dict[str, object]) -> None:
    frames = encode(CRITICAL, "pack1", HEADER, make_record(1))
    frames[2] = msgpack.packb(msgpack.unpackb(frames[2]) | change)
    with pytest.raises(BadMessage):
        decode(frames)


def test_delivered_names_what_is_acknowledged() -> None:
    numbers = SequenceSet([(1, 4), (7, 8), (10, 10)])
    delivered = DeliveredBoot.of(BOOT, numbers, most_ranges=9)
    assert (delivered.up_to, delivered.above) == (4, ((7, 8), (10, 10)))
    body = MqttDelivered(boots=(delivered,))
    assert decode(encode(MQTT_DELIVERED, "pack1", HEADER, body)).body == body
    assert list(delivered.numbers().ranges()) == list(numbers.ranges())


def test_delivered_begins_above_one_when_mqtt_came_later() -> None:
    delivered = DeliveredBoot.of(BOOT, SequenceSet([(5, 9)]), most_ranges=9)
    assert (delivered.up_to, delivered.above) == (0, ((5, 9),))


def test_too_many_ranges_count_as_not_acknowledged() -> None:
    numbers = SequenceSet((number, number) for number in range(2, 40, 2))
    delivered = DeliveredBoot.of(BOOT, numbers, most_ranges=3)
    assert delivered.above == ((34, 34), (36, 36), (38, 38))


@pytest.mark.parametrize("body", BODIES)
def test_a_request_comes_back_as_it_was_sent(body: RequestBody) -> None:
    assert decode_request(encode_request(request(body))) == request(body)


def test_replies_come_back_as_they_were_sent() -> None:
    stored = StoredRecord(id=3, record=make_alarm(1), repaired=True)
    inventory = (RingBoot(boot=BOOT, first=1, last=9),)
    for body in (
        Claimed(store="s", records=(stored,), rows=9),
        CaughtUp(inventory=inventory, records=(make_record(4),)),
    ):
        reply = Reply(id="r1", result=Result.OK, body=body)
        assert decode_reply(encode_reply(reply)) == reply
    refusal = Reply(id="r1", result=Result.REFUSED, text="writes are not allowed")
    assert decode_reply(encode_reply(refusal)) == refusal


def test_a_key_of_a_newer_release_is_ignored() -> None:
    plain = msgpack.unpackb(encode_request(request(Claim(claimer="c"))))
    plain["later"] = plain["body"]["later"] = 1
    assert decode_request(msgpack.packb(plain)) == request(Claim(claimer="c"))


@pytest.mark.parametrize(
    "frame",
    [b"", b"\xc1", msgpack.packb([]), msgpack.packb({"id": "x"}), bytes(MAX_FRAME_BYTES + 1)],
)
def test_a_malformed_frame_is_neither_request_nor_reply(frame: bytes) -> None:
    with pytest.raises(BadRequestFrame):
        decode_request(frame)
    with pytest.raises(BadRequestFrame):
        decode_reply(frame)


def test_an_unknown_kind_of_request_is_refused() -> None:
    plain = msgpack.unpackb(encode_request(request(CatchUp())))
    plain["body"]["type"] = "format_disk"
    with pytest.raises(BadRequestFrame):
        decode_request(msgpack.packb(plain))


def test_a_request_without_a_number_of_records_to_claim_is_refused() -> None:
    plain = msgspec.to_builtins(request(Claim(claimer="c")))
    plain["body"]["limit"] = 0
    with pytest.raises(BadRequestFrame):
        decode_request(msgpack.packb(plain))


def test_what_is_no_number_is_neither_sent_nor_received() -> None:
    bad = CaughtUp(records=(make_record(1, value=math.nan),))
    with pytest.raises(ValueError, match="is no value"):
        encode_reply(Reply(id="r", result=Result.OK, body=bad))
    plain = msgspec.to_builtins(Reply(id="r", result=Result.OK, body=bad))
    with pytest.raises(BadRequestFrame, match="is no value"):
        decode_reply(msgpack.packb(plain))


@given(st.binary(max_size=300))
def test_any_bytes_give_a_request_or_a_refusal(frame: bytes) -> None:
    with contextlib.suppress(BadRequestFrame):
        decode_request(frame)
    with contextlib.suppress(BadRequestFrame):
        decode_reply(frame)
