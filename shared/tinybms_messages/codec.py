"""Three frames to and from typed messages: topic, header, body.

The body is msgpack. Unknown keys are ignored and new keys have defaults, so that two neighbouring
releases understand each other during an upgrade. Anything malformed raises `BadMessage`.

Every process sends or reads some twenty messages a second, a tenth of its work: so msgspec goes
from the typed message to its bytes and back in one pass, without plain dictionaries on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import msgpack
import msgspec

from tinybms_messages.finite import may_hold_endless, require_finite
from tinybms_messages.header import SCHEMA_VERSION, Header
from tinybms_messages.topics import MAX_BODY_BYTES, TOPICS, Topic, topic_of

Body = TypeVar("Body", bound=msgspec.Struct)

_MAX_HEADER_BYTES = 1024

_ENCODER: Final = msgspec.msgpack.Encoder()
_KINDS: Final[set[type[msgspec.Struct]]] = {Header, *(topic.body for topic in TOPICS)}
_DECODERS: Final[dict[type[msgspec.Struct], msgspec.msgpack.Decoder[Any]]] = {
    kind: msgspec.msgpack.Decoder(kind) for kind in _KINDS
}


class BadMessage(ValueError):
    """Frames that are no message of the bus: drop and count them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Generic[Body]):
    """One message as it came from the bus."""

    topic: Topic
    header: Header
    body: Body


def encode(topic: Topic, device: str, header: Header, body: msgspec.Struct) -> list[bytes]:
    """The three frames of a message; a body with NaN or infinity is our own defect (ValueError)."""
    packed = _ENCODER.encode(body)
    if may_hold_endless(packed):
        require_finite(msgpack.unpackb(packed))
    if len(packed) > MAX_BODY_BYTES:
        raise ValueError(f"{topic.name}: body of {len(packed)} bytes, at most {MAX_BODY_BYTES}")
    return [
        topic.address(device, header.source),
        _ENCODER.encode(header),
        packed,
    ]


def decode(frames: Sequence[bytes]) -> Message[msgspec.Struct]:
    """The message in `frames`; BadMessage when it is none, too large or of the wrong types."""
    topic, header = decode_header(frames)
    return Message(topic=topic, header=header, body=decode_body(topic, frames[2]))


def decode_header(frames: Sequence[bytes]) -> tuple[Topic, Header]:
    """Topic and header of the message in `frames`, its body unread; BadMessage as in `decode`."""
    if len(frames) != 3:
        raise BadMessage(f"{len(frames)} frames instead of 3")
    topic = topic_of(frames[0])
    if topic is None:
        raise BadMessage(f"unknown topic {frames[0][:40]!r}")
    header = _convert(frames[1], Header, _MAX_HEADER_BYTES)
    if header.schema > SCHEMA_VERSION + 1:
        raise BadMessage(f"schema {header.schema}, this release knows {SCHEMA_VERSION}")
    return topic, header


def decode_body(topic: Topic, packed: bytes) -> msgspec.Struct:
    """The body of a message of `topic`; BadMessage when it is too large or of the wrong types."""
    return _convert(packed, topic.body, MAX_BODY_BYTES)


def _convert(frame: bytes, kind: type[Body], limit: int) -> Body:
    if len(frame) > limit:
        raise BadMessage(f"{kind.__name__} of {len(frame)} bytes, at most {limit}")
    try:
        if may_hold_endless(frame):
            require_finite(msgpack.unpackb(frame))
        body: Body = _DECODERS[kind].decode(frame)
    except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise BadMessage(f"{kind.__name__}: {error}") from error
    return body
