"""The recent frames of the serial line, as acquisition shows them on request."""

from __future__ import annotations

import msgspec

from tinybms_messages.live import Link


class ShowFrames(msgspec.Struct, frozen=True, kw_only=True, tag="show_frames"):
    """To acquisition: the last frames of the line, and how the line is."""


class LineFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One frame. `sent`: from us to the BMS. `hex`: its bytes, at most 300 of them.

    `verdict`: asked, repeated, ok, unasked, or the kinds of the errors that were seen.
    """

    wall_ns: int
    sent: bool
    hex: str
    verdict: str


class FramesNow(msgspec.Struct, frozen=True, kw_only=True, tag="frames_now"):
    """The frames, oldest first; the line's state is that of this moment, not of the last poll."""

    link: Link
    frames: tuple[LineFrame, ...] = ()
