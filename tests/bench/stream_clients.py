"""Clients of `/api/stream` in a process of their own: `stream_clients.py PORT COUNT SECONDS`.

They read what comes and look at nothing. At the end a line of JSON says how many snapshots each
client got in SECONDS, counted from when all were connected.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from contextlib import ExitStack

LIVE = b"event: live\n"
REQUEST = b"GET /api/stream HTTP/1.1\r\nHost: bench\r\n\r\n"


def main() -> None:
    """Connect, say `connected`, read, tell."""
    port, count, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    with ExitStack() as held, selectors.DefaultSelector() as selector:
        for _ in range(count):
            client = held.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            client.sendall(REQUEST)
            client.setblocking(False)
            selector.register(client, selectors.EVENT_READ)
        print("connected", flush=True)
        got = _snapshots(selector, count, seconds)
    print(json.dumps({"per_client": got}), flush=True)


def _snapshots(selector: selectors.DefaultSelector, count: int, seconds: float) -> list[int]:
    got: dict[int, int] = {}
    ends_s = time.monotonic() + seconds
    while (left_s := ends_s - time.monotonic()) > 0:
        for key, _ in selector.select(left_s):
            assert isinstance(key.fileobj, socket.socket), "registered above"
            data = key.fileobj.recv(1 << 16)
            assert data, "the stream ended"
            got[key.fd] = got.get(key.fd, 0) + data.count(LIVE)
    return [*got.values(), *[0] * (count - len(got))]


if __name__ == "__main__":
    main()
