"""The beat of the frames and what may go out before its turn."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from fake_live import fake_live
from tinybms_victron.pack_view import PackView, pack_view
from tinybms_victron.schedule import EXTRAS_PER_S, Extras, slots
from tinybms_victron.signals import FRAMES


@pytest.fixture
def view() -> PackView:
    live = fake_live()
    assert live.limits is not None
    view = pack_view(live, live.limits, live.alarms, device="pack1")
    assert view is not None
    return view


@pytest.fixture
def extras(view: PackView) -> Extras:
    extras = Extras()
    extras.sent(0x351, view)
    extras.sent(0x35A, view)
    return extras


def test_every_frame_but_the_limits_has_one_slot_a_second() -> None:
    counted = Counter(can_id for slot in slots() for can_id in slot)
    assert counted == Counter(frame.id for frame in FRAMES if frame.id != 0x351)
    assert max(map(len, slots())) <= 2


def test_the_first_view_sends_limits_and_alarms_at_once(view: PackView) -> None:
    assert Extras().due(0.0, view) == (0x351, 0x35A)


@pytest.mark.parametrize(
    ("change", "due"),
    [
        ({"charge_voltage_v": 55.1}, ()),
        ({"charge_voltage_v": 55.0}, (0x351,)),
        ({"charge_voltage_v": 56.0}, ()),
        ({"charge_current_a": 59.1}, ()),
        ({"charge_current_a": 58.8}, (0x351,)),
        ({"discharge_current_a": 98.1}, ()),
        ({"discharge_current_a": 98.0}, (0x351,)),
        ({"discharge_current_a": 0.0}, (0x351,)),
        ({"charge_current_a": 500.0}, ()),
        ({"alarm_levels": {"low_voltage": 1}}, (0x35A,)),
        ({"alarm_levels": {"low_voltage": 0}}, ()),
        ({"charge_current_a": 0.0, "alarm_levels": {"high_voltage": 2}}, (0x351, 0x35A)),
    ],
)
def test_thresholds(
    extras: Extras, view: PackView, change: dict[str, object], due: tuple[int, ...]
) -> None:
    assert extras.due(0.0, replace(view, **change)) == due  # type: ignore[arg-type]  # any field


def test_a_small_limit_that_reaches_zero_goes_out_at_once(view: PackView) -> None:
    extras = Extras()
    extras.sent(0x351, replace(view, charge_current_a=0.3))
    extras.sent(0x35A, view)
    assert extras.due(0.0, replace(view, charge_current_a=0.1)) == ()
    assert extras.due(0.0, replace(view, charge_current_a=0.0)) == (0x351,)


def test_slow_falls_add_up(extras: Extras, view: PackView) -> None:
    due = [extras.due(step, replace(view, charge_voltage_v=55.2 - 0.1 * step)) for step in range(3)]
    assert due == [(), (), (0x351,)]


def test_an_alarm_that_worsens_goes_out_and_one_that_ends_waits_for_its_turn(
    extras: Extras, view: PackView
) -> None:
    warning = replace(view, alarm_levels={"low_voltage": 1})
    extras.sent(0x35A, warning)
    assert extras.due(0.0, replace(view, alarm_levels={"low_voltage": 2})) == (0x35A,)
    assert extras.due(0.0, replace(view, alarm_levels={"low_voltage": 0})) == ()


def test_at_most_four_extras_a_second_and_the_held_one_comes_later(
    extras: Extras, view: PackView
) -> None:
    sent = []
    for tick in range(30):
        now = tick / 10
        lower = replace(view, charge_voltage_v=55.2 - 0.2 * (tick + 1))
        for can_id in extras.due(now, lower):
            extras.sent(can_id, lower)
            sent.append(now)
    for start in sent:
        assert len([time for time in sent if start <= time < start + 1.0]) <= EXTRAS_PER_S
    assert len(sent) == 3 * EXTRAS_PER_S


def test_what_was_granted_during_an_outage_does_not_delay_the_newest_after_it(
    extras: Extras, view: PackView
) -> None:
    fallen = replace(view, charge_current_a=12.3)
    for tick in range(20):
        extras.due(tick / 10, fallen)
    extras.forget()
    assert extras.due(1.95, fallen) == (0x351, 0x35A)
