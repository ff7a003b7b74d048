"""What there is to tell before the bus is joined waits: nobody would hear it. Pure."""

from __future__ import annotations

from typing import Final

from tinybms_buffer.keeper import Tell

JOIN_S: Final = 10.0
"""When nobody else has spoken by then, it is at least logged."""
SETTLE_S: Final = 1.0
"""Whom we hear hears us a little later: the two ways are joined one after the other."""


class FirstWords:
    """A Tell that keeps what it is told until `release`, and from then on passes it on at once."""

    def __init__(self, tell: Tell, *, now_s: float) -> None:
        self._tell = tell
        self._release_at_s = now_s + JOIN_S
        self._waiting: list[tuple[str, str, str]] | None = []

    def __call__(self, code: str, text: str, severity: str = "info") -> None:
        """See keeper.Tell."""
        if self._waiting is None:
            self._tell(code, text, severity)
        else:
            self._waiting.append((code, text, severity))

    def heard(self, now_s: float) -> None:
        """Another process has spoken: the bus is joined, or will be in a moment."""
        if self._waiting is not None:
            self._release_at_s = min(self._release_at_s, now_s + SETTLE_S)

    def release(self) -> None:
        """Tell all that waited, and from now on what comes at once."""
        waiting, self._waiting = self._waiting, None
        for code, text, severity in waiting or ():
            self._tell(code, text, severity)

    def tick(self, now_s: float) -> None:
        """Release when it is time; to be called about once a second."""
        if now_s >= self._release_at_s:
            self.release()
