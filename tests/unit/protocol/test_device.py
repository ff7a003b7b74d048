from __future__ import annotations

import pytest

from tinybms_protocol.commands import (
    ReadBlock,
    ReadPackets,
    ReadScattered,
    WriteBlock,
    WritePackets,
)
from tinybms_protocol.crc import with_crc
from tinybms_protocol.device import (
    RequestDecoder,
    RequestFrame,
    encode_ack,
    encode_nack,
    encode_reply,
    encode_words,
)
from tinybms_protocol.errors import LineErrorKind
from tinybms_protocol.frames import LineError


def parse(frame: bytes) -> RequestFrame:
    (request,) = RequestDecoder().feed(frame)
    assert isinstance(request, RequestFrame)
    return request


def test_requests_one_byte_at_a_time() -> None:
    data = ReadBlock(0, 56).encode() + WriteBlock(306, (32000,)).encode()
    decoder = RequestDecoder()
    found = [event for byte in data for event in decoder.feed(bytes([byte]))]
    assert [f.command for f in found if isinstance(f, RequestFrame)] == [3, 16]


def test_a_read_outside_the_map_reaches_the_device_as_it_is() -> None:
    request = parse(with_crc(bytes.fromhex("aa032c010003")))
    assert (request.address, request.count) == (0x2C01, 3)


def test_a_write_0x0b_reaches_the_device() -> None:
    request = parse(WritePackets(306, (32000, 14)).encode())
    assert (request.address, request.count, request.words) == (306, 2, (32000, 14))


def test_a_damaged_request_names_its_command_and_the_next_one_is_found() -> None:
    damaged = bytearray(ReadBlock(0, 56).encode())
    damaged[5] ^= 1
    error, request = RequestDecoder().feed(bytes(damaged) + ReadBlock(0, 56).encode())
    assert isinstance(error, LineError)
    assert (error.kind, error.command) == (LineErrorKind.CRC, 3)
    assert isinstance(request, RequestFrame)


def test_an_unknown_command_with_a_right_crc_is_given_to_the_device() -> None:
    request = parse(with_crc(bytes.fromhex("aa06013b1068")))
    assert (request.command, request.body) == (6, bytes.fromhex("013b1068"))


def test_another_start_byte_is_silence() -> None:
    assert RequestDecoder().feed(with_crc(bytes.fromhex("01030000000a"))) == []


def test_a_partial_request_can_be_forgotten() -> None:
    decoder = RequestDecoder()
    assert decoder.feed(ReadBlock(0, 56).encode()[:5]) == []
    assert decoder.reset() == 5
    assert len(decoder.feed(ReadBlock(0, 56).encode())) == 1


def test_acks_and_refusals() -> None:
    assert encode_ack(0x0B) == bytes.fromhex("aa010b11b7")
    assert encode_nack(0x10, 0) == bytes.fromhex("aa0010002c3c")


def test_57_registers_by_0x07_are_two_packets_of_68_and_56_bytes() -> None:
    request = parse(ReadPackets(0, 57, allow_reserved=True).encode())
    data = encode_words(request, range(57))
    assert len(data) == 124
    assert (data[2], data[68], data[70]) == (0x82, 0xAA, 51)


def test_packet_ids_count_down_unless_they_are_given() -> None:
    request = parse(ReadPackets(200, 98).encode())
    data = encode_words(request, [0] * 98)
    assert [data[2], data[70], data[138], data[206]] == [0x84, 0x83, 0x82, 7]
    data = encode_reply(request, bytes(196), packet_ids=(0, 1, 2))
    assert [data[2], data[70], data[138], data[206]] == [0x80, 0x81, 0x82, 7]


def test_an_answer_to_0x09_names_its_registers() -> None:
    request = parse(ReadScattered((36, 37)).encode())
    data = encode_words(request, (0x1EB8, 0x425F))
    assert data == bytes.fromhex("aa09082400b81e25005f42908d")
    with pytest.raises(ValueError, match="zip"):
        encode_words(request, (1,))
