"""Say once that something is gone, count what fails meanwhile, say once that it is back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageSummary:
    """An outage that is over."""

    duration_s: float
    failures: int
    reason: str


class Outage:
    """Whether something is gone, since when, why, and how often it was tried in vain."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._failures = 0
        self.reason = ""

    @property
    def active(self) -> bool:
        """Whether it is gone now."""
        return self._since_s is not None

    def begin(self, now_s: float, reason: str) -> bool:
        """Note a failure; True when it is the first of an outage or its reason is a new one."""
        news = self._since_s is None or reason != self.reason
        if self._since_s is None:
            self._since_s = now_s
            self._failures = 0
        self._failures += 1
        self.reason = reason
        return news

    def end(self, now_s: float) -> OutageSummary | None:
        """Note a success; the summary when an outage has just ended, else None."""
        if self._since_s is None:
            return None
        summary = OutageSummary(
            duration_s=now_s - self._since_s, failures=self._failures, reason=self.reason
        )
        self._since_s = None
        return summary
