"""Ask a serial port whether a TinyBMS is there, by its version alone: changes nothing."""

from __future__ import annotations

import select
import time
from dataclasses import dataclass
from typing import Final

from tinybms_acquisition.line import Exchange, LineMachine
from tinybms_acquisition.ports import PortError, SerialPort
from tinybms_protocol.poll_plan import BLOCKS, BlockName
from tinybms_protocol.settings import VersionBlock

LONGEST_WAIT_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeAnswer:
    """`opened`: the port could be opened; `version` when a TinyBMS answered, else `error`."""

    opened: bool
    version: VersionBlock | None = None
    error: str = ""


def probe(path: str) -> ProbeAnswer:
    """The answer on `path`; takes up to three seconds, for a sleeping BMS loses what wakes it."""
    try:
        port = SerialPort(path)
    except PortError as error:
        return ProbeAnswer(opened=False, error=str(error))
    try:
        exchange = _ask(port)
    except PortError as error:
        return ProbeAnswer(opened=True, error=str(error))
    finally:
        port.close()
    if exchange.reply is None:
        why = exchange.failure.value if exchange.failure else "no reply"
        how = "not one byte came" if exchange.silent else why
        return ProbeAnswer(opened=True, error=f"{path}: {how}")
    try:
        version = VersionBlock.from_words(exchange.reply.words)
    except (ValueError, TypeError) as error:
        return ProbeAnswer(opened=True, error=f"{path}: no TinyBMS: {error}")
    return ProbeAnswer(opened=True, version=version)


def _ask(port: SerialPort) -> Exchange:
    line = LineMachine()
    line.reset(time.monotonic())
    line.ask(BLOCKS[BlockName.VERSION].request, time.monotonic())
    while True:
        output, exchange = line.advance(time.monotonic())
        if output:
            port.write(output)
        if exchange is not None:
            return exchange
        due_s = line.due_s
        wait_s = LONGEST_WAIT_S if due_s is None else due_s - time.monotonic()
        readable, _, _ = select.select([port.fileno()], [], [], min(max(wait_s, 0), LONGEST_WAIT_S))
        if readable:
            exchange = line.receive(port.read(), time.monotonic())
            if exchange is not None:
                return exchange
