"""When which frame goes out: an even beat for all, and a few at once when it matters.

Pure: times come in as seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from tinybms_victron import signals
from tinybms_victron.pack_view import PackView

SLOTS_PER_S: Final = 9
"""Nine slots of two frames: a socketcan queue holds ten frames, and each wake-up costs CPU."""

EXTRAS_PER_S: Final = 4

VOLTAGE_FALL_V: Final = 0.2
CURRENT_FALL_A: Final = 1.0
CURRENT_FALL_FRACTION: Final = 0.02
_ROUNDING: Final = 1e-6


def slots() -> tuple[tuple[int, ...], ...]:
    """The ids of each slot of a second: every frame but 0x351 once, the important ones first.

    0x351 has a beat of its own, `can.keepalive_period_ms`.
    """
    ids = [frame.id for frame in signals.FRAMES if frame is not signals.LIMITS]
    return tuple(tuple(ids[slot::SLOTS_PER_S]) for slot in range(SLOTS_PER_S))


class Extras:
    """Which frames must go out before their turn, at most EXTRAS_PER_S in any second.

    Compares with what went out last, not with the last sample: slow falls add up, and noise that
    does not reach a threshold sends nothing.
    """

    def __init__(self) -> None:
        self._limits: tuple[float, float, float] | None = None
        self._levels: Mapping[str, int] | None = None
        self._spent: deque[float] = deque()

    def sent(self, frame_id: int, view: PackView) -> None:
        """Note that `frame_id` went out with the values of `view`."""
        if frame_id == signals.LIMITS.id:
            self._limits = _limits_of(view)
        elif frame_id == signals.ALARMS.id:
            self._levels = view.alarm_levels

    def forget(self) -> None:
        """Nothing is known to have gone out: the channel or the sending was interrupted.

        What was granted meanwhile did not load the bus, so the whole allowance is there again.
        """
        self._limits = None
        self._levels = None
        self._spent.clear()

    def due(self, now_s: float, view: PackView) -> tuple[int, ...]:
        """The ids to send now. What the allowance holds back is due again at the next call."""
        while self._spent and now_s - self._spent[0] >= 1.0:
            self._spent.popleft()
        wanted = []
        if self._limits is None or _falls(self._limits, _limits_of(view)):
            wanted.append(signals.LIMITS.id)
        if self._levels is None or _rises(self._levels, view.alarm_levels):
            wanted.append(signals.ALARMS.id)
        granted = wanted[: EXTRAS_PER_S - len(self._spent)]
        self._spent.extend(now_s for _ in granted)
        return tuple(granted)


def _limits_of(view: PackView) -> tuple[float, float, float]:
    return view.charge_voltage_v, view.charge_current_a, view.discharge_current_a


def _falls(sent: tuple[float, float, float], now: tuple[float, float, float]) -> bool:
    if sent[0] - now[0] >= VOLTAGE_FALL_V - _ROUNDING:
        return True
    return any(
        (before > 0 and after <= 0)
        or before - after >= max(CURRENT_FALL_A, CURRENT_FALL_FRACTION * before) - _ROUNDING
        for before, after in zip(sent[1:], now[1:], strict=True)
    )


def _rises(sent: Mapping[str, int], now: Mapping[str, int]) -> bool:
    return any(level > sent.get(name, 0) for name, level in now.items())
