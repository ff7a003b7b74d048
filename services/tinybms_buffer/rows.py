"""A critical record as a row of the table, and back."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from tinybms_buffer.trouble import Damaged
from tinybms_messages.critical import Critical, CriticalClass
from tinybms_messages.requests import StoredRecord

MAX_RECORD_BYTES: Final = 16 * 1024
"""Text and value of one record together; far more than any sentence of ours."""

RANKS: Final[dict[CriticalClass, int]] = {
    CriticalClass.ALARM: 0,
    CriticalClass.EVENT: 1,
    CriticalClass.SAMPLE: 2,
}
CLASSES: Final = {rank: record_class for record_class, rank in RANKS.items()}

INSERT: Final = (
    "INSERT INTO record (rank, origin, seq, suffix, live_seq, value, raw, text, severity, "
    "wall_ns, boottime_ns, time_ok) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (rank, origin, seq) DO NOTHING"
)
SELECT: Final = (
    "SELECT record.id, rank, boot, seq, suffix, live_seq, value, raw, text, severity, wall_ns, "
    "boottime_ns, kernel_boot_id, time_ok, wall_offset_ns FROM record "
    "JOIN origin ON origin.id = record.origin JOIN machine_run ON machine_run.id = machine_run "
)
IN_ORDER: Final = SELECT + (
    "WHERE rank = ? AND (record.origin, seq) < (?, ?) ORDER BY rank, record.origin, seq LIMIT ?"
)
"""Those of a class before some place, by the start of their maker and their number."""
NO_PLACE: Final = (2**63 - 1, 0)
"""Behind every record."""

_BIGGEST: Final = 2**63 - 1
_ROW_BYTES: Final = 300

Row = tuple[object, ...]


def refusal(record: Critical) -> str | None:
    """Why `record` can't be stored, None when it can."""
    numbers = (record.raw, record.value, record.wall_ns, record.boottime_ns, record.live_seq)
    if any(isinstance(number, int) and abs(number) > _BIGGEST for number in numbers):
        return "a number of more than 64 bits"
    if isinstance(record.value, float) and not math.isfinite(record.value):
        return f"the value {record.value}"
    try:
        size = len(record.text.encode()) + len(str(record.value).encode())
    except UnicodeEncodeError:
        return "text that is no Unicode"
    return f"{size} bytes, at most {MAX_RECORD_BYTES}" if size > MAX_RECORD_BYTES else None


def stored_bytes(record: Critical) -> int:
    """About what `record` takes in the database and in an answer."""
    value = _utf8_bytes(record.value) if isinstance(record.value, str) else 8
    return _ROW_BYTES + _utf8_bytes(record.text) + value


def _utf8_bytes(text: str) -> int:
    """Also of what is no Unicode, which is refused only later."""
    return len(text.encode("utf-8", errors="surrogatepass"))


def to_row(record: Critical, origin: int) -> Row:
    """The values for INSERT."""
    return (
        RANKS[record.record_class],
        origin,
        record.seq,
        record.suffix,
        record.live_seq,
        record.value,
        record.raw,
        record.text,
        record.severity,
        record.wall_ns,
        record.boottime_ns,
        int(record.time_ok),
    )


def from_row(row: Row) -> StoredRecord:
    """The record in a row of SELECT, its wall time mended if it can be.

    Damaged when the row holds what was never stored.
    """
    try:
        (number, rank, boot, seq, suffix, live_seq, value, raw, text, severity) = row[:10]
        wall_ns, boottime_ns, kernel_boot_id, time_ok, offset_ns = row[10:]
        mended = False
        if not time_ok and isinstance(offset_ns, int) and isinstance(boottime_ns, int):
            wall_ns, mended = boottime_ns + offset_ns, True
        record = {
            "boot": boot,
            "seq": seq,
            "record_class": CLASSES[rank] if isinstance(rank, int) else rank,
            "suffix": suffix,
            "live_seq": live_seq,
            "value": value,
            "raw": raw,
            "text": text,
            "severity": severity,
            "wall_ns": wall_ns,
            "boottime_ns": boottime_ns,
            "kernel_boot_id": kernel_boot_id,
            "time_ok": bool(time_ok) or mended,
        }
        plain = {"id": number, "record": record, "repaired": mended}
        return msgspec.convert(plain, StoredRecord)
    except (KeyError, ValueError) as error:
        raise Damaged(f"row {row[0]!r} holds what was never stored: {error}") from error
