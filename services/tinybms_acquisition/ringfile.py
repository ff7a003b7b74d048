"""The last critical records in a file of the run folder: memory that survives a killed process.

Two files: the current one grows to RING_RECORDS and then takes the place of the older one, so that
at least the last RING_RECORDS are there and at most twice as many. An entry is length and CRC-32
of what follows: number, boot, and the record as msgpack. What is torn at the end by a kill is cut
off at the next start.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgpack
import msgspec

from tinybms_messages.critical import Critical, Range
from tinybms_messages.requests import MAX_RECORDS, MAX_RECORDS_BYTES, CaughtUp, RingBoot

RING_RECORDS: Final = 10_000
RING_BYTES: Final = 8 * 1024 * 1024
"""The run folder is memory: long texts must not fill it."""
MAX_RECORD_BYTES: Final = 64 * 1024

_HEAD: Final = struct.Struct("<II")
_NAME: Final = struct.Struct("<QB")
_Place = tuple[int, int]
"""Offset and length of a record's msgpack."""
_Key = tuple[str, int]


class CriticalRing:
    """Appends records and finds them again by boot and number; OSError when the folder fails."""

    def __init__(self, path: Path, *, records: int = RING_RECORDS) -> None:
        self._path = path
        self._old_path = path.with_name(f"{path.name}.old")
        self._limit = records
        self._old = _Segment.open_existing(self._old_path)
        self._current = _Segment.open(self._path)

    def append(self, record: Critical) -> None:
        """Keep `record`; it is there after a SIGKILL when this returns.

        ValueError when it is too large. After an OSError the record is not in the ring.
        """
        packed: bytes = msgpack.packb(msgspec.to_builtins(record))
        if len(packed) > MAX_RECORD_BYTES:
            raise ValueError(f"record of {len(packed)} bytes, at most {MAX_RECORD_BYTES}")
        if self._current.count >= self._limit or self._current.size >= RING_BYTES:
            self._turn()
        self._current.append((record.boot, record.seq), packed)

    def inventory(self) -> tuple[RingBoot, ...]:
        """What there is, oldest boot first."""
        return tuple(
            RingBoot(boot=boot, first=first, last=last)
            for boot, (first, last) in self._spans().items()
        )

    def caught_up(self, boot: str, ranges: Iterable[Range]) -> CaughtUp:
        """Inventory, and the first records of `boot` within `ranges` that fit into one answer."""
        records: list[Critical] = []
        size = 0
        for packed in self._found(boot, ranges):
            size += len(packed)
            if records and (len(records) >= MAX_RECORDS or size > MAX_RECORDS_BYTES):
                break
            records.append(msgspec.convert(msgpack.unpackb(packed), Critical))
        return CaughtUp(inventory=self.inventory(), records=tuple(records))

    def close(self) -> None:
        """Close the files; they stay."""
        self._current.close()
        if self._old is not None:
            self._old.close()

    def _turn(self) -> None:
        self._path.replace(self._old_path)
        if self._old is not None:
            self._old.close()
        self._old = self._current
        self._current = _Segment.open(self._path)

    def _segments(self) -> tuple[_Segment, ...]:
        return (self._current,) if self._old is None else (self._old, self._current)

    def _spans(self) -> dict[str, Range]:
        spans: dict[str, Range] = {}
        for segment in self._segments():
            for boot, (first, last) in segment.spans.items():
                low, high = spans.get(boot, (first, last))
                spans[boot] = min(low, first), max(high, last)
        return spans

    def _found(self, boot: str, ranges: Iterable[Range]) -> Iterator[bytes]:
        lowest, highest = self._spans().get(boot, (1, 0))
        for first, last in ranges:
            for seq in range(max(first, lowest), min(last, highest) + 1):
                for segment in self._segments():
                    packed = segment.read((boot, seq))
                    if packed is not None:
                        yield packed
                        break


class _Segment:
    """One file and where its records lie."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._places: dict[_Key, _Place] = {}
        self.spans: dict[str, Range] = {}
        """Lowest and highest number of each boot, oldest boot first."""
        self.size = 0
        self._load()

    @classmethod
    def open(cls, path: Path) -> _Segment:
        """The file at `path`, made when missing."""
        return cls(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))

    @classmethod
    def open_existing(cls, path: Path) -> _Segment | None:
        """The file at `path`, None when there is none."""
        return cls.open(path) if path.exists() else None

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self._places)

    def append(self, key: _Key, packed: bytes) -> None:
        """Write a record; a part of one that did not fit is taken away again."""
        boot = key[0].encode()
        body = _NAME.pack(key[1], len(boot)) + boot + packed
        data = _HEAD.pack(len(body), zlib.crc32(body)) + body
        try:
            written = os.pwrite(self._descriptor, data, self.size)
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        if written < len(data):
            os.ftruncate(self._descriptor, self.size)
            raise OSError(errno.ENOSPC, "no space left for the ring of critical records")
        self.size += len(data)
        self._note(key, (self.size - len(packed), len(packed)))

    def read(self, key: _Key) -> bytes | None:
        """The msgpack of a record, None when it is not here."""
        place = self._places.get(key)
        if place is None:
            return None
        offset, length = place
        return os.pread(self._descriptor, length, offset)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _note(self, key: _Key, place: _Place) -> None:
        self._places[key] = place
        boot, seq = key
        first, last = self.spans.get(boot, (seq, seq))
        self.spans[boot] = min(first, seq), max(last, seq)

    def _load(self) -> None:
        """Find the records; cut off what is no whole entry."""
        total = os.fstat(self._descriptor).st_size
        content = os.pread(self._descriptor, min(total, 2 * RING_BYTES), 0)
        offset = 0
        while offset + _HEAD.size <= len(content):
            length, checksum = _HEAD.unpack_from(content, offset)
            begin = offset + _HEAD.size
            body = content[begin : begin + length]
            key = _key(body) if len(body) == length and zlib.crc32(body) == checksum else None
            if key is None:
                break
            offset = begin + length
            skipped = _NAME.size + len(key[0].encode())
            self._note(key, (begin + skipped, length - skipped))
        self.size = offset
        if total != offset:
            os.ftruncate(self._descriptor, offset)


def _key(body: bytes) -> _Key | None:
    """Boot and number of an entry, None when it is none."""
    if len(body) < _NAME.size:
        return None
    seq, length = _NAME.unpack_from(body)
    boot = body[_NAME.size : _NAME.size + length]
    return (boot.decode("utf-8", errors="replace"), seq) if boot and seq else None
