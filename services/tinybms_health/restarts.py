"""How often each program was started again since supervisord started, over our own restarts too."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Restarts(msgspec.Struct, kw_only=True):
    """Counts changes of pids; a new supervisord starts all counts at 0."""

    supervisor_pid: int = 0
    pids: dict[str, int] = {}
    counts: dict[str, int] = {}

    def note(self, supervisor_pid: int, pids: Mapping[str, int]) -> list[str]:
        """Take the pids of now (0: does not run); the names of programs that were restarted."""
        if supervisor_pid != self.supervisor_pid:
            self.supervisor_pid = supervisor_pid
            self.pids = {name: pid for name, pid in pids.items() if pid}
            self.counts = dict.fromkeys(pids, 0)
            return []
        restarted = []
        for name, pid in pids.items():
            if pid and pid != self.pids.get(name, pid):
                self.counts[name] = self.counts.get(name, 0) + 1
                restarted.append(name)
            if pid:
                self.pids[name] = pid
        return restarted


def packed(restarts: Restarts) -> bytes:
    """As the content of a file."""
    return msgspec.json.encode(restarts)


def unpacked(data: bytes | None) -> Restarts:
    """From the content of a file; fresh counts when there is none or it is damaged."""
    if data is None:
        return Restarts()
    try:
        return msgspec.json.decode(data, type=Restarts)
    except msgspec.DecodeError:
        return Restarts()
