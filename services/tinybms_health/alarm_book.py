"""Since when each alarm is on, over restarts of this process: pure bookkeeping."""

from __future__ import annotations

from collections.abc import Collection

import msgspec


class AlarmBook(msgspec.Struct, kw_only=True):
    """Wall time in ns at which each alarm left level 0, by name, for those that are on."""

    since_ns: dict[str, int] = {}

    def note(self, on: Collection[str], wall_ns: int) -> bool:
        """Take the names of the alarms that are on now; whether anything came or went."""
        before = self.since_ns
        self.since_ns = {name: before.get(name, wall_ns) for name in sorted(on)}
        return self.since_ns != before


def packed_book(book: AlarmBook) -> bytes:
    """As the content of a file."""
    return msgspec.json.encode(book)


def unpacked_book(data: bytes | None) -> AlarmBook:
    """From the content of a file; an empty book when there is none or it is damaged."""
    if data is None:
        return AlarmBook()
    try:
        return msgspec.json.decode(data, type=AlarmBook)
    except msgspec.DecodeError:
        return AlarmBook()
