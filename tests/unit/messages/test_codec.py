"""Messages survive the bus as they were, and nothing malformed becomes a message."""

import contextlib
import math

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_messages.codec import BadMessage, decode, encode
from tinybms_messages.header import SCHEMA_VERSION, Header
from tinybms_messages.live import Alarm, AlarmName, LiveData, Sample
from tinybms_messages.status import Heartbeat
from tinybms_messages.topics import HEARTBEAT, LIVE_DATA, MAX_BODY_BYTES


def header(seq: int = 1) -> Header:
    return Header(
        source="acquisition",
        boot="9f2c61d07be4a835",
        seq=seq,
        wall_ns=1_795_600_000_123_000_000,
        boottime_ns=5_000_000_000,
        kernel_boot_id="boot-a",
        time_ok=True,
    )


def sample() -> Sample:
    return Sample(
        seq=1,
        boottime_ns=5_000_000_000,
        wall_ns=1_795_600_000_123_000_000,
        time_ok=True,
        cell_voltages_v=(3.3001, 3.2999, 3.3010, 3.3004),
        cells_balancing=(False, False, True, False),
        pack_voltage_v=13.2014,
        pack_current_a=-4.5,
        soc_pct=0.0,
        soh_pct=None,
        battery_temperature_c=-20.5,
        external_temperature_1_c=-20.5,
        external_temperature_2_c=None,
        internal_temperature_c=12.0,
        online_status_raw=0x93,
        online_status="discharging",
        time_to_go_s=3600,
        lifetime_s=12_489_677,
    )


def test_a_snapshot_comes_back_as_it_was_sent() -> None:
    live = LiveData(sample=sample(), alarms=(Alarm(name=AlarmName.LOW_SOC, level=1),))
    message = decode(encode(LIVE_DATA, "pack1", header(), live))
    assert message.topic is LIVE_DATA
    assert message.header == header()
    assert message.body == live


def test_zero_stays_zero_and_unknown_stays_unknown() -> None:
    message = decode(encode(LIVE_DATA, "pack1", header(), LiveData(sample=sample())))
    assert isinstance(message.body, LiveData)
    assert message.body.sample is not None
    assert message.body.sample.soc_pct == 0.0
    assert message.body.sample.soh_pct is None
    assert message.body.limits is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_never_sent(value: float) -> None:
    body = LiveData(sample=msgspec.structs.replace(sample(), pack_current_a=value))
    with pytest.raises(ValueError, match="is no value"):
        encode(LIVE_DATA, "pack1", header(), body)


def test_what_is_no_number_is_never_received() -> None:
    frames = encode(LIVE_DATA, "pack1", header(), LiveData(sample=sample()))
    plain = msgpack.unpackb(frames[2])
    plain["sample"]["pack_current_a"] = math.nan
    with pytest.raises(BadMessage, match="is no value"):
        decode([frames[0], frames[1], msgpack.packb(plain)])


def test_a_key_of_a_newer_release_is_ignored() -> None:
    frames = encode(LIVE_DATA, "pack1", header(), LiveData(sample=sample()))
    plain = msgpack.unpackb(frames[2])
    plain["invented_later"] = 7
    message = decode([frames[0], frames[1], msgpack.packb(plain)])
    assert message.body == LiveData(sample=sample())


def test_a_key_that_an_older_release_does_not_send_gets_its_default() -> None:
    beat = Heartbeat(state="running", pid=7, uptime_s=1.0, lag_ms=0.2, cpu_s=0.1, rss_bytes=9)
    frames = encode(HEARTBEAT, "pack1", header(), beat)
    plain = msgpack.unpackb(frames[2])
    del plain["rejected"]
    assert decode([frames[0], frames[1], msgpack.packb(plain)]).body == beat


@pytest.mark.parametrize(
    ("position", "frame", "reason"),
    [
        (0, b"NO_SUCH_TOPIC/pack1/", "unknown topic"),
        (0, b"\xff\xfe", "unknown topic"),
        (1, b"", "Header"),
        (1, msgpack.packb({"source": "x"}), "Header"),
        (1, b"\x00" * 2000, "at most"),
        (2, b"\xc1", "LiveData"),
        (2, msgpack.packb({"sample": 7}), "LiveData"),
        (2, msgpack.packb([1, 2]), "LiveData"),
        (2, b"\x00" * (MAX_BODY_BYTES + 1), "at most"),
    ],
)
def test_malformed_frames_are_refused(position: int, frame: bytes, reason: str) -> None:
    frames = encode(LIVE_DATA, "pack1", header(), LiveData())
    frames[position] = frame
    with pytest.raises(BadMessage, match=reason):
        decode(frames)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_a_message_has_three_frames(count: int) -> None:
    frames = [*encode(LIVE_DATA, "pack1", header(), LiveData()), b"more"][:count]
    with pytest.raises(BadMessage, match="instead of 3"):
        decode(frames)


def test_a_schema_two_releases_ahead_is_refused() -> None:
    ahead = msgspec.structs.replace(header(), schema=SCHEMA_VERSION + 2)
    with pytest.raises(BadMessage, match="schema"):
        decode(encode(LIVE_DATA, "pack1", ahead, LiveData()))


def test_a_body_over_the_bound_is_our_own_defect() -> None:
    long = LiveData(advisories=("x" * MAX_BODY_BYTES,))
    with pytest.raises(ValueError, match="at most"):
        encode(LIVE_DATA, "pack1", header(), long)


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_any_frames_give_a_message_or_a_refusal(frames: list[bytes]) -> None:
    with contextlib.suppress(BadMessage):
        decode(frames)


@given(st.binary(max_size=400))
def test_any_body_gives_a_snapshot_or_a_refusal(body: bytes) -> None:
    frames = encode(LIVE_DATA, "pack1", header(), LiveData())
    try:
        message = decode([frames[0], frames[1], body])
    except BadMessage:
        return
    assert isinstance(message.body, LiveData)
