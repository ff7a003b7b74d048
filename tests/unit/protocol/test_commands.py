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
    ReadSettings,
    SettingsOption,
    WriteBlock,
    WritePackets,
    WriteScattered,
)
from tinybms_protocol.crc import crc16
from tinybms_protocol.errors import BadRequest
from tinybms_protocol.wire import REPLY_FORMS, ReplyForm


def test_every_command_of_the_protocol_has_a_form_of_answer() -> None:
    assert sorted(REPLY_FORMS) == [
        *(0x02, 0x03, 0x07, 0x09, 0x0B, 0x0D, 0x10, 0x11, 0x12),
        *range(0x14, 0x21),
    ]
    assert set(REPLY_FORMS) == set(Command)


@pytest.mark.parametrize(
    ("request_", "frame"),
    [
        (ReadBlock(5, 5), "aa 03 00 05 00 05"),
        (ReadPackets(300, 44), "aa 07 2c 2c 01"),
        (ReadScattered((36, 300)), "aa 09 04 24 00 2c 01"),
        (WritePackets(306, (32000,)), "aa 0b 04 32 01 00 7d"),
        (WriteScattered(((306, 32000), (315, 3650))), "aa 0d 08 32 01 00 7d 3b 01 42 0e"),
        (WriteBlock(315, (4200, 2500)), "aa 10 01 3b 00 02 04 10 68 09 c4"),
        (Option(OptionCode.CLEAR_STATISTICS), "aa 02 02"),
        (ReadSettings(SettingsOption.MAXIMUM, 43), "aa 1d 02 00 2b"),
        (Query(Command.EXTENDED_VERSION), "aa 1f"),
    ],
)
def test_layout_of_each_request(request_: ReadBlock, frame: str) -> None:
    encoded = request_.encode()
    assert encoded[:-2].hex(" ") == frame
    assert crc16(encoded) == 0


@pytest.mark.parametrize(
    ("address", "count"),
    [
        (0, 0),
        (0, 57),
        (0, 128),
        (-1, 2),
        (56, 1),
        (90, 20),
        (118, 1),
        (297, 2),
        (343, 2),
        (400, 1),
        (499, 2),
        (509, 2),
        (0x2C01, 1),
        (0xFFFF, 1),
    ],
)
def test_reads_outside_the_map_are_refused(address: int, count: int) -> None:
    with pytest.raises(BadRequest):
        ReadBlock(address, count)
    with pytest.raises(BadRequest):
        ReadPackets(address, count)


@pytest.mark.parametrize(("address", "count"), [(0, 56), (100, 18), (200, 98), (300, 44)])
def test_whole_blocks_can_be_read(address: int, count: int) -> None:
    assert ReadBlock(address, count).reply.sizes == (2 * count,)


def test_reserved_registers_of_the_map_can_be_read_when_asked_for() -> None:
    assert ReadBlock(0, 100, allow_reserved=True).reply.max_size == 200
    with pytest.raises(BadRequest):
        ReadBlock(390, 20, allow_reserved=True)


def test_scattered_reads_are_limited_to_one_packet_of_request() -> None:
    assert len(ReadScattered(tuple(range(31))).encode()) == 5 + 62
    with pytest.raises(BadRequest, match="1 to 31"):
        ReadScattered(tuple(range(32)))
    with pytest.raises(BadRequest, match="1 to 31"):
        ReadScattered(())
    with pytest.raises(BadRequest, match="junk"):
        ReadScattered((0, 60))


@pytest.mark.parametrize("address", [302, 309, 324, 327, 344, 399])
def test_reserved_settings_are_never_written(address: int) -> None:
    for write in (
        lambda: WriteBlock(address, (1,)),
        lambda: WritePackets(address, (1,)),
        lambda: WriteScattered(((address, 1),)),
        lambda: WriteBlock(address - 1, (1, 1)),
    ):
        with pytest.raises(BadRequest):
            write()


@pytest.mark.parametrize("address", [0, 50, 299, 400, 502, 0x3201])
def test_writes_outside_the_settings_are_refused(address: int) -> None:
    with pytest.raises(BadRequest, match="only 300-399"):
        WriteBlock(address, (1,))
    with pytest.raises(BadRequest, match="only 300-399"):
        WriteScattered(((address, 1),))


def test_both_words_of_the_pulse_count_are_written_together() -> None:
    assert WriteBlock(312, (1, 0)).words == (1, 0)
    assert WriteScattered(((312, 1), (313, 0))).encode()
    for write in (
        lambda: WriteBlock(312, (1,)),
        lambda: WriteBlock(313, (0, 1)),
        lambda: WriteScattered(((313, 0),)),
    ):
        with pytest.raises(BadRequest, match="312 and 313"):
            write()


@pytest.mark.parametrize("word", [-1, 65536])
def test_words_that_do_not_fit_are_refused(word: int) -> None:
    with pytest.raises(BadRequest, match="0 to 65535"):
        WriteBlock(300, (word,))


def test_counts_of_writes_are_limited() -> None:
    with pytest.raises(BadRequest, match="1 to 100"):
        WriteBlock(300, ())
    with pytest.raises(BadRequest, match="1 to 100"):
        WriteBlock(300, (0,) * 101)
    with pytest.raises(BadRequest, match="1 to 15"):
        WriteScattered(((300, 1),) * 16)
    with pytest.raises(BadRequest, match="1 to 100"):
        ReadSettings(SettingsOption.CURRENT, 101)


def test_a_command_with_arguments_is_no_query() -> None:
    with pytest.raises(BadRequest, match="arguments"):
        Query(Command.READ_BLOCK)


def test_only_what_changes_something_counts_as_a_write() -> None:
    assert WriteBlock(300, (4000,)).is_write
    assert WriteScattered(((300, 4000),)).is_write
    assert Option(OptionCode.CLEAR_EVENTS).is_write
    assert not ReadBlock(0, 56).is_write
    assert not Query(Command.ONLINE_STATUS).is_write


def test_a_write_expects_its_address_and_count_back() -> None:
    shape = WriteBlock(315, (4200, 2500)).reply
    assert shape.form is ReplyForm.ECHO
    assert shape.echo == bytes.fromhex("013b0002")
