"""Which block to ask next and what came of it, on top of the line machine.

A change of the status to fault is followed by the event log before anything else: the log's words
come out in front of those of the live block, so that the limits of this very cycle know the cause.
After a full round of silence the battery may be another one: version and settings are read again
before live data count. A write goes out behind a live answer, once, and the line rests after it.
Pure, as the line machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tinybms_acquisition.line import Exchange, LineMachine
from tinybms_protocol.errors import LineErrorKind
from tinybms_protocol.plausibility import check_live_block
from tinybms_protocol.poll_plan import BLOCKS, BlockName, PollPlan
from tinybms_protocol.registers import BY_KEY
from tinybms_protocol.request import Request
from tinybms_protocol.status import RAW_STATUS, OnlineStatus
from tinybms_protocol.timing import AFTER_WRITE_S

QUIET_PERIOD_S: Final = 60.0
"""In quiet mode the line gets one look this often."""
LOG_TRIES: Final = 2
"""Tries for the log before a fault goes out without its cause, half a second later at most."""
AWAKE_S: Final = 2.0
"""A BMS that answered so lately is not asleep: its silence needs no repeats to wake it."""
WRITE_WITHIN_S: Final = 1.0
"""A write that could not go out for so long is not what was meant any more."""
_REFUSALS: Final = frozenset(
    {LineErrorKind.NACK_COMMAND, LineErrorKind.NACK_CRC, LineErrorKind.NACK_UNKNOWN}
)
_STATUS_AT: Final = BY_KEY["online_status"].address
_FAULT_RAW: Final = RAW_STATUS[OnlineStatus.FAULT]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRead:
    """A block that came whole and right."""

    name: BlockName
    words: tuple[int, ...]
    taken_s: float
    """When it was read: at its last byte, or when it was first asked for if that was repeated."""
    asked_s: float
    ended_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one step brought: bytes to write and blocks read, in order.

    `lost`: the BMS has been silent through all repeats; `failed`: any other failure of a poll.
    """

    output: bytes = b""
    blocks: tuple[BlockRead, ...] = ()
    lost: bool = False
    failed: LineErrorKind | None = None


