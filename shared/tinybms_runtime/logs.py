"""Log lines as JSON on stdout, through a bounded queue: a full or closed pipe stops no work.

supervisord reads each process's stdout into its log file. When it is stopped, the pipe fills; when
it dies, the pipe breaks. The loop only ever puts lines into a queue; a daemon thread writes them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import threading
from datetime import UTC, datetime
from typing import Final

QUEUE_LINES: Final = 1000
_FLUSH_S: Final = 1.0


def fields(**values: object) -> dict[str, dict[str, object]]:
    """`extra=` for a log call: named values that stand beside the message in the line."""
    return {"fields": values}


class JsonLineFormatter(logging.Formatter):
    """One line of JSON: time (ISO 8601, UTC), level, process, message, fields, traceback."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line for `record`."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "message": record.getMessage(),
        }
        extra = getattr(record, "fields", None)
        if isinstance(extra, dict):
            line.update(extra)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class QueuedLineHandler(logging.Handler):
    """Hands lines to a daemon thread that writes them; drops and counts what does not fit."""

    def __init__(self, descriptor: int = 1) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._queue: queue.Queue[str | None] = queue.Queue(QUEUE_LINES)
        self.dropped = 0
        self._thread = threading.Thread(target=self._write_all, name="log-writer", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the formatted line, or count it as dropped."""
        try:
            self._queue.put_nowait(self.format(record))
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what is queued, for at most a second, and stop."""
        while not self._say_end():
            self._make_room()
        self._thread.join(_FLUSH_S)
        super().close()

    def _say_end(self) -> bool:
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return False
        return True

    def _make_room(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._queue.get_nowait()
            self.dropped += 1

    def _write_all(self) -> None:
        broken = False
        while (line := self._queue.get()) is not None:
            if broken:
                self.dropped += 1
                continue
            try:
                _write(self._descriptor, f"{line}\n".encode())
            except OSError:
                broken = True
                self.dropped += 1


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def start_logging(process: str, level: str) -> tuple[logging.Logger, QueuedLineHandler]:
    """Send this process's log lines to stdout; the logger `tinybms.<process>` and its handler."""
    handler = QueuedLineHandler()
    handler.setFormatter(JsonLineFormatter(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logger = logging.getLogger(f"tinybms.{process}")
    logger.setLevel(level.upper())
    return logger, handler
