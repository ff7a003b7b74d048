"""A flood of HTTP requests from a process of its own: `harness_flood.py PORT SECONDS`.

Bounded: CLIENTS connections that ask without a pause, SILENT that never end their head and DEAF
that ask for the stream and never read. At the end it prints how many answers came, by status.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import Counter
from typing import Final

CLIENTS: Final = 24
SILENT: Final = 250
DEAF: Final = 150
HOST: Final = "127.0.0.1"
PATHS: Final = (
    "/api/status",
    "/metrics",
    "/api/history?from=2016-01-01",
    "/api/events?limit=1000",
    "/api/live",
    "/page/app.js",
    "/%00%ff",
)


async def main(port: int, seconds: float) -> Counter[str]:
    """Flood for so long; the answers by status."""
    answers: Counter[str] = Counter()
    tasks = [asyncio.ensure_future(_ask(port, number, answers)) for number in range(CLIENTS)]
    held = [b"GET /api/status HTTP/1.1\r\nHost: x\r\nX-Slow: "] * SILENT
    held += [b"GET /api/stream HTTP/1.1\r\nHost: x\r\n\r\n"] * DEAF
    tasks += [asyncio.ensure_future(_hold(port, head)) for head in held]
    await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return answers


async def _ask(port: int, number: int, answers: Counter[str]) -> None:
    while True:
        try:
            await _ask_on_one(port, number, answers)
        except (OSError, asyncio.IncompleteReadError):
            answers["broken"] += 1
            await asyncio.sleep(0.01)


async def _ask_on_one(port: int, number: int, answers: Counter[str]) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    with contextlib.closing(writer):
        while True:
            number += 1
            path = PATHS[number % len(PATHS)]
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = head.partition("content-length: ")[2].split("\r\n", 1)[0]
            await reader.readexactly(int(length))
            answers[head.split(" ", 2)[1]] += 1


async def _hold(port: int, head: bytes) -> None:
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(HOST, port, limit=1024)
            with contextlib.closing(writer):
                writer.write(head)
                await reader.readuntil(b"never") if b"Slow" in head else await asyncio.sleep(3600)
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))))
