"""`tinybms-ctl frames`: the last frames of the serial line with what was made of each."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from tinybms_ctl.asking import NotAnswered, ask
from tinybms_ctl.options import ConfigOption, JsonOption, load_or_exit, print_json, say
from tinybms_messages.line import FramesNow, LineFrame, ShowFrames


def frames(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Show the last 50 frames between gateway and BMS, oldest first, with a verdict each."""
    _, parsed = load_or_exit(config)
    try:
        reply = ask(parsed.config, "acquisition", ShowFrames())
    except NotAnswered as error:
        say(str(error))
        raise typer.Exit(1) from error
    if not isinstance(reply, FramesNow):
        return
    if as_json:
        print_json(reply, indent=2)
        return
    for frame in reply.frames:
        print(frame_line(frame))
    if not reply.frames:
        say(f"no frame yet: {reply.link.state} {reply.link.detail}".rstrip())


def frame_line(frame: LineFrame) -> str:
    """Time, direction, verdict and bytes of one frame."""
    time = datetime.fromtimestamp(frame.wall_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    way = "->" if frame.sent else "<-"
    return f"{time} {way} {frame.verdict:<8} {spaced(frame.hex)}".rstrip()


def spaced(text: str) -> str:
    """Hexadecimal digits in pairs."""
    return " ".join(text[at : at + 2] for at in range(0, len(text), 2)).upper()
