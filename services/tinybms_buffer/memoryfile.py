"""What the buffer knows of each start of acquisition, in the run folder, over its own restart."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tinybms_buffer.tracked import Memory
from tinybms_runtime.statefile import read_bytes, write_atomic


class MemoryFile:
    """One file, replaced as a whole; it need not survive the machine, as the ring does not."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Memory | None:
        """What was saved; None when there is nothing that can be used."""
        try:
            data = read_bytes(self._path)
            return None if data is None else msgspec.json.decode(data, type=Memory)
        except (OSError, msgspec.MsgspecError):
            return None

    def save(self, memory: Memory) -> None:
        """Keep `memory`; OSError when that fails."""
        write_atomic(self._path, msgspec.json.encode(memory), durable=False)
