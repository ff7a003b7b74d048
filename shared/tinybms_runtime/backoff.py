"""How long to wait before the next try: doubling, with a ceiling, never in step with others."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Delays from `first_s`, doubling up to `ceiling_s`, each shortened by up to `jitter` of it."""

    def __init__(
        self,
        first_s: float,
        ceiling_s: float,
        *,
        jitter: float = 0.2,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._first_s = first_s
        self._ceiling_s = ceiling_s
        self._jitter = jitter
        self._uniform = uniform
        self._next_s = first_s

    def next_delay_s(self) -> float:
        """The delay before the next try; each call doubles the one after it."""
        delay_s = self._next_s
        self._next_s = min(self._ceiling_s, delay_s * 2)
        return delay_s * (1 - self._jitter * self._uniform())

    def reset(self) -> None:
        """Begin again with the shortest delay, after a success."""
        self._next_s = self._first_s
