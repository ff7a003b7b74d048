"""One request at a time over a byte line: when to send, wait, repeat, give up and be quiet.

    idle -> held (until the line has been quiet) -> waiting (for the answer) -> idle

* A request goes out once. Only when not a single byte came until its deadline it goes out again,
  since a sleeping BMS loses the frame that wakes it; never twice unasked, for an awake BMS answers
  both and the second answer would be taken for that of the next request.
* NACK with a CRC error: the BMS saw noise, ask again. Any other NACK is final.
* After a failure, and after an answer to a repeat (more copies may be under way), the line stays
  quiet for longer than the latest answer takes.
* What arrives while nobody asks, or behind the deadline, is dropped and counted.

Pure: the caller passes its monotonic clock and moves the bytes.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

from tinybms_protocol.errors import LineErrorKind
from tinybms_protocol.frames import Event, LineError, Nack, Reply, ReplyDecoder
from tinybms_protocol.request import Request
from tinybms_protocol.timing import (
    GAP_S,
    QUIET_AFTER_FAILURE_S,
    WAKE_WAITS_S,
    earliest_reply_s,
    least_reply_length,
    reply_timeout_s,
)

FRAMES_KEPT: Final = 50
UNASKED: Final = "unasked"
"""Bytes that came while no request was open: broadcasts and answers that are too late."""
REFUSALS_REPEATED: Final = 3
LONGEST_HOLD_S: Final = 0.3
"""A line that is never quiet (broadcasts) is used all the same."""
_BYTES_SHOWN: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameNote:
    """One entry of the log of recent frames, for bug reports."""

    at_s: float
    sent: bool
    """True: from us to the BMS."""
    data: bytes
    verdict: str
    """"asked", "repeated", "ok", or the kinds of the errors that were seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request that is over. `failure` is None when `reply` is there."""

    request: Request
    reply: Reply | None
    failure: LineErrorKind | None
    silent: bool
    """Not one byte came."""
    asked_s: float
    """When the first copy of the request was sent."""
    ended_s: float
    repeated: bool
    """More than one copy was sent, so the reading may be as old as the first one."""


class LineMachine:
    """Carries out requests one after the other; see the module for its rules."""

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()
        self.requests = 0
        self.replies = 0
        self.timeouts = 0
        self.repeats = 0
        self.frames: deque[FrameNote] = deque(maxlen=FRAMES_KEPT)
        self.reset(0.0)

    def reset(self, now_s: float) -> None:
        """A new connection: forget the open request, keep the counters."""
        self._request: Request | None = None
        self._repeats_allowed = 0
        self._copies = 0
        self._asked_s = now_s
        self._decoder: ReplyDecoder | None = None
        self._deadline_s = 0.0
        self._whole_from_s = now_s
        self._quiet_until_s = now_s + GAP_S
        self._hold_until_s = now_s
        self._received = bytearray()
        self._kinds: list[str] = []

    @property
    def idle(self) -> bool:
        """Whether a new request may be handed over."""
        return self._request is None

    @property
    def waiting(self) -> bool:
        """Whether a request is out whose answer has not come yet."""
        return self._decoder is not None

    @property
    def due_s(self) -> float | None:
        """When `advance` is to be called next; None while idle."""
        if self._request is None:
            return None
        return self._deadline_s if self._decoder is not None else self._send_at_s

    @property
    def whole_from_s(self) -> float:
        """No answer to the open request can be whole before this."""
        return self._whole_from_s

    @property
    def whole_bytes(self) -> int:
        """A correct answer to the open request has so many bytes at least; 1 while idle."""
        return 1 if self._request is None else least_reply_length(self._request)

    def ask(self, request: Request, now_s: float, *, repeat: bool = True) -> None:
        """Hand over a request; `repeat` False: one copy only, the BMS is known to be awake.

        Writes are never repeated: the caller wakes the BMS with a read first. RuntimeError unless
        idle.
        """
        if self._request is not None:
            raise RuntimeError("a request is still open")
        self._request = request
        self._copies = 0
        self._repeats_allowed = len(WAKE_WAITS_S) if repeat and not request.is_write else 0
        self._hold_until_s = now_s + LONGEST_HOLD_S

    def advance(self, now_s: float) -> tuple[bytes, Exchange | None]:
        """What time brings: bytes to write now, or the end of the open request."""
        request = self._request
        if request is None:
            return b"", None
        if self._decoder is None:
            return (self._send(request, now_s) if now_s >= self._send_at_s else b""), None
        if now_s < self._deadline_s:
            return b"", None
        return self._miss(request, self._decoder, now_s)

    def receive(self, data: bytes, now_s: float) -> Exchange | None:
        """Take bytes from the line; the exchange that they end."""
        decoder, request = self._decoder, self._request
        # What is read behind the deadline may be as old as we were stopped: never take it as new.
        if decoder is None or request is None or now_s >= self._deadline_s:
            self._drop(data, now_s)
            return None
        self._received += data[: _BYTES_SHOWN - len(self._received)]
        return self._settle(request, decoder.feed(data), now_s)

    @property
    def _send_at_s(self) -> float:
        return min(self._quiet_until_s, self._hold_until_s)

    def _send(self, request: Request, now_s: float) -> bytes:
        frame = request.encode()
        timeout_s = reply_timeout_s(request)
        if self._copies < self._repeats_allowed:
            timeout_s = max(timeout_s, WAKE_WAITS_S[self._copies])
        if self._copies == 0:
            self._asked_s = now_s
            self.requests += 1
        else:
            self.repeats += 1
        self._copies += 1
        self._decoder = ReplyDecoder(request)
        self._received = bytearray()
        self._kinds = []
        self._deadline_s = now_s + timeout_s
        self._whole_from_s = now_s + earliest_reply_s(request)
        verdict = "asked" if self._copies == 1 else "repeated"
        self.frames.append(FrameNote(at_s=now_s, sent=True, data=frame, verdict=verdict))
        return frame

    def _miss(
        self, request: Request, decoder: ReplyDecoder, now_s: float
    ) -> tuple[bytes, Exchange | None]:
        """The deadline has come: repeat into silence, else give up."""
        silent = decoder.bytes_seen == 0
        if silent and self._copies <= self._repeats_allowed:
            return self._send(request, now_s), None
        events = decoder.finish()
        if decoder.done:
            return b"", self._settle(request, events, now_s)
        for event in events:
            if isinstance(event, LineError):
                self._count(event.kind)
        self.timeouts += 1
        return b"", self._end(request, None, LineErrorKind.TIMEOUT, now_s, silent=silent)

    def _settle(self, request: Request, events: list[Event], now_s: float) -> Exchange | None:
        """Count the errors among `events`; the end of the exchange if the answer is there."""
        outcome: Reply | Nack | None = None
        for event in events:
            if isinstance(event, LineError):
                self._count(event.kind)
            else:
                outcome = event
        if outcome is None:
            return None
        if isinstance(outcome, Nack):
            return self._refused(request, outcome, now_s)
        self.replies += 1
        return self._end(request, outcome, None, now_s)

    def _refused(self, request: Request, nack: Nack, now_s: float) -> Exchange | None:
        self._count(nack.kind)
        may_repeat = nack.may_repeat and not request.is_write
        if may_repeat and self._copies <= REFUSALS_REPEATED:
            self._note(now_s)
            self._decoder = None
            self._quiet_until_s = now_s + QUIET_AFTER_FAILURE_S
            self._hold_until_s = self._quiet_until_s + LONGEST_HOLD_S
            return None
        return self._end(request, None, nack.kind, now_s)

    def _end(
        self,
        request: Request,
        reply: Reply | None,
        failure: LineErrorKind | None,
        now_s: float,
        *,
        silent: bool = False,
    ) -> Exchange:
        self._note(now_s)
        clean = failure is None and self._copies == 1 and LineErrorKind.TRAILING not in self._kinds
        self._quiet_until_s = now_s + (GAP_S if clean else QUIET_AFTER_FAILURE_S)
        self._request = self._decoder = None
        return Exchange(
            request=request,
            reply=reply,
            failure=failure,
            silent=silent,
            asked_s=self._asked_s,
            ended_s=now_s,
            repeated=self._copies > 1,
        )

    def _drop(self, data: bytes, now_s: float) -> None:
        if not data:
            return
        self.errors[UNASKED] += 1
        self._quiet_until_s = max(self._quiet_until_s, now_s + GAP_S)
        shown = bytes(data[:_BYTES_SHOWN])
        self.frames.append(FrameNote(at_s=now_s, sent=False, data=shown, verdict=UNASKED))

    def _count(self, kind: LineErrorKind) -> None:
        self.errors[kind] += 1
        self._kinds.append(kind)

    def _note(self, now_s: float) -> None:
        if self._received or self._kinds:
            verdict = ", ".join(self._kinds) or "ok"
            data = bytes(self._received)
            self.frames.append(FrameNote(at_s=now_s, sent=False, data=data, verdict=verdict))