class Written(StrEnum):
    """How a write ended."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """It was sent; no answer, or a damaged one: only reading tells."""
    NOT_SENT = "not_sent"


@dataclass(slots=True)
class PendingWrite:
    """A write that is not over; it is sent until `until_s` or not at all."""

    request: Request
    until_s: float
    sent: bool = False


class Poller:
    """Keeps the line machine busy as the poll plan says. The caller serves `due_s`."""

    def __init__(self, poll_interval_s: float) -> None:
        self.line = LineMachine()
        self.overruns = 0
        """Live polls whose answer took longer than the poll interval; no poll overlaps another."""
        self.quiet = False
        """Set by the caller: look only once in a while."""
        self._interval_s = poll_interval_s
        self._plan = PollPlan(poll_interval_s)
        self._asked: BlockName | None = None
        self._next_look_s = 0.0
        self._status: int | None = None
        """Register 50 of the live block before; None after a silence."""
        self._held_live: BlockRead | None = None
        self._log_tries = 0
        self._heard_s: float | None = None
        self._may_be_lost = True
        self._write: PendingWrite | None = None
        self._rest_until_s = 0.0
        self._written: Written | None = None

    def connect(self, now_s: float) -> None:
        """A port was opened: begin with version and settings."""
        self._forget_write()
        self.line.reset(now_s)
        self._asked = None
        self._held_live = None
        self._status = None
        self._heard_s = None
        self._next_look_s = now_s
        self._plan.restart()

    def want(self, name: BlockName) -> None:
        """Read a slow block as soon as its turn comes."""
        self._plan.want(name)

    def write(self, request: Request, now_s: float) -> None:
        """Send a write as soon as the line is free; its end is told by `take_written`.

        It goes out once and only soon: a BMS that has fallen silent meanwhile gets none.
        RuntimeError while another one is not over.
        """
        if self._write is not None or self._written is not None:
            raise RuntimeError("the write before this one is not over")
        self._write = PendingWrite(request, now_s + WRITE_WITHIN_S)

    def take_written(self) -> Written | None:
        """How a write ended, once."""
        written, self._written = self._written, None
        return written

    def look_now(self, now_s: float) -> None:
        """End a pause of quiet mode at once."""
        self._next_look_s = now_s

    def due_s(self, now_s: float) -> float:
        """When `step` is to be called next, at the latest."""
        line_due_s = self.line.due_s
        if line_due_s is not None:
            return line_due_s
        if self._write is not None:
            return now_s
        planned_s = max(self._plan.next_poll(now_s).due_s, self._rest_until_s)
        return max(planned_s, self._next_look_s) if self.quiet else planned_s

    def step(self, now_s: float) -> Turn:
        """Do what is due."""
        if self.line.idle:
            self._ask_next(now_s)
        output, exchange = self.line.advance(now_s)
        if exchange is None:
            return Turn(output=output)
        return self._after(exchange, now_s)

    def receive(self, data: bytes, now_s: float) -> Turn:
        """Take bytes from the line."""
        exchange = self.line.receive(data, now_s)
        return Turn() if exchange is None else self._after(exchange, now_s)

    def _ask_next(self, now_s: float) -> None:
        if self._held_live is not None:
            self._asked = BlockName.EVENTS
            self.line.ask(BLOCKS[BlockName.EVENTS].request, now_s, repeat=False)
            return
        if self._write is not None:
            self._send_write(self._write, now_s)
            return
        if now_s < self._rest_until_s:
            return
        planned = self._plan.next_poll(now_s)
        due_s = max(planned.due_s, self._next_look_s) if self.quiet else planned.due_s
        if due_s > now_s:
            return
        self._asked = planned.block.name
        awake = self._heard_s is not None and now_s - self._heard_s < AWAKE_S
        self.line.ask(planned.block.request, now_s, repeat=not awake)
        self._may_be_lost = not awake

    def _send_write(self, write: PendingWrite, now_s: float) -> None:
        if write.sent:
            return
        awake = self._heard_s is not None and now_s - self._heard_s < AWAKE_S
        if not awake or now_s > write.until_s:
            self._forget_write()
            return
        write.sent = True
        self.line.ask(write.request, now_s, repeat=False)

    def _forget_write(self) -> None:
        """The write can't be told of any more by the line."""
        write, self._write = self._write, None
        if write is not None:
            self._written = Written.UNKNOWN if write.sent else Written.NOT_SENT

    def _after_write(self, exchange: Exchange, now_s: float) -> Turn:
        self._write = None
        self._rest_until_s = now_s + AFTER_WRITE_S
        if exchange.reply is not None:
            self._written = Written.DONE
        else:
            refused = exchange.failure in _REFUSALS
            self._written = Written.REFUSED if refused else Written.UNKNOWN
        return Turn(failed=exchange.failure)

    def _after(self, exchange: Exchange, now_s: float) -> Turn:
        """Report the end of an exchange to the plan and hand on what it brought."""
        if self._write is not None and self._write.sent:
            return self._after_write(exchange, now_s)
        name = self._asked
        self._asked = None
        if name is None:
            return Turn()
        if not exchange.silent:
            self._heard_s = now_s
        block = self._block(name, exchange)
        self._plan.report(name, exchange.asked_s, success=block is not None)
        took_s = exchange.ended_s - exchange.asked_s
        if name is BlockName.LIVE and exchange.reply is not None and took_s > self._interval_s:
            self.overruns += 1
        if self.quiet and (name is BlockName.LIVE or exchange.silent):
            self._next_look_s = now_s + QUIET_PERIOD_S
        if block is None:
            return self._after_failure(exchange)
        if name is BlockName.LIVE:
            return self._after_live(block, now_s)
        held, self._held_live = self._held_live, None
        return Turn(blocks=(block,) if held is None else (block, held))

    def _after_failure(self, exchange: Exchange) -> Turn:
        held = self._held_live
        if held is not None:
            self._plan.want(BlockName.EVENTS)
            self._log_tries += 1
            if self._log_tries < LOG_TRIES:
                self._ask_next(exchange.ended_s)
                return Turn()
            self._held_live = None
            return Turn(blocks=(held,), failed=exchange.failure)
        if exchange.silent and self._may_be_lost:
            self._plan.restart()
            self._status = None
            return Turn(lost=True, failed=exchange.failure)
        return Turn(failed=exchange.failure or LineErrorKind.PLAUSIBILITY)

    def _after_live(self, block: BlockRead, now_s: float) -> Turn:
        status = block.words[_STATUS_AT]
        changed = status != self._status
        in_fault = status == _FAULT_RAW
        self._status = status
        self._plan.status_seen(changed=changed, in_fault=in_fault)
        if changed and in_fault:
            self._held_live = block
            self._log_tries = 0
            self._ask_next(now_s)
            return Turn()
        return Turn(blocks=(block,))

    def _block(self, name: BlockName, exchange: Exchange) -> BlockRead | None:
        if exchange.reply is None:
            return None
        words = exchange.reply.words
        if name is BlockName.LIVE and check_live_block(words) is not None:
            self.line.errors[LineErrorKind.PLAUSIBILITY] += 1
            return None
        return BlockRead(
            name=name,
            words=words,
            taken_s=exchange.asked_s if exchange.repeated else exchange.ended_s,
            asked_s=exchange.asked_s,
            ended_s=exchange.ended_s,
        )
