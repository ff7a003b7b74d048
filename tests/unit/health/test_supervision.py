"""The thread that asks supervisord ends when told so, and what comes later does no harm."""

from __future__ import annotations

from pathlib import Path

from harness_sim import wait_until
from tinybms_health.supervision import Answer, Supervision
from tinybms_health.watchdog import Action, Deed
from tinybms_runtime.clock import SystemClock
from tinybms_runtime.loop import Loop


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def never(action: Action, error: str) -> None:
    raise AssertionError(action, error)


def test_it_ends_at_once_and_takes_no_order_afterwards(tmp_path: Path) -> None:
    loop = Loop(SystemClock(trust_clock=True))
    before = descriptors()
    answers: list[Answer] = []
    for _ in range(50):
        supervision = Supervision(
            tmp_path / "none.sock",
            loop,
            on_answer=answers.append,
            on_failed=never,
        )
        supervision.start()
        supervision.stop()
        supervision.order(Action(deed=Deed.START, name="buffer", text="too late"))
    assert loop.run_until(lambda: bool(answers), 5.0)
    assert answers[0].programs is None
    wait_until(lambda: descriptors() <= before, 5.0, "no descriptor that is left")
    loop.close()
