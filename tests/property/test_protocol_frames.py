"""Whatever comes over the line: answers, refusals or line errors, and no damaged value."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tinybms_protocol.commands import (
    Command,
    Option,
    OptionCode,
    Query,
    ReadBlock,
    ReadPackets,
    ReadScattered,
    ReadSettings,
    Request,
    SettingsOption,
    WriteBlock,
)
from tinybms_protocol.device import (
    RequestDecoder,
    RequestFrame,
    encode_ack,
    encode_nack,
    encode_reply,
    encode_words,
)
from tinybms_protocol.errors import LineErrorKind
from tinybms_protocol.frames import Event, LineError, Nack, Reply, ReplyDecoder
from tinybms_protocol.wire import BUFFER_SIZE, START

READS = (
    ReadBlock(0, 56),
    ReadBlock(36, 2),
    ReadPackets(0, 16),
    ReadPackets(300, 44),
    ReadPackets(200, 63),
    ReadScattered((36, 37, 46, 47)),
    ReadScattered(tuple(range(20))),
    ReadSettings(SettingsOption.MINIMUM, 44),
)
OTHERS = (
    Option(OptionCode.CLEAR_EVENTS),
    WriteBlock(315, (4200, 2500)),
    Query(Command.ALL_EVENTS),
    Query(Command.ONLINE_STATUS),
    Query(Command.PACK_VOLTAGE),
    Query(Command.CELL_VOLTAGES),
    Query(Command.EXTENDED_VERSION),
    Query(Command.TRIP),
)
requests: st.SearchStrategy[Request] = st.sampled_from((*READS, *OTHERS))
reads: st.SearchStrategy[Request] = st.sampled_from(READS)
noise = st.binary(max_size=300)


def frame_of(request: Request) -> RequestFrame:
    (frame,) = RequestDecoder().feed(request.encode())
    assert isinstance(frame, RequestFrame)
    return frame


def words_for(request: Request, seed: int) -> list[int]:
    shape = request.reply
    count = len(shape.addresses) or shape.max_size // 2
    return [(seed * 31 + 40503 * index) & 0xFFFF for index in range(count)]


def answer_to(request: Request, seed: int) -> bytes:
    if request in READS:
        return encode_words(frame_of(request), words_for(request, seed))
    return encode_reply(frame_of(request), bytes((seed + i) & 0xFF for i in range(_size(request))))


def _size(request: Request) -> int:
    return request.reply.max_size


def chunks_of(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def run(request: Request, chunks: Sequence[bytes]) -> list[Event]:
    decoder = ReplyDecoder(request)
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    assert len(decoder._buffer) <= BUFFER_SIZE
    return events + decoder.finish()


@given(requests, st.lists(noise, max_size=20))
def test_any_bytes_give_line_errors_and_end_in_an_answer_or_a_timeout(
    request: Request, chunks: list[bytes]
) -> None:
    events = run(request, chunks)
    assert all(isinstance(event, Reply | Nack | LineError) for event in events)
    answers = [event for event in events if isinstance(event, Reply | Nack)]
    timeouts = [
        event
        for event in events
        if isinstance(event, LineError) and event.kind is LineErrorKind.TIMEOUT
    ]
    assert len(answers) + len(timeouts) == 1


@given(requests, noise, st.integers(0, 0xFFFF), st.lists(st.integers(0, 700), max_size=8))
def test_a_valid_answer_behind_any_garbage_is_found_in_any_chunks(
    request: Request, garbage: bytes, seed: int, cuts: list[int]
) -> None:
    events = run(request, chunks_of(garbage + answer_to(request, seed), cuts))
    (reply,) = [event for event in events if isinstance(event, Reply)]
    if request in READS:
        assert list(reply.words) == words_for(request, seed)


@given(requests, st.integers(0, 0xFFFF))
def test_one_byte_at_a_time_gives_the_same_answer_and_no_error(request: Request, seed: int) -> None:
    data = answer_to(request, seed)
    (event,) = run(request, [data[i : i + 1] for i in range(len(data))])
    assert isinstance(event, Reply)


@given(requests, st.integers(0, 0xFFFF), st.data())
def test_every_single_bit_flip_of_an_answer_is_rejected(
    request: Request, seed: int, data: st.DataObject
) -> None:
    answer = bytearray(answer_to(request, seed))
    bit = data.draw(st.integers(0, 8 * len(answer) - 1))
    answer[bit // 8] ^= 1 << (bit % 8)
    events = run(request, [bytes(answer)])
    assert not [event for event in events if isinstance(event, Reply | Nack)]


@given(requests, st.integers(0, 0xFFFF), st.data())
def test_an_answer_that_lost_a_byte_is_rejected_and_the_next_good_one_is_found(
    request: Request, seed: int, data: st.DataObject
) -> None:
    answer = answer_to(request, seed)
    lost = data.draw(st.integers(0, len(answer) - 1))
    damaged = answer[:lost] + answer[lost + 1 :]
    assert not [e for e in run(request, [damaged]) if isinstance(e, Reply | Nack)]
    events = run(request, [damaged, answer])
    (reply,) = [event for event in events if isinstance(event, Reply)]
    if request in READS:
        assert list(reply.words) == words_for(request, seed)


@given(reads, requests, st.integers(0, 0xFFFF))
def test_an_answer_to_another_request_is_never_taken(
    request: Request, other: Request, seed: int
) -> None:
    same_shape = (
        other.reply.command == request.reply.command and other.reply.sizes == request.reply.sizes
    )
    if same_shape:
        return
    events = run(request, [answer_to(other, seed)])
    assert not [event for event in events if isinstance(event, Reply)]


@given(requests, st.sampled_from(list(Command)), st.integers(0, 255))
def test_a_refusal_or_ack_counts_only_when_it_names_the_command_asked(
    request: Request, command: Command, code: int
) -> None:
    nacks = [e for e in run(request, [encode_nack(command, code)]) if isinstance(e, Nack)]
    assert len(nacks) == (command == request.command)
    acks = [e for e in run(request, [encode_ack(command)]) if isinstance(e, Reply)]
    assert len(acks) == (command == request.command == Command.OPTION)


@given(st.lists(noise, max_size=20))
def test_the_device_side_takes_any_bytes(chunks: list[bytes]) -> None:
    decoder = RequestDecoder()
    for chunk in chunks:
        for event in decoder.feed(chunk):
            assert isinstance(event, RequestFrame | LineError)
        assert len(decoder._buffer) <= BUFFER_SIZE


@given(st.lists(requests, min_size=1, max_size=6), st.lists(st.integers(0, 300), max_size=8))
def test_the_device_side_finds_every_request_in_any_chunks(
    asked: list[Request], cuts: list[int]
) -> None:
    data = b"".join(request.encode() for request in asked)
    decoder = RequestDecoder()
    found = [event for chunk in chunks_of(data, cuts) for event in decoder.feed(chunk)]
    assert [f.encode() for f in found if isinstance(f, RequestFrame)] == [
        request.encode() for request in asked
    ]
    assert len(found) == len(asked)


@given(requests, st.binary(max_size=64).map(lambda b: b.replace(bytes([START]), b"")))
def test_the_device_side_finds_a_request_behind_text(request: Request, text: bytes) -> None:
    (frame,) = RequestDecoder().feed(text + request.encode())
    assert isinstance(frame, RequestFrame)
    assert frame.encode() == request.encode()


@given(requests, st.data())
def test_every_single_bit_flip_of_a_request_is_never_obeyed(
    request: Request, data: st.DataObject
) -> None:
    sent = bytearray(request.encode())
    bit = data.draw(st.integers(0, 8 * len(sent) - 1))
    sent[bit // 8] ^= 1 << (bit % 8)
    found = RequestDecoder().feed(bytes(sent))
    assert not [event for event in found if isinstance(event, RequestFrame)]
