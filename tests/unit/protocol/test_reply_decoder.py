"""Recovery of the answer decoder, case by case."""

from __future__ import annotations

import pytest

from tinybms_protocol.commands import (
    Command,
    Option,
    OptionCode,
    Query,
    ReadBlock,
    ReadPackets,
    ReadScattered,
    Request,
    WriteBlock,
)
from tinybms_protocol.crc import with_crc
from tinybms_protocol.errors import BadReply, LineErrorKind
from tinybms_protocol.frames import Event, LineError, Nack, Reply, ReplyDecoder
from tinybms_protocol.wire import BUFFER_SIZE, pack_be

VOLTAGE = ReadBlock(36, 2)
VOLTAGE_ANSWER = bytes.fromhex("aa03041eb8425f166c")
LIVE = ReadBlock(0, 56)


def block_answer(words: list[int]) -> bytes:
    return with_crc(bytes((0xAA, 3, 2 * len(words))) + pack_be(words))


def packet(length_byte: int, payload: bytes, command: int = 7) -> bytes:
    return with_crc(bytes((0xAA, command, length_byte)) + payload)


def kinds(events: list[Event]) -> list[str]:
    return [event.kind.value if isinstance(event, LineError) else "answer" for event in events]


def run(request: Request, *chunks: bytes) -> list[Event]:
    decoder = ReplyDecoder(request)
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.finish()


def test_broadcast_text_in_front_of_an_answer_is_junk() -> None:
    events = run(VOLTAGE, b"EXT1:----\tOS:155\r\n", VOLTAGE_ANSWER)
    assert kinds(events) == ["junk", "answer"]
    junk, reply = events
    assert isinstance(junk, LineError)
    assert "18 bytes" in junk.detail
    assert "EXT1" in junk.detail
    assert isinstance(reply, Reply)
    assert reply.words == (0x1EB8, 0x425F)


def test_the_answer_twice_is_one_answer_and_trailing_bytes() -> None:
    assert kinds(run(VOLTAGE, VOLTAGE_ANSWER * 2)) == ["answer", "trailing"]
    decoder = ReplyDecoder(VOLTAGE)
    assert kinds(decoder.feed(VOLTAGE_ANSWER)) == ["answer"]
    assert decoder.done
    assert kinds(decoder.feed(VOLTAGE_ANSWER)) == ["trailing"]
    assert decoder.finish() == []


def test_a_right_crc_with_another_length_is_rejected() -> None:
    assert kinds(run(LIVE, VOLTAGE_ANSWER)) == ["length", "timeout"]


def test_a_late_answer_of_another_block_is_skipped_and_the_right_one_found() -> None:
    late = block_answer([7] * 18)
    events = run(LIVE, late + block_answer(list(range(56))))
    assert kinds(events) == ["length", "answer"]
    assert isinstance(events[-1], Reply)
    assert events[-1].words == tuple(range(56))


def test_a_late_answer_to_another_command_is_skipped() -> None:
    assert kinds(run(VOLTAGE, bytes.fromhex("aa189700cfcb") + VOLTAGE_ANSWER)) == [
        "command",
        "answer",
    ]


def test_a_damaged_answer_followed_by_a_good_one() -> None:
    damaged = bytearray(VOLTAGE_ANSWER)
    damaged[5] ^= 4
    assert kinds(run(VOLTAGE, bytes(damaged), VOLTAGE_ANSWER)) == ["crc", "answer"]


def test_an_answer_with_a_lost_byte_followed_by_a_good_one() -> None:
    for lost in range(len(VOLTAGE_ANSWER)):
        cut = VOLTAGE_ANSWER[:lost] + VOLTAGE_ANSWER[lost + 1 :]
        events = run(VOLTAGE, cut, VOLTAGE_ANSWER)
        (reply,) = [event for event in events if isinstance(event, Reply)]
        assert reply.words == (0x1EB8, 0x425F)


def test_a_start_that_waits_for_too_many_bytes_is_undone_at_the_deadline() -> None:
    # Noise looks like the head of a long event log, so that the short one seems to be its payload.
    short = with_crc(bytes.fromhex("aa12080000000111223361"))
    decoder = ReplyDecoder(Query(Command.ALL_EVENTS))
    assert decoder.feed(b"\xaa\x12\xc8" + short) == []
    assert not decoder.done
    assert kinds(decoder.finish()) == ["junk", "answer"]


