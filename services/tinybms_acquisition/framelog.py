"""The line's recent frames as they are shown on request."""

from __future__ import annotations

from collections.abc import Iterable

from tinybms_acquisition.line import FrameNote
from tinybms_messages.line import FramesNow, LineFrame
from tinybms_messages.live import Link


def frames_now(notes: Iterable[FrameNote], link: Link, wall_offset_ns: int) -> FramesNow:
    """The answer to ShowFrames; `wall_offset_ns`: wall time minus CLOCK_BOOTTIME."""
    return FramesNow(
        link=link,
        frames=tuple(
            LineFrame(
                wall_ns=round(note.at_s * 1e9) + wall_offset_ns,
                sent=note.sent,
                hex=note.data.hex(),
                verdict=note.verdict,
            )
            for note in notes
        ),
    )
