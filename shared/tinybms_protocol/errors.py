"""What can go wrong when talking to a TinyBMS.

ValueError
  BadRequest      our defect: something was asked that the protocol forbids; never retried
Exception
  BadReply        the peer's or the line's fault: count it by `kind`, retry or drop
    PlausibilityError   the frame is right, its values cannot be
"""

from __future__ import annotations

from enum import StrEnum


class LineErrorKind(StrEnum):
    """Kinds under which faults of the line or of the peer are counted."""

    CRC = "crc"
    """A frame of the right shape failed its CRC."""
    LENGTH = "length"
    """The length byte is not the one that the request leads to."""
    COMMAND = "command"
    """An answer, ACK or NACK that names another command than the one asked."""
    ADDRESS = "address"
    """The answer names other registers than those asked."""
    PACKET = "packet"
    """A packet of a multi-packet answer came twice or out of order."""
    JUNK = "junk"
    """Bytes that are no frame, for example broadcast text."""
    TRAILING = "trailing"
    """Bytes after a complete answer, for example the same answer again."""
    TIMEOUT = "timeout"
    """No complete answer until the deadline."""
    NACK_COMMAND = "nack_command"
    """The BMS refused the request: bad command, address or value. Do not repeat it."""
    NACK_CRC = "nack_crc"
    """The BMS received the request damaged. Repeat it."""
    NACK_UNKNOWN = "nack_unknown"
    """The BMS refused with a code that the protocol does not list."""
    PLAUSIBILITY = "plausibility"
    """A correct frame with values that no battery can have."""


class BadRequest(ValueError):
    """A request that the protocol does not allow; the text says what is allowed."""


class BadReply(Exception):
    """An answer that must not be used."""

    def __init__(self, kind: LineErrorKind, detail: str) -> None:
        """`detail` says in words what was seen and what was expected."""
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


class PlausibilityError(BadReply):
    """A block with a value that no battery can have; the whole block is dropped."""

    def __init__(self, key: str, detail: str) -> None:
        """`key` is the register key of the first impossible value."""
        super().__init__(LineErrorKind.PLAUSIBILITY, f"{key}: {detail}")
        self.key = key
