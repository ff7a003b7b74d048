"""The recent frames as they are shown on request."""

from __future__ import annotations

from tinybms_acquisition.framelog import frames_now
from tinybms_acquisition.line import FrameNote
from tinybms_messages.line import FramesNow
from tinybms_messages.live import Link
from tinybms_messages.requests import Reply, Result, decode_reply, encode_reply


def test_frames_keep_order_direction_bytes_and_verdict_and_get_wall_time() -> None:
    notes = [
        FrameNote(at_s=10.0, sent=True, data=b"\xaa\x03", verdict="asked"),
        FrameNote(at_s=10.25, sent=False, data=b"\xaa\x83", verdict="crc, trailing"),
    ]
    shown = frames_now(notes, Link(state="online"), 1_000_000_000)
    assert [(one.sent, one.hex, one.verdict) for one in shown.frames] == [
        (True, "aa03", "asked"),
        (False, "aa83", "crc, trailing"),
    ]
    assert [one.wall_ns for one in shown.frames] == [11_000_000_000, 11_250_000_000]


def test_fifty_long_frames_fit_into_one_reply() -> None:
    note = FrameNote(at_s=1.0, sent=False, data=b"\xff" * 300, verdict="ok")
    shown = frames_now([note] * 50, Link(state="online"), 0)
    reply = decode_reply(encode_reply(Reply(id="1", result=Result.OK, body=shown)))
    assert isinstance(reply.body, FramesNow)
    assert reply.body == shown
