"""The watchdog kills what hangs, and only that."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tinybms_health.watchdog import (
    KILLS_AT_MOST,
    KILLS_WITHIN_S,
    Action,
    Deed,
    Sight,
    Watchdog,
)
from tinybms_runtime.backoff import Backoff
from tinybms_runtime.processes import NAMES


class World:
    """Six programs that beat each second, until a test stops some of them."""

    def __init__(self) -> None:
        self.now_s = 5000.0
        self.watchdog = Watchdog(
            own_name="health", new_retry=lambda: Backoff(5.0, 300.0, uniform=lambda: 0.0)
        )
        self.pids = {name: 100 + number for number, name in enumerate(NAMES)}
        self.beats = dict.fromkeys(NAMES, self.now_s)
        self.silent: set[str] = set()
        self.down: set[str] = set()
        self.fatal: set[str] = set()
        self.broker_hangs = False
        self.supervisord_answers = True
        self.actions: list[tuple[float, Action]] = []

    def run(self, seconds: float) -> list[Action]:
        """Let a second after the other pass; what the watchdog did in them."""
        before = len(self.actions)
        for _ in range(round(seconds)):
            self.now_s += 1.0
            self.beat()
            self.look()
        return [action for _, action in self.actions[before:]]

    def beat(self) -> None:
        if not (self.broker_hangs or "broker" in self.down):
            for name in set(NAMES) - self.silent - self.down - self.fatal:
                self.beats[name] = self.now_s

    def look(self) -> None:
        for action in self.watchdog.step(self.now_s, self.sights()):
            self.actions.append((self.now_s, action))

    def sights(self) -> list[Sight] | None:
        if not self.supervisord_answers:
            return None
        return [self.sight(name) for name in NAMES]

    def sight(self, name: str) -> Sight:
        away = name in self.down | self.fatal
        return Sight(
            name=name,
            running=not away,
            fatal=name in self.fatal,
            pid=0 if away else self.pids[name],
            heartbeat_age_s=None if away else self.now_s - self.beats[name],
        )

    def restart(self, name: str) -> None:
        """As supervisord does after a kill: a new pid that beats."""
        self.pids[name] += 1000
        self.silent.discard(name)
        if name == "broker":
            self.broker_hangs = False

    def stand_still(self, seconds: float) -> None:
        """Health itself is stopped: nobody beats in its eyes, for it hears nobody."""
        self.now_s += seconds


@pytest.fixture
def world() -> World:
    world = World()
    world.run(60)
    return world


def names(actions: list[Action], deed: Deed = Deed.KILL) -> list[str]:
    return [action.name for action in actions if action.deed is deed]


def test_nothing_is_done_while_all_beat(world: World) -> None:
    assert world.run(7200) == []


@pytest.mark.parametrize("name", [name for name in NAMES if name != "health"])
def test_a_silent_program_is_killed_after_ten_seconds(world: World, name: str) -> None:
    world.silent.add(name)
    assert world.run(9) == []
    assert names(world.run(2)) == [name]


def test_the_program_that_hangs_is_named_with_its_pid(world: World) -> None:
    world.silent.add("can_out")
    (action,) = world.run(11)
    assert "can_out" in action.text
    assert str(world.pids["can_out"]) in action.text


def test_two_programs_may_hang_at_once(world: World) -> None:
    world.silent |= {"can_out", "buffer"}
    assert sorted(names(world.run(11))) == ["buffer", "can_out"]


def test_the_broker_is_killed_when_nobody_is_heard(world: World) -> None:
    world.broker_hangs = True
    assert world.run(9) == []
    assert names(world.run(2)) == ["broker"]


def test_only_the_broker_is_killed_when_the_last_beats_lie_apart(world: World) -> None:
    """Each program beats in its own moment of a second, so some are silent for 10 s first."""
    world.run(60)
    for number, name in enumerate(NAMES):
        world.beats[name] += 0.9 * (number % 2)
    world.broker_hangs = True
    assert {action.name for action in world.run(14)} == {"broker"}


def test_the_broker_is_killed_when_all_but_it_are_silent(world: World) -> None:
    world.silent |= set(NAMES) - {"broker"}
    assert names(world.run(11)) == ["broker"]


def test_others_get_time_to_be_heard_again_after_the_broker_came_back(world: World) -> None:
    world.broker_hangs = True
    world.run(11)
    world.restart("broker")
    world.beats["broker"] = world.now_s
    world.silent = set(NAMES) - {"broker"}
    assert world.run(5) == []
    world.silent = set()
    assert world.run(100) == []


def test_a_broker_that_is_down_for_long_makes_nobody_guilty(world: World) -> None:
    world.down.add("broker")
    assert world.run(120) == []
    world.down.discard("broker")
    world.restart("broker")
    assert world.run(120) == []


def test_health_never_kills_itself(world: World) -> None:
    world.silent.add("health")
    assert world.run(60) == []


def test_a_stop_of_health_itself_makes_nobody_guilty(world: World) -> None:
    world.stand_still(60)
    world.look()
    assert world.actions == []
    assert world.run(60) == []


def test_what_hangs_after_a_stop_of_health_is_found_ten_seconds_later(world: World) -> None:
    world.silent.add("mqtt_out")
    world.stand_still(60)
    world.look()
    assert world.run(9) == []
    assert names(world.run(2)) == ["mqtt_out"]


def test_a_program_is_left_alone_in_its_first_fifteen_seconds(world: World) -> None:
    world.restart("acquisition")
    world.silent.add("acquisition")
    assert world.run(14) == []
    assert names(world.run(3)) == ["acquisition"]


def test_a_program_that_does_not_run_is_not_killed(world: World) -> None:
    world.down.add("acquisition")
    assert world.run(60) == []


def test_nothing_is_done_while_supervisord_does_not_answer(world: World) -> None:
    world.supervisord_answers = False
    world.silent.add("can_out")
    assert world.run(60) == []


def test_a_kill_is_given_time_to_work(world: World) -> None:
    world.silent.add("buffer")
    world.run(25)
    kills = [at for at, action in world.actions if action.deed is Deed.KILL]
    assert len(kills) == 2
    assert kills[1] - kills[0] >= 10


def hang_again_and_again(world: World, name: str, seconds: int) -> list[Action]:
    """The program hangs whenever it was restarted."""
    done: list[Action] = []
    for _ in range(seconds):
        world.silent.add(name)
        actions = world.run(1)
        done += actions
        if names(actions):
            world.restart(name)
    return done


def test_it_kills_three_times_an_hour_and_then_reports_once(world: World) -> None:
    done = hang_again_and_again(world, "mqtt_out", 1200)
    assert names(done) == ["mqtt_out"] * KILLS_AT_MOST
    assert names(done, Deed.REPORT) == ["mqtt_out"]
    assert done[-1].deed is Deed.REPORT


def test_the_budget_of_one_program_is_not_anothers(world: World) -> None:
    hang_again_and_again(world, "mqtt_out", 300)
    world.silent.add("can_out")
    assert names(world.run(11)) == ["can_out"]


def test_the_budget_comes_back_after_an_hour(world: World) -> None:
    hang_again_and_again(world, "mqtt_out", 120)
    assert names(hang_again_and_again(world, "mqtt_out", round(KILLS_WITHIN_S)))


def test_a_broker_that_is_not_restarted_is_not_killed_each_second(world: World) -> None:
    world.broker_hangs = True
    assert names(world.run(40)) == ["broker"] * 3


def test_a_kill_just_done_is_no_sign_that_others_are_heard(world: World) -> None:
    world.silent.add("can_out")
    world.run(6)
    world.broker_hangs = True
    assert names(world.run(18)) == ["can_out", "broker"]


def test_a_fatal_program_is_started_again_with_growing_pauses(world: World) -> None:
    world.fatal.add("acquisition")
    world.run(100)
    starts = [at for at, action in world.actions if action.deed is Deed.START]
    pauses = [round(later - earlier) for earlier, later in pairwise(starts)]
    assert pauses == [10, 20, 40]


def test_pauses_never_grow_beyond_five_minutes(world: World) -> None:
    world.fatal.add("acquisition")
    world.run(7200)
    starts = [at for at, action in world.actions if action.deed is Deed.START]
    assert starts[-1] - starts[-2] == pytest.approx(300, abs=1)


def test_pauses_are_short_again_after_it_ran_for_a_minute(world: World) -> None:
    world.fatal.add("acquisition")
    world.run(100)
    world.fatal.discard("acquisition")
    world.run(70)
    world.fatal.add("acquisition")
    assert names(world.run(7), Deed.START) == ["acquisition"]
