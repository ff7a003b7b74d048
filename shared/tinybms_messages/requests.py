"""Requests that have an answer, and their codec; they travel beside the bus, never on it.

Frames are msgpack of at most MAX_FRAME_BYTES. Unknown keys are ignored, new keys have defaults.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgpack
import msgspec
from msgspec import Meta

from tinybms_messages.critical import BootId, Critical, Range, Sequence
from tinybms_messages.finite import require_finite
from tinybms_messages.line import FramesNow, ShowFrames
from tinybms_messages.owner import OwnerReply, OwnerRequest

MAX_FRAME_BYTES: Final = 1024 * 1024
MAX_RECORDS: Final = 100
"""Records in one answer; answers also stop at MAX_RECORDS_BYTES."""
MAX_RECORDS_BYTES: Final = 256 * 1024
LEASE_S: Final = 10.0
"""How long claimed records are kept from other claims."""


class BadRequestFrame(ValueError):
    """A frame that is no request or reply: drop and count it."""


class CatchUp(msgspec.Struct, frozen=True, kw_only=True, tag="catch_up"):
    """To acquisition: the records of `boot` within `ranges` that its ring still holds.

    Without a boot only the inventory of the ring is asked for.
    """

    boot: str = ""
    ranges: Annotated[tuple[Range, ...], Meta(max_length=MAX_RECORDS)] = ()


class RingBoot(msgspec.Struct, frozen=True, kw_only=True):
    """Records that the ring holds of one boot: `first` to `last` without gaps."""

    boot: BootId
    first: Sequence
    last: Sequence


class CaughtUp(msgspec.Struct, frozen=True, kw_only=True, tag="caught_up"):
    """What the ring holds, oldest boot first, and the records that were asked for."""

    inventory: tuple[RingBoot, ...] = ()
    records: tuple[Critical, ...] = ()


class Claim(msgspec.Struct, frozen=True, kw_only=True, tag="claim"):
    """To buffer: at most `limit` stored records, kept from other claims for LEASE_S.

    `claimer`: boot of the asking process; a new one frees what its predecessor had claimed.
    """

    claimer: BootId
    limit: Annotated[int, Meta(ge=1, le=MAX_RECORDS)] = MAX_RECORDS


class StoredRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record with its number in the store; `repaired` when its wall time was mended."""

    id: int
    record: Critical
    repaired: bool = False


class Claimed(msgspec.Struct, frozen=True, kw_only=True, tag="claimed"):
    """Claimed records in the order in which they are to be sent.

    `store` names the database: a number means nothing in another one. `rows`: how many are stored.
    """

    store: str
    records: tuple[StoredRecord, ...] = ()
    rows: int = 0


class Ack(msgspec.Struct, frozen=True, kw_only=True, tag="ack"):
    """To buffer: the MQTT broker has these records; they may go."""

    claimer: BootId
    store: str
    ids: Annotated[tuple[int, ...], Meta(max_length=10 * MAX_RECORDS)]


class Acked(msgspec.Struct, frozen=True, kw_only=True, tag="acked"):
    """The records are gone from the store; `removed` counts those that were still there."""

    removed: int = 0


class Drop(msgspec.Struct, frozen=True, kw_only=True, tag="drop"):
    """To buffer: the owner wants no record from before this wall time; ask again until none go."""

    before_wall_ns: Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Dropped(msgspec.Struct, frozen=True, kw_only=True, tag="dropped"):
    """How many records went this time, a bounded number; a gap record says so."""

    removed: int = 0


class Result(StrEnum):
    """How a request ended."""

    OK = "ok"
    REFUSED = "refused"
    """Not by this process, or not now; `text` says why."""


RequestBody = CatchUp | Claim | Ack | Drop | ShowFrames | OwnerRequest
ReplyBody = CaughtUp | Claimed | Acked | Dropped | FramesNow | OwnerReply


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request; after its deadline (CLOCK_BOOTTIME of `kernel_boot_id`) nobody waits for it."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    deadline_ns: int
    kernel_boot_id: str
    body: RequestBody


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to request `id`; `body` is there when the result is ok."""

    id: str
    result: Result
    text: str = ""
    body: ReplyBody | None = None


def encode_request(request: Request) -> bytes:
    """The frame of a request; ValueError when it is too large or holds what is no number."""
    return _pack(request)


def encode_reply(reply: Reply) -> bytes:
    """The frame of a reply; ValueError when it is too large or holds what is no number."""
    return _pack(reply)


def decode_request(frame: bytes) -> Request:
    """The request in `frame`; BadRequestFrame when it is none."""
    try:
        return msgspec.convert(_unpack(frame), Request)
    except ValueError as error:
        raise BadRequestFrame(f"no request: {error}") from error


def decode_reply(frame: bytes) -> Reply:
    """The reply in `frame`; BadRequestFrame when it is none."""
    try:
        return msgspec.convert(_unpack(frame), Reply)
    except ValueError as error:
        raise BadRequestFrame(f"no reply: {error}") from error


def _pack(message: msgspec.Struct) -> bytes:
    plain = msgspec.to_builtins(message)
    require_finite(plain)
    frame: bytes = msgpack.packb(plain)
    if len(frame) > MAX_FRAME_BYTES:
        raise ValueError(f"frame of {len(frame)} bytes, at most {MAX_FRAME_BYTES}")
    return frame


def _unpack(frame: bytes) -> object:
    if len(frame) > MAX_FRAME_BYTES:
        raise ValueError(f"frame of {len(frame)} bytes, at most {MAX_FRAME_BYTES}")
    try:
        plain = msgpack.unpackb(frame)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(str(error)) from error
    require_finite(plain)
    return plain
