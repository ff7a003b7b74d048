"""Log lines for people, and logs of several processes as one: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from tinybms_ctl.render import one_line

_HEAD = ("time", "level", "process", "message")


def shown(process: str, line: str) -> str:
    """A line of a log for people; one that is not the gateway's JSON stays as it is."""
    plain = parsed(line)
    if plain is None:
        return f"{process}: {line}"
    head = (
        f"{plain['time']} {plain.get('level', ''):<7} {plain.get('process', process):<11} "
        f"{one_line(str(plain.get('message', '')))}"
    )
    rest = [f"{key}={value}" for key, value in plain.items() if key not in _HAVE]
    return " ".join([head, *(one_line(text) for text in rest)])


_HAVE = frozenset(_HEAD)


def parsed(line: str) -> dict[str, object] | None:
    """The fields of a line of the gateway's own; None for any other line."""
    try:
        plain = msgspec.json.decode(line.encode("utf-8", "surrogateescape"))
    except (msgspec.MsgspecError, UnicodeError):
        return None
    return plain if isinstance(plain, dict) and isinstance(plain.get("time"), str) else None


def merged(logs: Mapping[str, Iterable[str]], count: int) -> list[tuple[str, str]]:
    """The last `count` lines (process, line) of several logs, in the order of their times.

    A line without a time, such as one of a traceback, stays behind the one before it.
    """
    rows: list[tuple[str, int, str, str]] = []
    for process, lines in logs.items():
        time = ""
        for line in lines:
            plain = parsed(line)
            time = str(plain["time"]) if plain is not None else time
            rows.append((time, len(rows), process, line))
    rows.sort(key=lambda row: row[:2])
    return [(process, line) for _, _, process, line in rows[-count:]]
