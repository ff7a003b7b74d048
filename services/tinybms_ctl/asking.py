"""Ask a running process of the gateway for something, and wait for its answer."""

from __future__ import annotations

import os
from typing import Final

import zmq

from tinybms_config.model import Config
from tinybms_messages.requests import Reply, ReplyBody, RequestBody, Result
from tinybms_runtime.clock import SystemClock
from tinybms_runtime.loop import Loop
from tinybms_runtime.paths import Paths
from tinybms_runtime.requests import RequestClient

ASK_TIMEOUT_S: Final = 6.0
"""A busy machine may need some seconds; a process that is not there answers never."""


class NotAnswered(Exception):
    """The process did not do what was asked; the text says why."""


def ask(config: Config, process: str, body: RequestBody) -> ReplyBody:
    """The answer of `process`; raises NotAnswered."""
    paths = Paths.of(config)
    if not os.access(paths.run_dir, os.W_OK | os.X_OK):
        raise NotAnswered(f"{paths.run_dir}: not there, or not yours to use; be of its group")
    clock = SystemClock(trust_clock=config.gateway.trust_clock)
    loop = Loop(clock)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    client = RequestClient(
        context=context, endpoint=paths.requests(process), clock=clock, loop=loop
    )
    replies: list[Reply] = []
    try:
        client.ask(body, timeout_s=ASK_TIMEOUT_S, on_reply=replies.append, on_silence=lambda: None)
        loop.run_until(lambda: not client.busy, ASK_TIMEOUT_S + 1.0)
    finally:
        client.close()
        context.destroy(linger=0)
        loop.close()
    if not replies:
        raise NotAnswered(f"{process} does not answer; look at tinybms-ctl status")
    if replies[0].result is not Result.OK or replies[0].body is None:
        raise NotAnswered(f"{process} refuses: {replies[0].text}")
    return replies[0].body
