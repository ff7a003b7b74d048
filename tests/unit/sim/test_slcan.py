"""The simulated USB-CAN adapter speaks slcan as the LAWICEL manual describes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_sim.slcan import Adapter, CanFrame

FRAME = b"t351828025802E803B801\r"


@pytest.fixture
def adapter() -> Adapter:
    opened = Adapter()
    assert opened.feed(b"C\rS6\rO\r") == b"\r\r\r"
    return opened


def test_an_open_adapter_takes_frames_and_acknowledges_each(adapter: Adapter) -> None:
    assert adapter.feed(FRAME + b"T0000035120102\r") == b"z\rZ\r"
    assert adapter.take_frames() == [
        CanFrame(can_id=0x351, data=bytes.fromhex("28025802E803B801")),
        CanFrame(can_id=0x351, data=b"\x01\x02", extended=True),
    ]
    assert adapter.take_frames() == []


def test_remote_frames_carry_no_data(adapter: Adapter) -> None:
    assert adapter.feed(b"r3518\rR000003510\r") == b"z\rZ\r"
    assert [f.remote for f in adapter.take_frames()] == [True, True]


def test_frames_may_come_in_single_bytes(adapter: Adapter) -> None:
    answers = b"".join(adapter.feed(bytes((byte,))) for byte in FRAME)
    assert answers == b"z\r"
    assert len(adapter.take_frames()) == 1


@pytest.mark.parametrize(
    "command",
    [
        b"t351",
        b"t3519000000000000000000",
        b"t35180102",
        b"t8010",
        b"tXYZ0",
        b"Q",
        b"S",
        b"S6",
        b"\xff",
    ],
)
def test_what_is_not_a_command_is_refused(adapter: Adapter, command: bytes) -> None:
    assert adapter.feed(command + b"\r") == b"\a"
    assert adapter.take_frames() == []


def test_a_closed_adapter_refuses_frames_and_gives_none() -> None:
    adapter = Adapter()
    assert adapter.feed(FRAME) == b"\a"
    assert adapter.to_host(0x305, bytes(8), 0.0) == b""


def test_a_listening_adapter_refuses_to_send() -> None:
    adapter = Adapter()
    assert adapter.feed(b"S6\rL\r" + FRAME) == b"\r\r\a"


def test_a_full_transmit_queue_refuses_frames(adapter: Adapter) -> None:
    adapter.tx_full = True
    assert adapter.feed(FRAME) == b"\a"


def test_frames_of_the_bus_come_as_lines_with_a_time_when_asked(adapter: Adapter) -> None:
    data = bytes.fromhex("1234567856494300")
    assert adapter.to_host(0x307, data, 1.5) == b"t30781234567856494300\r"
    assert adapter.feed(b"Z1\r") == b"\r"
    assert adapter.to_host(0x307, data, 61.5) == b"t3078123456785649430005DC\r"


def test_version_serial_and_flags_are_told(adapter: Adapter) -> None:
    assert adapter.feed(b"V\rN\rF\r") == b"V1013\rNSIM1\rF00\r"


def test_a_line_without_end_is_refused_as_a_whole_and_the_next_one_taken(adapter: Adapter) -> None:
    adapter.feed(b"t" * 10_000)
    assert adapter.feed(b"\r" + FRAME) == b"\az\r"


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_any_bytes_are_survived(chunks: list[bytes]) -> None:
    adapter = Adapter()
    for chunk in chunks:
        adapter.feed(chunk)
    adapter.feed(b"\rC\rS6\rO\r")
    adapter.take_frames()
    assert adapter.feed(FRAME).endswith(b"z\r")