def test_a_start_that_takes_in_a_part_of_the_answer_is_undone_when_its_crc_fails() -> None:
    decoder = ReplyDecoder(LIVE)
    answer = block_answer(list(range(56)))
    assert kinds(decoder.feed(b"\xaa\x03\x70" + answer[:-1])) == ["crc"]
    assert kinds(decoder.feed(answer[-1:])) == ["answer"]


def test_a_frame_inside_a_damaged_frame_is_not_taken_for_the_answer() -> None:
    inner = bytes.fromhex("aa0302ffff")
    words = [0xAA03, 0x02FF, 0xFF00, *range(53)]
    outer = bytearray(block_answer(words))
    assert inner in outer
    outer[-5] ^= 1
    assert "answer" not in kinds(run(LIVE, bytes(outer)))


def test_every_single_bit_flip_of_an_answer_is_rejected() -> None:
    cases: list[tuple[Request, bytes]] = [
        (VOLTAGE, VOLTAGE_ANSWER),
        (WriteBlock(315, (4200, 2500)), bytes.fromhex("aa10013b00022822")),
        (Option(OptionCode.CLEAR_EVENTS), bytes.fromhex("aa0102d1b1")),
        (ReadPackets(0, 16), bytes.fromhex("aa00070023cc")),
        (ReadScattered((36, 37)), bytes.fromhex("aa09082400b81e25005f42908d")),
        (Query(Command.STATE_OF_CHARGE), bytes.fromhex("aa1a08f2fa04a123")),
    ]
    for request, answer in cases:
        assert [e for e in run(request, answer) if isinstance(e, Reply | Nack)]
        for bit in range(8 * len(answer)):
            flipped = bytearray(answer)
            flipped[bit // 8] ^= 1 << bit % 8
            events = run(request, bytes(flipped))
            assert not [e for e in events if isinstance(e, Reply | Nack)], (request, bit)


def test_our_own_request_coming_back_is_not_an_answer() -> None:
    for request, answer in (
        (VOLTAGE, VOLTAGE_ANSWER),
        (WriteBlock(315, (4200, 2500)), bytes.fromhex("aa10013b00022822")),
        (Query(Command.PACK_VOLTAGE), bytes.fromhex("aa14b81e5f42d575")),
    ):
        events = run(request, request.encode() + answer)
        assert kinds(events)[-1] == "answer"
        assert kinds(events).count("answer") == 1


@pytest.mark.parametrize(
    ("code", "kind", "may_repeat"),
    [
        (0, LineErrorKind.NACK_COMMAND, False),
        (1, LineErrorKind.NACK_CRC, True),
        (7, LineErrorKind.NACK_UNKNOWN, False),
    ],
)
def test_refusals_by_their_code(code: int, kind: LineErrorKind, may_repeat: bool) -> None:
    (nack,) = run(VOLTAGE, with_crc(bytes((0xAA, 0, 3, code))))
    assert isinstance(nack, Nack)
    assert (nack.kind, nack.may_repeat) == (kind, may_repeat)
    error = nack.to_error()
    assert isinstance(error, BadReply)
    assert error.kind is kind
    assert "0x03" in str(error)


def test_a_refusal_of_another_command_does_not_count() -> None:
    assert kinds(run(VOLTAGE, with_crc(b"\xaa\x00\x10\x00"))) == ["command", "timeout"]


def test_an_ack_of_another_command_or_to_a_read_does_not_count() -> None:
    clear = Option(OptionCode.CLEAR_EVENTS)
    assert kinds(run(clear, with_crc(b"\xaa\x01\x0b"))) == ["command", "timeout"]
    assert kinds(run(VOLTAGE, with_crc(b"\xaa\x01\x03"))) == ["command", "timeout"]
    assert kinds(run(clear, with_crc(b"\xaa\x02\x01"))) == ["command", "timeout"]


@pytest.mark.parametrize("echo", ["013a0002", "013b0003", "3b010200"])
def test_a_write_echo_with_another_address_or_count_does_not_count(echo: str) -> None:
    answer = with_crc(b"\xaa\x10" + bytes.fromhex(echo))
    assert kinds(run(WriteBlock(315, (4200, 2500)), answer)) == ["address", "timeout"]


def test_an_answer_that_names_other_registers_does_not_count() -> None:
    swapped = packet(8, bytes.fromhex("25005f422400b81e"), command=9)
    assert kinds(run(ReadScattered((36, 37)), swapped)) == ["address", "timeout"]
    right = packet(8, bytes.fromhex("2400b81e25005f42"), command=9)
    events = run(ReadScattered((36, 37)), swapped + right)
    assert kinds(events) == ["address", "answer"]


def test_two_packets_are_joined_across_a_split_register() -> None:
    payload = bytes(range(88))
    events = run(ReadPackets(300, 44), packet(0x82, payload[:63]) + packet(25, payload[63:]))
    (reply,) = events
    assert isinstance(reply, Reply)
    assert reply.payload == payload
    assert reply.words[31] == 62 | 63 << 8


def test_packet_ids_may_count_up_or_down_but_not_repeat() -> None:
    payload = bytes(196)
    for ids in ((4, 3, 2), (0, 1, 2)):
        frames = [packet(0x80 | number, payload[:63]) for number in ids]
        assert kinds(run(ReadPackets(200, 98), b"".join(frames) + packet(7, payload[:7]))) == [
            "answer"
        ]
    twice = packet(0x82, payload[:63]) * 2
    assert kinds(run(ReadPackets(200, 98), twice)) == ["packet", "timeout"]


@pytest.mark.parametrize("last", [b"", bytes(63)])
def test_a_read_that_fills_its_packets_may_end_with_an_empty_or_a_full_one(last: bytes) -> None:
    first = packet(0x82, bytes(63))
    rest = b"" if last else packet(0x81, bytes(63))
    events = run(ReadPackets(200, 63), first + rest + packet(len(last), last))
    (reply,) = events
    assert isinstance(reply, Reply)
    assert len(reply.words) == 63


def test_a_last_packet_alone_is_not_the_answer() -> None:
    assert kinds(run(ReadPackets(300, 44), packet(25, bytes(25)))) == ["length", "timeout"]


def test_silence_and_unfinished_answers_are_told_apart() -> None:
    silent = ReplyDecoder(VOLTAGE)
    (timeout,) = silent.finish()
    assert isinstance(timeout, LineError)
    assert timeout.kind is LineErrorKind.TIMEOUT
    assert silent.bytes_seen == 0
    cut = ReplyDecoder(VOLTAGE)
    assert cut.feed(VOLTAGE_ANSWER[:-1]) == []
    assert kinds(cut.finish())[-1] == "timeout"
    assert cut.bytes_seen == len(VOLTAGE_ANSWER) - 1


class WatchedDecoder(ReplyDecoder):
    """Notes the most bytes that were ever held."""

    peak = 0

    def _scan(self, events: list[Event], *, final: bool) -> None:
        self.peak = max(self.peak, len(self._buffer))
        super()._scan(events, final=final)


def test_the_buffer_stays_bounded_under_a_flood() -> None:
    decoder = WatchedDecoder(LIVE)
    for flood in (b"\xaa" * 100_000, b"\xaa\x03\x70" * 30_000, b"text " * 20_000):
        decoder.feed(flood)
        assert 0 < decoder.peak <= BUFFER_SIZE
    events = decoder.feed(bytes(200) + block_answer([1] * 56))
    assert kinds(events + decoder.finish())[-1] == "answer"


def test_an_event_answer_may_have_any_whole_number_of_entries() -> None:
    query = Query(Command.ALL_EVENTS)
    for entries in (0, 1, 49):
        answer = with_crc(bytes((0xAA, 0x12, 4 + 4 * entries)) + bytes(4 + 4 * entries))
        assert kinds(run(query, answer)) == ["answer"]
    for size in (0, 3, 6, 252):
        answer = with_crc(bytes((0xAA, 0x12, size)) + bytes(size))
        assert "answer" not in kinds(run(query, answer))
