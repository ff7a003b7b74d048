"""Drop stored records: by the buffer process while it runs, else in its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import zmq

from tinybms_buffer.bounds import StoreLimits
from tinybms_buffer.store import GapNumbers, Store
from tinybms_config.model import Config
from tinybms_messages.requests import Drop, Dropped, Reply, Result
from tinybms_runtime.clock import SystemClock
from tinybms_runtime.lock import AlreadyRunningError, ProcessLock
from tinybms_runtime.loop import Loop
from tinybms_runtime.paths import Paths
from tinybms_runtime.requests import RequestClient

ASK_TIMEOUT_S: Final = 5.0


class DropFailed(Exception):
    """Records could not be dropped; the text says why."""


def drop_before(config: Config, path: Path, before_wall_ns: int, boot: str) -> Iterator[int]:
    """Drop what is older, some at a time, and tell how many each time; DropFailed, StorageOff."""
    paths = Paths.of(config)
    clock = SystemClock(trust_clock=config.gateway.trust_clock)
    lock = ProcessLock(paths.lock("buffer"))
    try:
        lock.acquire(patience_s=0)
    except AlreadyRunningError:
        yield from _by_request(paths, clock, Drop(before_wall_ns=before_wall_ns))
        return
    try:
        limits = StoreLimits(max_bytes=config.buffer.max_bytes, max_rows=config.buffer.max_rows)
        store = Store(path, limits=limits, clock=clock, gap_numbers=GapNumbers(boot))
        try:
            while removed := store.drop_before(before_wall_ns):
                yield removed
        finally:
            store.close()
    finally:
        lock.release()


def _by_request(paths: Paths, clock: SystemClock, drop: Drop) -> Iterator[int]:
    loop = Loop(clock)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    client = RequestClient(
        context=context, endpoint=paths.requests("buffer"), clock=clock, loop=loop
    )
    try:
        while removed := _ask(client, loop, drop):
            yield removed
    finally:
        client.close()
        context.destroy(linger=0)
        loop.close()


def _ask(client: RequestClient, loop: Loop, drop: Drop) -> int:
    replies: list[Reply] = []
    client.ask(drop, timeout_s=ASK_TIMEOUT_S, on_reply=replies.append, on_silence=lambda: None)
    loop.run_until(lambda: not client.busy, ASK_TIMEOUT_S + 1.0)
    if not replies:
        raise DropFailed("the buffer process does not answer; look at tinybms-ctl status")
    if replies[0].result is not Result.OK or not isinstance(replies[0].body, Dropped):
        raise DropFailed(f"the buffer process refuses: {replies[0].text}")
    return replies[0].body.removed
