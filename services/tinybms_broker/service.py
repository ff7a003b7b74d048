"""The broker process: the relay, its own heartbeat, nothing else."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from tinybms_broker.relay import Relay
from tinybms_runtime.runner import ServiceContext

_SOCKET_MODE: Final = 0o660


class BrokerService:
    """Runs the relay."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._relay: Relay | None = None

    def start(self) -> None:
        """Bind both ends; what lies in the way and is no socket is left alone (OSError)."""
        sockets = [self._context.paths.run_dir / name for name in ("bus-in", "bus-out")]
        for path in sockets:
            _require_free(path)
        self._relay = Relay(paths=self._context.paths, loop=self._context.loop)
        for path in sockets:
            path.chmod(_SOCKET_MODE)

    def stop(self) -> None:
        """Close both ends."""
        if self._relay is not None:
            self._relay.close()

    def state(self) -> tuple[str, str]:
        """See tinybms_runtime.runner.Service."""
        if self._relay is None:
            return "starting", ""
        relay = self._relay
        counts = f"{relay.forwarded} forwarded, {relay.rejected} rejected"
        return "running", f"{relay.cached_topics} topics cached, {counts}"


def _require_free(path: Path) -> None:
    """Refuse to bind over a file that is no socket: ZeroMQ would delete it without a word."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(f"{path} is not a socket: move it away, the broker needs its place")
