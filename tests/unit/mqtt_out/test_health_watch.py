"""A hang of health is said once, and never held against it while nobody can be heard."""

from __future__ import annotations

from tinybms_mqtt_out.health_watch import HealthWatch


def codes(watch: HealthWatch, begin: int, end: int, *sources: str) -> list[str]:
    said = []
    for second in range(begin, end):
        for source in sources:
            watch.heard(source, float(second))
        word = watch.step(float(second))
        if word is not None:
            said.append(word.code)
    return said


def test_a_silence_is_said_once_and_its_end_too() -> None:
    watch = HealthWatch(0.0)
    assert codes(watch, 0, 100, "health", "broker") == []
    assert codes(watch, 100, 114, "broker") == []
    assert codes(watch, 114, 200, "broker", "can_out") == ["health_silent"]
    assert codes(watch, 200, 260, "health", "broker") == ["health_back"]
    assert codes(watch, 260, 300, "broker") == ["health_silent"]


def test_a_health_that_never_came_is_said() -> None:
    assert codes(HealthWatch(0.0), 0, 60, "broker") == ["health_silent"]


def test_without_the_bus_nothing_is_said_of_health() -> None:
    watch = HealthWatch(0.0)
    codes(watch, 0, 20, "health", "broker")
    assert codes(watch, 20, 300) == []
    assert codes(watch, 300, 308, "broker") == []
    assert codes(watch, 308, 400, "health", "broker") == []
