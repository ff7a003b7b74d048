"""Notices that health itself hangs or is gone, since nobody else would tell: a pure rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SILENT_AFTER_S: Final = 15.0
"""More than supervisord needs to start it again."""
BUS_WORKS_S: Final = 5.0

HEALTH: Final = "health"
WATCHED: Final = (HEALTH, "broker")
"""Whose heartbeats tell enough: the broker's say that the bus works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What is to be said, once for each silence and each end of one."""

    code: str
    text: str
    severity: str


class HealthWatch:
    """Takes the heartbeats of WATCHED, with their times on this machine's clock.

    Silence counts only while another process is heard: a broker that is away is no hang of health.
    """

    def __init__(self, now_s: float) -> None:
        self._health_s = now_s
        self._others_s = now_s
        self._silent = False

    def heard(self, source: str, at_s: float) -> None:
        """A heartbeat that `source` sent at `at_s`."""
        if source == HEALTH:
            self._health_s = max(self._health_s, at_s)
        else:
            self._others_s = max(self._others_s, at_s)

    def step(self, now_s: float) -> Word | None:
        """What is new now, if anything."""
        if now_s - self._others_s > BUS_WORKS_S:
            # Nobody can be heard: the time of health begins anew when the bus works again.
            self._health_s = max(self._health_s, now_s - BUS_WORKS_S)
            return None
        silent = now_s - self._health_s > SILENT_AFTER_S
        if silent == self._silent:
            return None
        self._silent = silent
        if silent:
            return Word(
                code="health_silent",
                text=f"health has not beaten for {SILENT_AFTER_S:.0f} s: nobody watches the "
                "processes; see tinybms-ctl status and tinybms-ctl restart health",
                severity="alarm",
            )
        return Word(code="health_back", text="health beats again", severity="info")
